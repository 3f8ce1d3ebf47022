import functools
import gzip
import hashlib
import http.server
import pathlib
import random
import re
import socket
import struct
import sys
import threading
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import strict_device
from synann_np.data import (
    DataError,
    batches,
    class_counts,
    download,
    epoch_permutation,
    load_mnist,
    normalise,
    read_idx,
    split_validation,
    write_idx,
)
from synann_np.data.idx import read_idx_shape

RNG = np.random.default_rng(7)


def idx_bytes(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def random_images(n):
    return RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)


def random_labels(n):
    return RNG.integers(0, 10, n, dtype=np.uint8)


@pytest.fixture
def parts():
    """The content of the four files of a tiny data set, by name."""
    return {
        "train-images-idx3-ubyte": random_images(7),
        "train-labels-idx1-ubyte": random_labels(7),
        "t10k-images-idx3-ubyte": random_images(3),
        "t10k-labels-idx1-ubyte": random_labels(3),
    }


@pytest.fixture
def folder(tmp_path, parts):
    for name, array in parts.items():
        (tmp_path / name).write_bytes(idx_bytes(array))
    return tmp_path


def refused(path, reason):
    """Expect a DataError of one line that names the path and says more than the reason: what to do."""
    return pytest.raises(DataError, match=f"^{re.escape(str(path))}: [^\n]*{reason}[^\n]*; [^\n]+$")


# read_idx


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 3, 2)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", ["some.gz", "some"])
def test_a_file_is_read_plain_or_packed_whatever_its_name(tmp_path, shape, pack, name):
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / name).write_bytes(pack(idx_bytes(array)))
    result = read_idx(tmp_path / name)
    np.testing.assert_array_equal(result, array, strict=True)
    assert result.flags.c_contiguous
    assert result.flags.writeable


def test_a_file_longer_than_one_block_is_read_whole(tmp_path):
    array = RNG.integers(0, 256, (3, 1000, 1000), dtype=np.uint8)
    path = tmp_path / "large"
    path.write_bytes(idx_bytes(array))
    np.testing.assert_array_equal(read_idx(path), array, strict=True)


GOOD = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an IDX file"),
        (GOOD[:3], "not an IDX file"),
        (b"\x89PNG" + GOOD, "not an IDX file .*0x89504e47"),
        (b"\0\0\x0d\3" + GOOD[4:], "type 0x0d in 3 dimensions"),
        (b"\0\0\x08\0" + GOOD[4:], "in 0 dimensions"),
        (b"\0\0\x08\5" + GOOD[4:], "in 5 dimensions"),
        (GOOD[:15], "truncated inside its header"),
        (GOOD[:-1], "truncated, 23 of 24 bytes"),
        (GOOD + b"\0", "trailing bytes after the 24"),
        (idx_bytes(np.empty((0, 28, 28), np.uint8)), "no items"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 0, 2**32 - 1, 2**32 - 1), "no items"),
        (gzip.compress(GOOD[:-1], mtime=0), "truncated, 23 of 24 bytes"),
        (gzip.compress(GOOD + b"\0", mtime=0), "trailing bytes after the 24"),
        (gzip.compress(GOOD, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(GOOD, mtime=0)[:-8] + bytes(8), "cannot be read .*CRC"),
        (gzip.compress(GOOD, mtime=0) + b"more", "cannot be read"),
        (gzip.compress(GOOD, mtime=0)[:10] + b"\xff" * 30, "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "some-images"
    path.write_bytes(content)
    with refused(path, reason):
        read_idx(path)


def test_a_file_that_is_missing_or_a_folder_is_refused_by_name(tmp_path):
    with refused(tmp_path / "nothing", r"\(No such file or directory\)"):
        read_idx(tmp_path / "nothing")
    with refused(tmp_path, "cannot be read"):
        read_idx(tmp_path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("shape", [(2**31,), (2**31, 28, 28)])
def test_a_header_that_promises_too_much_costs_no_memory(tmp_path, pack, shape):
    path = tmp_path / "liar"
    path.write_bytes(pack(struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(100)))
    assert peak_memory(path, "(truncated, 100 of|bytes on disk promise)") < 4e6


def test_a_gzip_bomb_costs_no_more_than_its_header_promises(tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 10) + bytes(100_000_000), compresslevel=1))
    assert peak_memory(path, "trailing bytes after the 10") < 4e6


@pytest.mark.parametrize("shape", [(300_000_000,), (2_000_000, 28, 28)])
def test_a_gzip_bomb_that_keeps_its_promise_is_refused_before_it_is_unpacked(tmp_path, shape):
    path = tmp_path / "bomb"
    content = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(10_000_000)
    path.write_bytes(gzip.compress(content, compresslevel=1, mtime=0))
    assert peak_memory(path, "bytes on disk promise .* which no real data set does") < 4e6


def peak_memory(path, reason):
    tracemalloc.start()
    try:
        with refused(path, reason):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def parse_slowly(content):
    """The format once more, all in memory: the array, or None for a file to be refused."""
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except Exception:
            return None
    if len(content) < 4 or content[:3] != b"\0\0\x08" or content[3] not in (1, 2, 3):
        return None
    start = 4 + 4 * content[3]
    if len(content) <= start:
        return None
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    size = 1
    for length in shape:
        size *= length
    return np.array(list(content[start:]), np.uint8).reshape(shape) if len(content) - start == size else None


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch") / "damaged"


@hypothesis.settings(max_examples=400, deadline=None, derandomize=True, database=None)
@hypothesis.given(
    packed=st.booleans(),
    flips=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4),
    cut=st.none() | st.integers(0, 60),
    tail=st.binary(max_size=3),
)
def test_a_damaged_file_gives_the_right_array_or_is_refused(scratch, packed, flips, cut, tail):
    content = bytearray(gzip.compress(GOOD, mtime=0) if packed else GOOD)
    for position, value in flips:
        content[position % len(content)] ^= value
    content = bytes(content[:cut] + tail)
    scratch.write_bytes(content)
    expected = parse_slowly(content)
    if expected is None:
        with refused(scratch, ""):
            read_idx(scratch)
    else:
        np.testing.assert_array_equal(read_idx(scratch), expected, strict=True)


@pytest.mark.slow
def test_thousands_of_damaged_files_give_the_right_array_or_are_refused(scratch, capsys):
    """As above, with damage where it hurts: the magic number, lengths that lie, spliced and repeated content."""
    chance = random.Random(5)
    tried, bad = 4000, 0
    for _ in range(tried):
        packed = chance.random() < 0.4
        content = bytearray(gzip.compress(GOOD, mtime=0) if packed else GOOD)
        for _ in range(chance.randint(1, 3)):
            kind, at = chance.randrange(5), chance.randrange(len(content))
            if kind == 0:
                content[at] ^= 1 << chance.randrange(8)
            elif kind == 1:
                place = 4 + 4 * chance.randrange(3)
                content[place : place + 4] = chance.choice([0, 1, 2, 3, 4, 24, 2**31, 2**32 - 1]).to_bytes(4, "big")
            elif kind == 2:
                content[2:4] = bytes([chance.choice([0, 8, 9, 13]), chance.randrange(6)])
            elif kind == 3:
                del content[at + 1 :]
            else:
                content[at:at] = content[: chance.randrange(10)]
        content = bytes(content)
        scratch.write_bytes(content)
        expected = parse_slowly(content)
        if expected is None or expected.size == 0:
            bad += 1
            with refused(scratch, ""):
                read_idx(scratch)
        else:
            np.testing.assert_array_equal(read_idx(scratch), expected, strict=True)
    with capsys.disabled():
        print(f"\nIDX reader: inputs tried {tried}, refused {bad}, read right {tried - bad}, failures 0")


# write_idx


@pytest.mark.parametrize("name", ["a", "a.gz"])
@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8), "uint8"),
        (RNG.integers(0, 256, (2, 3, 4, 5), dtype=np.uint8), "uint8"),
        (np.array([0, 255, 7], "int64"), "uint8"),
        (np.array([0, 256, 70000]), "int32"),
        (np.array([-1, 3], "int16"), "int32"),
        (np.asfortranarray(RNG.integers(0, 256, (5, 4), dtype=np.uint8))[::2], "uint8"),
    ],
)
def test_what_is_written_is_read_again_and_the_same_array_gives_the_same_file(tmp_path, name, array, dtype):
    write_idx(tmp_path / name, array)
    result = read_idx(tmp_path / name)
    np.testing.assert_array_equal(result, array)
    assert result.dtype == dtype
    assert result.flags.writeable
    assert read_idx_shape(tmp_path / name) == array.shape
    before = (tmp_path / name).read_bytes()
    write_idx(tmp_path / name, array)
    assert (tmp_path / name).read_bytes() == before
    assert before[:2] == (b"\x1f\x8b" if name == "a.gz" else b"\0\0")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), "expected integers, got float64; for pixels in 0..1"),
        (np.zeros((0, 3), int), "at least one item"),
        (np.int64(3), "1 to 4 dimensions"),
        (np.zeros((1,) * 5, int), "1 to 4 dimensions"),
        (np.array([2**31]), "more than 32 bits"),
        (["a"], "expected integers"),
    ],
)
def test_what_idx_cannot_hold_is_refused_and_the_old_file_is_kept(tmp_path, array, message):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises((TypeError, ValueError), match=message):
        write_idx(tmp_path / "a", array)
    assert (tmp_path / "a").read_bytes() == b"old"


# load_mnist


def test_the_repository_holds_the_genuine_files():
    train_images, train_labels, test_images, test_labels = load_mnist()
    assert train_images.shape == (60000, 28, 28)
    assert test_images.shape == (10000, 28, 28)
    contents = [
        hashlib.sha256(idx_bytes(a)).hexdigest() for a in (train_images, train_labels, test_images, test_labels)
    ]
    assert contents == [content for _, content in download.FILES.values()]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_both_spellings_are_found_plain_and_packed(tmp_path, parts, suffix, separator):
    for name, array in parts.items():
        content = gzip.compress(idx_bytes(array), mtime=0) if suffix else idx_bytes(array)
        (tmp_path / (name.replace("-idx", separator + "idx") + suffix)).write_bytes(content)
    for loaded, array in zip(load_mnist(str(tmp_path)), parts.values(), strict=True):
        np.testing.assert_array_equal(loaded, array, strict=True)


def test_a_folder_that_is_not_there_is_refused_by_name(tmp_path):
    with refused(tmp_path / "nothing", "no such folder"):
        load_mnist(tmp_path / "nothing")


def test_a_missing_file_is_refused_with_the_names_looked_for(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    names = ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"]
    with refused(folder, ", ".join(names + [name + ".gz" for name in names])):
        load_mnist(folder)


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("train-images-idx3-ubyte", random_labels(7), r"shape \(7,\)"),
        ("train-images-idx3-ubyte", random_images(7)[:, 1:], r"shape \(7, 27, 28\)"),
        ("t10k-labels-idx1-ubyte", random_images(3), r"shape \(3, 28, 28\)"),
        ("train-labels-idx1-ubyte", random_labels(6), "6 labels for the 7 images of train-images-idx3-ubyte"),
        ("t10k-labels-idx1-ubyte", np.array([0, 10, 9], np.uint8), "label 10"),
    ],
)
def test_files_that_do_not_fit_are_refused_by_name(folder, name, array, reason):
    (folder / name).write_bytes(idx_bytes(array))
    with refused(folder / name, reason):
        load_mnist(folder)


# Download, from a server on this machine


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(tmp_path, parts, monkeypatch):
    """A running mirror of a tiny data set, an empty cache, and a package without its repository."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("synann_np.data.mnist.REPOSITORY_DATA", tmp_path / "none")
    monkeypatch.setattr(pytest.importorskip("pooch"), "os_cache", lambda project: tmp_path / "cache" / project)
    source = tmp_path / "mirror"
    source.mkdir()
    files = {}
    for name, array in parts.items():
        content = idx_bytes(array)
        packed = gzip.compress(content, mtime=0)
        (source / f"{name}.gz").write_bytes(packed)
        files[f"{name}.gz"] = hashlib.sha256(packed).hexdigest(), hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(download, "FILES", files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=source)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.source, server.cache = source, tmp_path / "cache" / "synann_np"
        server.url = f"http://127.0.0.1:{server.server_port}/"
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def dead_mirror():
    # Bound but not listening: connections are refused, and nobody else gets the port.
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unheard.getsockname()[1]}/"


def test_without_the_repository_mnist_is_downloaded_once(mirror, dead_mirror, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MIRRORS", (mirror.url,))
    for loaded, array in zip(load_mnist(), parts.values(), strict=True):
        np.testing.assert_array_equal(loaded, array, strict=True)
    cache = tmp_path / "cache" / "synann_np" / "mnist"
    assert sorted(path.name for path in cache.iterdir()) == sorted(download.FILES)

    monkeypatch.setattr(download, "MIRRORS", (dead_mirror,))
    load_mnist()


def test_a_file_damaged_in_the_cache_is_fetched_again(mirror, parts, monkeypatch):
    monkeypatch.setattr(download, "MIRRORS", (mirror.url,))
    damaged = download.fetch_mnist() / "train-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    np.testing.assert_array_equal(load_mnist()[0], parts["train-images-idx3-ubyte"], strict=True)


def test_the_second_mirror_is_used_when_the_first_is_dead(mirror, dead_mirror, monkeypatch):
    monkeypatch.setattr(download, "MIRRORS", (dead_mirror, mirror.url))
    assert len(load_mnist()) == 4


def test_the_second_mirror_is_used_when_the_first_delivers_a_damaged_file(mirror, monkeypatch):
    (mirror.source / "bad").mkdir()
    for name in download.FILES:
        (mirror.source / "bad" / name).write_bytes((mirror.source / name).read_bytes()[:-1])
    monkeypatch.setattr(download, "MIRRORS", (mirror.url + "bad/", mirror.url))
    assert len(load_mnist()) == 4


def test_two_dead_mirrors_are_told_with_what_to_do(mirror, dead_mirror, monkeypatch):
    lost = mirror.url + "lost/"
    monkeypatch.setattr(download, "MIRRORS", (dead_mirror, lost))
    path = mirror.cache / "mnist" / "train-images-idx3-ubyte.gz"
    with refused(path, f"no mirror delivers it .*{dead_mirror}.*{lost}.*404[^;]*"):
        load_mnist()


def test_a_cache_that_cannot_be_written_is_told_with_what_to_do(mirror, tmp_path, monkeypatch):
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    monkeypatch.setattr(download, "MIRRORS", (mirror.url,))
    with refused(tmp_path / "cache" / "synann_np" / "mnist" / "train-images-idx3-ubyte.gz", "no mirror"):
        load_mnist()


def test_other_content_behind_the_right_packed_hash_is_refused(mirror, monkeypatch):
    monkeypatch.setattr(download, "MIRRORS", (mirror.url,))
    name = "t10k-labels-idx1-ubyte.gz"
    monkeypatch.setitem(download.FILES, name, (download.FILES[name][0], "0" * 64))
    with refused(mirror.cache / "mnist" / name, "content"):
        load_mnist()


def test_a_missing_pooch_is_told_with_what_to_do(mirror, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError, match=r"^pooch is not installed[^\n]*; put the four MNIST files"):
        load_mnist()


# From arrays to batches


def test_a_validation_split_is_disjoint_complete_and_keeps_pairs():
    labels = np.arange(50)
    images = labels[:, None] * np.ones((1, 4), int)
    (train_x, train_t), (val_x, val_t) = split_validation(images, labels, size=12, seed=3)
    assert len(val_t) == 12
    assert sorted([*train_t, *val_t]) == list(range(50))
    np.testing.assert_array_equal(train_x[:, 0], train_t)
    np.testing.assert_array_equal(val_x[:, 0], val_t)
    assert not np.shares_memory(train_x, images)


def test_a_validation_split_depends_on_its_seed_alone():
    images = labels = np.arange(50)
    first, again, other = (split_validation(images, labels, 12, seed)[1][1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)
    assert set(first) != set(range(12))


@pytest.mark.parametrize("size", [-1, 0, 50, 51])
def test_a_validation_split_that_leaves_one_side_empty_is_refused(size):
    with pytest.raises(ValueError, match="leaves one side empty"):
        split_validation(np.arange(50), np.arange(50), size)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-14)])
def test_normalise_equals_its_formula_in_the_dtype_asked_for(dtype, tolerance):
    images = RNG.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    before = images.copy()
    x = normalise(images, dtype, mean=np.float64(0.25), std=np.float64(0.5))
    assert x.shape == (3, 1, 4, 5)
    assert x.dtype == dtype
    for n, i, j in np.ndindex(3, 4, 5):
        assert x[n, 0, i, j] == pytest.approx((int(images[n, i, j]) / 255 - 0.25) / 0.5, rel=tolerance, abs=tolerance)
    np.testing.assert_array_equal(images, before)


def test_normalise_returns_contiguous_images_whatever_the_order_of_the_bytes():
    for images in (random_images(9)[::3, :, ::2], np.asfortranarray(random_images(3))):
        x = normalise(images)
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(x, normalise(images.copy(order="C")))


def test_normalised_training_images_have_about_mean_0_and_variance_1():
    x = normalise(load_mnist()[0][:10000])
    assert x.dtype == "float32"
    assert abs(x.mean(dtype="float64")) < 0.01
    assert abs(x.var(dtype="float64") - 1) < 0.01


@pytest.mark.parametrize("images", [np.zeros((2, 28, 28)), np.zeros((2, 784), np.uint8)])
def test_normalise_refuses_what_is_no_stack_of_byte_images(images):
    with pytest.raises(ValueError, match=r"uint8 images \(N, H, W\)"):
        normalise(images)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("shuffled", [False, True])
def test_batches_hold_every_image_once_in_order_with_its_label(batch_size, shuffled):
    images, labels = random_images(7), np.arange(7)
    order = RNG.permutation(7) if shuffled else None
    result = list(batches(images, labels, batch_size, order))
    sizes = [len(t) for _, t in result]
    assert sizes == [len(x) for x, _ in result]
    assert all(size == batch_size for size in sizes[:-1])
    visited = np.concatenate([t for _, t in result])
    np.testing.assert_array_equal(visited, np.arange(7) if order is None else order)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in result]), normalise(images)[visited])
    assert all(x.flags.c_contiguous for x, _ in result)


def test_batches_follow_the_dtype_and_may_walk_through_a_part():
    images, labels = random_images(7), np.arange(7)
    (x, t), (_, rest) = batches(images, labels, 2, np.array([5, 1, 3]), dtype="float64")
    assert x.dtype == "float64"
    np.testing.assert_array_equal(t, [5, 1])
    np.testing.assert_array_equal(rest, [3])


def test_batches_refuse_wrong_arguments_at_once():
    images, labels = random_images(4), np.arange(4)
    with pytest.raises(ValueError, match="4 images but 3 labels"):
        batches(images, labels[:3], 2)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got -1"):
        batches(images, labels, -1)
    with pytest.raises(ValueError, match="permutation must hold integers, got bool"):
        batches(images, labels, 2, labels > 1)


@pytest.mark.parametrize("shuffled", [False, True])
def test_batches_and_counts_on_a_device_equal_those_on_the_host_and_never_leave_it(shuffled):
    device = strict_device.backend()
    images, labels = random_images(7), random_labels(7)
    order = epoch_permutation(7, seed=5, epoch=1) if shuffled else None
    there = batches(*map(device.asarray, (images, labels)), 3, device.asarray(order) if shuffled else None)
    for (x, t), (host_x, host_t) in zip(there, batches(images, labels, 3, order), strict=True):
        assert isinstance(x, strict_device.ndarray)
        np.testing.assert_array_equal(device.to_host(x), host_x, strict=True)
        np.testing.assert_array_equal(device.to_host(t), host_t, strict=True)
    counts = class_counts(device.asarray(labels))
    np.testing.assert_array_equal(device.to_host(counts), class_counts(labels))


def test_an_epoch_permutation_depends_on_seed_and_epoch_alone():
    first = epoch_permutation(1000, seed=5, epoch=3)
    assert first.dtype == "int64"
    np.testing.assert_array_equal(np.sort(first), np.arange(1000))
    epoch_permutation(1000, 5, 4)
    np.testing.assert_array_equal(first, epoch_permutation(1000, 5, 3))
    for seed, epoch in [(5, 4), (6, 3), (3, 5)]:
        assert not np.array_equal(first, epoch_permutation(1000, seed, epoch))


def test_class_counts_count_absent_classes_too_and_refuse_unknown_ones():
    np.testing.assert_array_equal(class_counts(np.array([2, 0, 2], np.uint8), classes=4), [1, 0, 2, 0])
    np.testing.assert_array_equal(class_counts(np.array([9])), [0] * 9 + [1])
    with pytest.raises(ValueError, match=r"label 4 found where 0\.\.3"):
        class_counts(np.array([4]), classes=4)


def test_the_readme_of_the_data_lists_the_hashes_that_the_code_and_the_files_have():
    root = pathlib.Path(__file__).resolve().parents[1] / "data"
    listed = set(re.findall("[0-9a-f]{64}", (root / "README.md").read_text(encoding="utf-8")))
    here = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (root / "mnist").glob("*.gz")}
    assert listed == here.union(*download.FILES.values())
