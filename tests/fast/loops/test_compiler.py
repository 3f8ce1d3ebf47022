"""What is compiled, when, and where it is kept."""

import os
import re
import subprocess
import sys
import tempfile

import pytest

from fast.loops import compiled
from synann_np.fast.loops import compiler
from synann_np.fast.loops.compiler import find_compiler, library, working_compiler
from synann_np.fast.loops.private_folder import private_folder, read_file, write_file


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A C file, a cache of its own, and no memory of what was loaded before."""
    compiled.require()
    monkeypatch.setenv("SYNANN_CACHE", str(tmp_path / "cache"))
    forget()
    path = tmp_path / "answer.c"
    path.write_text("int answer(void) { return ANSWER; }\n")
    yield path
    forget()


def forget():
    """What was loaded, and what failed."""
    compiler._load.cache_clear()
    compiler._failed.clear()


def kept(tmp_path):
    """The libraries in the cache, without that of the threads."""
    return sorted(path for path in (tmp_path / "cache" / "compiled").iterdir() if path.name.startswith("answer"))


def test_each_set_of_constants_is_compiled_once_and_then_read_from_the_cache(source, tmp_path, monkeypatch):
    assert library(source, ANSWER=42).answer() == 42
    assert library(source, ANSWER=6).answer() == 6
    assert len(kept(tmp_path)) == 2
    assert all(path.suffix == ".so" for path in kept(tmp_path))
    compiler._load.cache_clear()
    monkeypatch.setattr(compiler, "_run", None)  # would be called, and fail
    assert library(source, ANSWER=42).answer() == 42


def test_a_changed_source_is_compiled_anew(source):
    assert library(source, ANSWER=1).answer() == 1
    source.write_text("int answer(void) { return ANSWER + 1; }\n")
    compiler._load.cache_clear()
    assert library(source, ANSWER=1).answer() == 2


def in_another_process(source):
    """Start a process that loads the library and prints its answer, 7."""
    program = f"from synann_np.fast.loops.compiler import library; print(library({str(source)!r}, ANSWER=7).answer())"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", program], env=os.environ, **pipes)


def test_a_damaged_file_of_the_cache_is_made_again(source, tmp_path):
    assert in_another_process(source).communicate() == (b"7\n", b"")
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    half = len(whole) // 2
    damages = {
        "cut off at 100": whole[:100],
        "cut off in the middle": whole[:half],
        "its second half zero": whole[:half] + bytes(len(whole) - half),
        "a bit": whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
    }
    for damage, damaged in damages.items():
        path.write_bytes(damaged)
        assert in_another_process(source).communicate() == (b"7\n", b""), damage  # it would die of some of these
        assert path.read_bytes() == whole, damage


def test_a_source_that_does_not_compile_is_told_once_and_is_no_library(source):
    source.write_text("int answer(void) { return nobody_knows; }\n")
    with pytest.warns(RuntimeWarning, match=r"answer\.c could not be compiled(.|\n)*nobody_knows"):
        assert library(source, ANSWER=42) is None
    assert library(source, ANSWER=42) is None  # a second warning would be an error
    assert library(source, ANSWER=43) is None  # and with other constants it is not tried again


def test_nothing_is_compiled_where_the_user_says_so(source, monkeypatch):
    monkeypatch.setenv("SYNANN_FAST", "0")
    assert find_compiler() is None
    assert library(source, ANSWER=42) is None


def test_the_environment_names_the_compiler(monkeypatch):
    compiled.require()
    monkeypatch.setenv("CC", "cc -DNEVER_USED")
    assert find_compiler().command[:2] == ["cc", "-DNEVER_USED"]
    with_option = find_compiler().fingerprint
    monkeypatch.delenv("CC")
    assert find_compiler().fingerprint != with_option


@pytest.mark.parametrize("name", ["no_such_compiler", " ", "true", "echo", "'", "false"])
def test_a_name_that_is_no_compiler_is_told_once(name, monkeypatch):
    monkeypatch.setenv("CC", name)
    compiler._try_compilers.cache_clear()
    with pytest.warns(RuntimeWarning, match=f"CC={re.escape(repr(name))} in the environment is not a C compiler"):
        assert find_compiler() is None
    assert find_compiler() is None


def cannot_be_loaded(path):
    raise OSError(f"{path}: wrong kind of file")


def test_a_compiler_whose_libraries_cannot_be_loaded_is_not_a_working_one(source, monkeypatch):
    monkeypatch.setattr(compiler.ctypes, "CDLL", cannot_be_loaded)
    with pytest.warns(RuntimeWarning, match="could not be compiled"):
        assert working_compiler() is None


def test_without_a_home_nothing_is_left_in_the_working_directory(source, tmp_path, monkeypatch):
    for name in ("SYNANN_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does for a user whom nobody knows
    monkeypatch.chdir(tmp_path)
    assert library(source, ANSWER=42).answer() == 42
    assert [path.name for path in tmp_path.iterdir()] == ["answer.c"]


def test_a_fork_that_ends_takes_nothing_along(source, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    program = (
        "import os; from synann_np.fast.loops import compiler; from synann_np.fast.loops.compiler import library;"
        f"library({str(source)!r}, ANSWER=1); child = os.fork(); child or exit(); os.waitpid(child, 0);"
        f"print(library({str(source)!r}, ANSWER=2).answer())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (run.stdout, run.stderr) == (b"2\n", b"")


def test_a_cache_that_others_can_write_to_is_not_used(source, tmp_path):
    folder = tmp_path / "cache" / "compiled"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert library(source, ANSWER=42).answer() == 42
    assert list(folder.iterdir()) == []


def test_a_folder_on_the_way_to_the_cache_that_others_can_write_to_is_not_passed(source, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    assert library(source, ANSWER=42).answer() == 42
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_below_a_sticky_folder_is_used(source, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o1777)
    assert library(source, ANSWER=42).answer() == 42
    assert len(kept(tmp_path)) == 1


def test_a_pipe_or_a_link_of_the_right_name_is_no_library(source, tmp_path):
    assert in_another_process(source).communicate() == (b"7\n", b"")
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert in_another_process(source).communicate() == (b"7\n", b"")
    assert not path.is_symlink()
    path.unlink()
    os.mkfifo(path)
    assert in_another_process(source).communicate(timeout=60) == (b"7\n", b"")
    assert path.read_bytes() == whole


def test_a_library_that_cannot_be_loaded_is_made_again(source, tmp_path):
    assert in_another_process(source).communicate() == (b"7\n", b"")
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    wrong = b"a library of another system"
    name = path.stem.rpartition("-")[0]
    path.rename(path.with_name(compiler._file_name(name, wrong))).write_bytes(wrong)
    assert in_another_process(source).communicate() == (b"7\n", b"")
    assert path.read_bytes() == whole


def test_nothing_follows_a_link_when_a_library_is_written(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    library = private_folder(tmp_path / "cache") / "a.so"
    library.symlink_to(precious)
    assert read_file(library) is None
    write_file(library, b"library")
    assert read_file(library) == b"library"
    assert os.listdir(tmp_path / "cache") == ["a.so"]
    assert library.stat().st_mode & 0o777 == 0o600
    assert precious.read_text() == "mine"


def test_the_work_folder_is_removed(source, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "work"))
    assert library(source, ANSWER=42).answer() == 42
    assert list((tmp_path / "work").iterdir()) == []


def test_where_no_folder_is_private_nothing_is_compiled(source, tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "open"))
    monkeypatch.setenv("SYNANN_CACHE", str(tmp_path / "open"))
    with pytest.warns(RuntimeWarning, match="others can change a folder on the way"):
        assert library(source, ANSWER=42) is None


def test_a_frozen_program_finds_the_compiler_without_an_interpreter(monkeypatch):
    pytest.importorskip("ziglang")
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert compiler._zig()[1] == "cc"
    assert os.path.isabs(compiler._zig()[0])


def test_a_cache_that_cannot_be_made_does_no_harm(source, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert library(source, ANSWER=42).answer() == 42


def test_processes_that_compile_the_same_at_once_all_get_it(source):
    processes = [in_another_process(source) for _ in range(4)]
    assert [process.communicate() for process in processes] == [(b"7\n", b"")] * 4


def test_without_cc_gcc_and_clang_the_compiler_of_the_package_ziglang_is_found(source, tmp_path, monkeypatch):
    pytest.importorskip("ziglang")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    compiler._try_compilers.cache_clear()
    try:
        assert find_compiler().command[1] == "cc"
        assert "zig" in find_compiler().command[0]
        assert library(source, ANSWER=42).answer() == 42
    finally:
        compiler._try_compilers.cache_clear()
