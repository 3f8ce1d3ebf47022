"""Files that are there whole or not at all."""

import errno

import pytest

from synann_np.storage.atomic_file import remove_leftovers, write_atomically


def test_a_file_is_made_and_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "a.bin"
    for content in (b"first", b"second, longer", b""):
        write_atomically(str(path), content)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_a_failure_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch, step):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="No space left on device") as failure:
        write_atomically(path, b"new")
    assert failure.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file_too(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path):
    for name in (".a.bin.123", ".a.bin.keep", ".b.bin.123", "a.bin"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "a.bin")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.bin.keep", ".b.bin.123", "a.bin"]
