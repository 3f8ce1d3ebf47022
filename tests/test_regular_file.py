"""What a stranger may have put under the name of a file: pipes, links, devices."""

import os
import socket

import numpy as np
import pytest

from synann_np.data.idx import DataError, read_idx
from synann_np.programs.runs.comparison import read_run
from synann_np.programs.runs.folder import RunFolder
from synann_np.programs.runs.history_file import HistoryFile
from synann_np.programs.runs.recipes import RecipeError, read_recipe
from synann_np.storage.atomic_file import remove_leftovers, write_atomically
from synann_np.storage.regular_file import read_text, regular_file
from synann_np.training.history import read_history


@pytest.fixture
def precious(tmp_path):
    path = tmp_path / "precious"
    path.write_bytes(b"precious")
    return path


@pytest.mark.parametrize("mode", ["rb", "r+b", "wb", "ab"])
def test_a_pipe_a_socket_and_a_folder_are_refused_without_waiting(tmp_path, mode):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in ("pipe", "socket", "folder", "missing/file"):
            with pytest.raises(OSError, match=name) as failure:
                open(tmp_path / name, mode, opener=regular_file).close()
            assert failure.value.strerror


def test_a_device_is_refused():
    with pytest.raises(OSError, match="not a regular file"):
        open("/dev/null", "rb", opener=regular_file).close()


def test_a_link_is_read_and_never_written_through(tmp_path, precious):
    link = tmp_path / "link"
    link.symlink_to(precious)
    assert read_text(link) == "precious"
    for mode in ("wb", "ab", "r+b", "w+b"):
        with pytest.raises(OSError, match="symbolic link"):
            open(link, mode, opener=regular_file).close()
    assert precious.read_bytes() == b"precious"


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "a.toml").write_bytes("lr = 1".encode("utf-8-sig"))
    assert read_text(tmp_path / "a.toml") == "lr = 1"
    assert read_recipe(str(tmp_path / "a.toml"))[1] == {"lr": 1}


def test_a_written_file_replaces_a_link_and_leaves_its_target(tmp_path, precious):
    link = tmp_path / "link"
    link.symlink_to(precious)
    write_atomically(link, b"new")
    assert not link.is_symlink()
    assert (link.read_bytes(), precious.read_bytes()) == (b"new", b"precious")


def test_no_file_that_was_there_before_is_taken_for_a_temporary_one(tmp_path, precious, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * 2 * count)
    (tmp_path / f".a.{'0' * 16}").symlink_to(precious)
    with pytest.raises(OSError, match="File exists"):
        write_atomically(tmp_path / "a", b"new")
    assert precious.read_bytes() == b"precious"


def test_temporary_names_cannot_be_foretold(tmp_path, monkeypatch):
    seen = []

    def fail(old, new):
        seen.append(old.name)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.replace", fail)
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            write_atomically(tmp_path / "a", b"")
    assert len(set(seen)) == 3
    assert not any(str(os.getpid()) == name.rpartition(".")[2] for name in seen)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_not_replaced(tmp_path, kind):
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    before = os.lstat(path)
    with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
        write_atomically(path, b"new")
    assert os.lstat(path).st_ino == before.st_ino
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a" * 250, "ä" * 120, "[a]*"])
def test_long_and_odd_names_work_and_their_leftovers_are_found(tmp_path, name, monkeypatch):
    write_atomically(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", lambda old, new: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        patched.setattr("pathlib.Path.unlink", lambda self, missing_ok: None)  # as if it were killed
        with pytest.raises(OSError, match="Input/output"):
            write_atomically(tmp_path / name, b"y")
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_no_file_of_a_run_or_data_set_is_a_pipe_that_is_waited_for(tmp_path):
    for name in ("history.jsonl", "run.json", "images", "recipe.toml", ".lock"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(OSError, match="not a regular file"):
        HistoryFile(tmp_path / "history.jsonl")
    with pytest.raises(OSError, match="not a regular file"):
        read_history(tmp_path / "history.jsonl")
    with pytest.raises((OSError, ValueError), match="not a regular file"):
        read_run(tmp_path)
    with pytest.raises(DataError, match="not a regular file"):
        read_idx(tmp_path / "images")
    with pytest.raises(RecipeError, match="not a regular file"):
        read_recipe(str(tmp_path / "recipe.toml"))
    with pytest.raises(OSError, match="not a regular file"), RunFolder(tmp_path):
        pass


def test_history_and_lock_are_not_written_through_links(tmp_path, precious):
    (tmp_path / "run").mkdir()
    for name in ("history.jsonl", ".lock"):
        (tmp_path / "run" / name).symlink_to(precious)
    with pytest.raises(OSError, match="symbolic link"):
        HistoryFile(tmp_path / "run" / "history.jsonl")
    with pytest.raises(OSError, match="symbolic link"), RunFolder(tmp_path / "run"):
        pass
    assert precious.read_bytes() == b"precious"


def test_a_data_set_may_be_a_link(tmp_path):
    (tmp_path / "real").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 3, 4]))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    np.testing.assert_array_equal(read_idx(tmp_path / "link"), [3, 4])
