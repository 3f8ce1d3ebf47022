"""Data sets of any size and number of classes, from IDX files, .npz files and folders of pictures."""

import io
import re
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest

from synann_np.data import DataError, class_names, limits, load_dataset, load_mnist, shape_and_classes, write_idx

Image = pytest.importorskip("PIL.Image")


def data_of(shape=(6, 5), classes=3, n=11, m=4, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda count: rng.integers(0, 256, (count, *shape)).astype("uint8")  # noqa: E731
    return draw(n), np.arange(n) % classes, draw(m), np.arange(m) % classes


def write_idx_files(folder, data, suffix=""):
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for name, a in zip(names, data, strict=True):
        write_idx(folder / f"{name}-ubyte{suffix}", a)


def write_pictures(folder, data, names="cba", suffix=".png"):
    """train/CLASS/*.png and test/CLASS/*.png; class k is called names[k]."""
    for split, images, labels in (("train", *data[:2]), ("test", *data[2:])):
        for n, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / split / names[label]
            path.mkdir(parents=True, exist_ok=True)
            pixels = image if image.ndim == 2 else image.transpose(1, 2, 0)
            Image.fromarray(pixels).save(path / f"{n:03}{suffix}")


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def refused(place, reason):
    return pytest.raises(DataError, match=f"^{re.escape(str(place))}: [^\n]*{reason}[^\n]*; [^\n]+$")


# IDX


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("shape", "classes"), [((6, 5), 3), ((3, 8, 9), 62), ((28, 28), 11), ((4, 4), 1000)])
def test_idx_files_of_any_size_and_number_of_classes(tmp_path, shape, classes, suffix):
    data = data_of(shape, classes, n=1100)
    write_idx_files(tmp_path, data, suffix)
    found = load_dataset(tmp_path)
    assert_same(found, data)
    assert shape_and_classes(found) == ((1, *shape) if len(shape) == 2 else shape, classes)


def test_mnist_is_the_default():
    assert shape_and_classes(load_dataset()) == ((1, 28, 28), 10)


@pytest.mark.parametrize(("shape", "labels"), [((20, 20), range(4)), ((28, 28), [0, 1, 2, 61])])
def test_load_mnist_names_the_function_that_reads_other_data(tmp_path, shape, labels):
    images = data_of(shape)[2]
    write_idx_files(tmp_path, (images, np.array(labels), images, np.array(labels)))
    with pytest.raises(DataError, match=r"MNIST's are .*; load_dataset reads"):
        load_mnist(tmp_path)
    assert len(load_dataset(tmp_path)) == 4


def test_headers_are_compared_before_any_content_is_read(tmp_path):
    write_idx_files(tmp_path, data_of())
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 12, 6, 5))  # nothing follows: reading it would complain
    with refused(tmp_path / "train-labels-idx1-ubyte", "11 labels for the 12 images"):
        load_dataset(tmp_path)


def test_idx_labels_below_0_and_images_that_are_no_bytes_are_refused(tmp_path):
    images, labels, *test = data_of()
    write_idx_files(tmp_path, (images, labels - 1, *test))
    with refused(tmp_path / "train-labels-idx1-ubyte", "label -1"):
        load_dataset(tmp_path)
    write_idx_files(tmp_path, (images.astype(int) * 9, labels, *test))
    with refused(tmp_path / "train-images-idx3-ubyte", "int32 elements"):
        load_dataset(tmp_path)


# .npz

NAMES = ("x_train", "y_train", "x_test", "y_test")


@pytest.mark.parametrize("names", [NAMES, ("train_images", "train_labels", "test_images", "test_labels")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("named", [False, True], ids=["folder", "file"])
def test_npz_files_of_both_spellings(tmp_path, names, save, named):
    data = data_of()
    save(tmp_path / "d.npz", **dict(zip(names, data, strict=True)), val_images=np.zeros(3))
    assert_same(load_dataset(tmp_path / "d.npz" if named else tmp_path), data)


def test_npz_tables_colour_images_with_channels_last_and_labels_in_a_column(tmp_path):
    x, y, u, v = data_of((8, 9, 3))
    np.savez(tmp_path / "d.npz", **dict(zip(NAMES, (x, y[:, None], u, v[:, None]), strict=True)))
    assert_same(load_dataset(tmp_path), (x.transpose(0, 3, 1, 2), y, u.transpose(0, 3, 1, 2), v))
    np.savez(tmp_path / "d.npz", **dict(zip(NAMES, (x[:, :, 0, 0] / 7, y, u[:, :, 0, 0] / 7, v), strict=True)))
    found = load_dataset(tmp_path)
    np.testing.assert_array_equal(found[0], x[:, :, 0, 0] / 7)
    assert shape_and_classes(found) == ((8,), 3)


X, Y, U, V = data_of()


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ((X, Y, U), "none of the sets of names that are known, but x_train, y_train, x_test"),
        ((X, Y[:-1], U, V), r"x_train \(11, 6, 5\) and y_train \(10,\) do not fit"),
        ((X, Y - 1, U, V), "y_train holds int64 from -1"),
        ((X, Y + 0.5, U, V), "y_train holds float64"),
        ((X, Y, U[:, 1:], V), r"x_train is \(11, 6, 5\) but x_test \(4, 5, 5\)"),
        ((X, np.array(["a"] * 11), U, V), r"y_train.npy holds <U1"),
        ((X, np.array([None] * 11), U, V), r"y_train.npy holds object"),
        ((X[:0], Y[:0], U, V), "do not fit"),
    ],
)
def test_npz_files_that_do_not_fit_are_refused_by_name(tmp_path, arrays, reason):
    np.savez(tmp_path / "d.npz", **dict(zip(NAMES, arrays, strict=False)))
    with refused(tmp_path / "d.npz", reason):
        load_dataset(tmp_path)


def test_damaged_npz_files_are_refused_by_name(tmp_path):
    np.savez_compressed(tmp_path / "d.npz", **dict(zip(NAMES, (X, Y, U, V), strict=True)))
    good = (tmp_path / "d.npz").read_bytes()
    path, rng = tmp_path / "bad.npz", np.random.default_rng(1)
    (tmp_path / "d.npz").unlink()
    for content in (b"", b"PK", good[:-30], good[: len(good) // 2], *(flipped(good, rng) for _ in range(150))):
        path.write_bytes(content)
        with suppress(DataError):  # and nothing else
            assert len(load_dataset(path)) == 4  # the flipped bit does not matter


def flipped(content, rng):
    changed = bytearray(content)
    changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    return bytes(changed)


def npy(shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("honest", [True, False])
def test_an_npz_bomb_is_refused_before_it_is_unpacked(tmp_path, honest, monkeypatch):
    monkeypatch.setattr(limits, "FREE", 1 << 20)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("x_train.npy", npy((300, 100, 1000)) + bytes(30_000_000 if honest else 1000))
        for name, a in zip(NAMES[1:], (np.arange(300), X, Y), strict=True):
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, a)
    tracemalloc.start()
    try:
        with refused(path, "bytes on disk promise" if honest else "does not fit its size"):
            load_dataset(path)
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


# Pictures


@pytest.mark.parametrize("shape", [(6, 5), (3, 6, 5)])
def test_pictures_in_folders_by_class(tmp_path, shape):
    x, y, u, v = data_of(shape)
    write_pictures(tmp_path, (x, y, u, v))
    found = load_dataset(tmp_path)
    assert class_names(tmp_path) == ["a", "b", "c"]
    order, test_order = np.argsort(-y, kind="stable"), np.argsort(-v, kind="stable")  # by folder, then by name
    assert_same(found, (x[order], 2 - y[order], u[test_order], 2 - v[test_order]))


def test_one_picture_in_colour_makes_all_of_them_so(tmp_path):
    data = data_of()
    write_pictures(tmp_path, data)
    Image.fromarray(np.full((6, 5, 3), (9, 8, 7), "uint8")).save(tmp_path / "train" / "a" / "999.png")
    images, labels, *_ = load_dataset(tmp_path)
    assert images.shape == (12, 3, 6, 5)
    assert images[labels == 0][-1, :, 0, 0].tolist() == [9, 8, 7]
    np.testing.assert_array_equal(images[0, 0], images[0, 2])


def test_without_a_split_every_fifth_picture_is_for_the_test(tmp_path):
    images = data_of(n=22)[0]
    for n, image in enumerate(images):
        folder = tmp_path / ("dog" if n < 11 else "cat")
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{n:02}.PNG")
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "cat" / "._11.png").write_bytes(b"x")
    (tmp_path / "cat" / "notes.txt").write_text("x")
    x, _, u, v = load_dataset(tmp_path)
    np.testing.assert_array_equal(u, images[[15, 20, 4, 9]])
    assert v.tolist() == [0, 0, 1, 1]
    assert len(x) == 18
    assert class_names(tmp_path) == ["cat", "dog"]


def test_bad_folders_of_pictures_are_refused_by_name(tmp_path):
    data = data_of()
    write_pictures(tmp_path, data)
    bad = tmp_path / "train" / "b" / "bad.png"
    good = (tmp_path / "train" / "a" / "002.png").read_bytes()
    for content in (b"", b"no picture", good[:-30], good[:40]):
        bad.write_bytes(content)
        with refused(bad, "no picture that can be read"):
            load_dataset(tmp_path)
    Image.fromarray(np.zeros((7, 5), "uint8")).save(bad)
    with refused(tmp_path, r"different sizes, 6×5 and 7×5"):
        load_dataset(tmp_path)
    Image.fromarray(np.zeros((6, 5), "uint16")).save(bad)
    with refused(bad, "8 bits per channel are expected"):
        load_dataset(tmp_path)
    bad.unlink()
    (tmp_path / "test" / "d").mkdir()
    load_dataset(tmp_path)
    (tmp_path / "test" / "d" / "1.png").write_bytes(good)
    with refused(tmp_path / "test" / "d", "no such class in train"):
        load_dataset(tmp_path)
    (tmp_path / "train").rename(tmp_path / "elsewhere")
    with refused(tmp_path / "elsewhere" / "a", "no data set"):
        load_dataset(tmp_path / "elsewhere" / "a")


def png(width, height):
    """A picture of zeros, of few bytes whatever its size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("side", "reason"), [(17_000, "bytes on disk promise"), (12_000, "bytes on disk promise"), (99_999, "")]
)
def test_a_small_picture_that_promises_gigabytes_is_refused_before_it_is_decoded(tmp_path, side, reason):
    for split in ("train", "test"):
        (tmp_path / split / "a").mkdir(parents=True)
        (tmp_path / split / "a" / "1.png").write_bytes(png(side, side))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"bytes on disk promise|exceeds limit"):
            load_dataset(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def test_a_missing_pillow_is_told_with_what_to_do(tmp_path, monkeypatch):
    write_pictures(tmp_path, data_of())
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(DataError, match="Pillow is missing; python -m pip install pillow"):
        load_dataset(tmp_path)


# What is not a data set


def test_a_folder_without_data_is_refused_with_what_is_looked_for(tmp_path):
    with refused(tmp_path / "none", "no such folder"):
        load_dataset(tmp_path / "none")
    (tmp_path / "a").mkdir()
    with refused(tmp_path, "neither IDX files .* nor a .npz file nor pictures in train/CLASS"):
        load_dataset(tmp_path)
    for name in ("x.npz", "y.npz"):
        (tmp_path / name).write_bytes(b"")
    with refused(tmp_path, "2 .npz files"):
        load_dataset(tmp_path)
    with refused(tmp_path / "z.npz", "No such file"):
        load_dataset(tmp_path / "z.npz")


def test_pictures_beside_a_data_set_in_files_name_no_classes(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "curves.png").write_bytes(b"")
    for split in ("train", "t10k"):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte", np.zeros((2, 28, 28), "uint8"))
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte", np.arange(2, dtype="uint8"))
    assert class_names(tmp_path) is None
