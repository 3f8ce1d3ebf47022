"""Photographs made into what MNIST's digits are."""

import os
import zlib

import numpy as np
import pytest
from PIL import Image

from synann_np.data import load_mnist
from synann_np.programs.digits.digit_image import components, otsu_threshold, to_mnist
from synann_np.programs.digits.photo_file import PhotoError, find_photos, read_photo


@pytest.fixture(scope="module")
def digits():
    return load_mnist()[2][:30]


def photograph(digit, rng, light_ink=False, scale=5, slope=0.15, grain=0.02):
    """An MNIST digit (28, 28) as a large picture, off centre, on unevenly lit, grainy paper."""
    ink = np.zeros((200, 240))
    top, left = rng.integers(5, 200 - 28 * scale - 5), rng.integers(5, 240 - 28 * scale - 5)
    ink[top : top + 28 * scale, left : left + 28 * scale] = np.kron(digit / 255, np.ones((scale, scale)))
    y, x = np.mgrid[-1:1:200j, -1:1:240j]
    grey = (0.75 + slope * y * rng.normal() + slope * x * rng.normal()).clip(0.4, 0.95) * (1 - 0.7 * ink)
    grey = (grey + rng.normal(0, grain, grey.shape)).clip(0, 1)
    return 1 - grey if light_ink else grey


def similarity(a, b):
    return np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]


@pytest.mark.parametrize("light_ink", [False, True])
def test_a_photographed_digit_of_mnist_comes_back_as_it_was(digits, rng, light_ink):
    def nearest(a, b):  # centres round to one pixel or the next
        moves = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        return max(similarity(np.roll(a, move, axis=(0, 1)), b) for move in moves)

    found = np.array([nearest(to_mnist(photograph(digit, rng, light_ink)), digit) for digit in digits])
    assert np.median(found) > 0.97
    assert found.min() > 0.75  # thin strokes are broadened


def test_the_result_is_light_on_dark_in_a_box_of_20_and_centred_by_mass(digits, rng):
    for digit in digits[:20]:
        seen = to_mnist(photograph(digit, rng))
        assert seen.shape == (28, 28)
        assert seen.dtype == "uint8"
        assert seen.max() == 255
        assert seen[0, 0] == 0
        rows, columns = np.nonzero(seen)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        mass = seen / seen.sum()
        for axis in (0, 1):
            centre = (mass.sum(axis=1 - axis) * np.arange(28)).sum()
            at_the_edge = seen.any(axis=1 - axis)[[0, -1]].any()
            assert abs(centre - 14) <= 0.6 or at_the_edge


def test_inverted_mirrored_light_and_size_make_no_difference(digits, rng):
    grey = photograph(digits[3], rng, grain=0)
    same = to_mnist(grey)
    assert similarity(to_mnist(1 - grey), same) > 0.99
    assert similarity(to_mnist(0.3 + 0.4 * grey), same) > 0.99
    assert similarity(to_mnist(np.pad(grey, ((0, 50), (30, 0)), mode="edge")), same) > 0.95


def test_specks_and_a_dark_edge_are_passed_over(digits, rng):
    grey = photograph(digits[1], rng, slope=0)
    clean = to_mnist(grey)
    grey[3:5, 20:22] = 0.1
    grey[:, :3] = 0.05
    assert similarity(to_mnist(grey), clean) > 0.9


def test_a_thin_line_is_broadened_until_it_survives(rng):
    grey = np.full((200, 200), 0.9)
    grey[30:170, 100:102] = 0.2
    seen = to_mnist(grey)
    assert (seen > 127).sum(axis=1).max() >= 2
    assert (seen.max(axis=1) > 200).sum() >= 18


@pytest.mark.parametrize(
    "grey",
    [
        np.full((50, 50), 0.8),
        np.zeros((50, 50)),
        np.random.default_rng(1).random((80, 80)),
        np.random.default_rng(2).normal(0.8, 0.02, (80, 80)).clip(0, 1),
        np.linspace(0, 1, 2500).reshape(50, 50),
        np.zeros((5, 5)),
        np.zeros((50, 50, 3)),
    ],
    ids=["white", "black", "noise", "grain", "gradient", "tiny", "colour"],
)
def test_a_picture_without_a_digit_is_refused(grey):
    with pytest.raises(PhotoError, match=r"no digit found|at least 8×8"):
        to_mnist(grey)


def test_otsus_threshold_is_between_two_groups(rng):
    values = np.concatenate([rng.normal(0.2, 0.03, 900), rng.normal(0.8, 0.03, 100)])
    assert 0.3 < otsu_threshold(values) < 0.7


def test_components_are_joined_over_corners_and_sorted_by_size():
    mask = np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]], bool)
    parts = components(mask)
    assert sorted(len(rows) for rows, _ in parts) == [1, 2, 2]
    assert len(parts[0][0]) == 2
    assert sorted(zip(*(a.tolist() for a in parts[2]), strict=True)) == [(3, 0)]


# Files


def grey_picture():
    return Image.fromarray(np.tile(np.arange(0, 240, 2, dtype="uint8"), (80, 1)))


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "LA", "RGBA", "CMYK", "I;16"])
def test_every_mode_of_png_and_jpeg_is_read_as_grey(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey_picture()).astype("uint16") * 257)
    else:
        image = grey_picture().convert("RGB").convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path)
    grey = read_photo(path)
    assert grey.shape == (80, 120)
    assert grey[:, :40].mean() < 0.35
    assert 0.6 < grey[:, -40:].mean() <= 1


@pytest.mark.parametrize("colour", [0, 255])
def test_what_is_transparent_becomes_paper(tmp_path, colour):
    pixels = np.zeros((60, 60, 2), "uint8")
    pixels[20:40, 28:32] = colour, 255
    Image.fromarray(pixels, "LA").save(tmp_path / "a.png")
    grey = read_photo(tmp_path / "a.png")
    assert abs(grey[30, 30] - grey[5, 5]) > 0.9


def test_a_photograph_is_turned_as_the_camera_says_and_shrunk(tmp_path):
    image = grey_picture().resize((1200, 800))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.jpg", exif=exif)
    height, width = read_photo(tmp_path / "a.jpg").shape
    assert height > width
    assert max(height, width) <= 256


def test_bad_files_are_refused_by_name(tmp_path):
    good = tmp_path / "good.png"
    grey_picture().save(good)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:-60])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "a.gif").write_bytes(b"GIF89a" + bytes(50))
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("cut.png", "text.png", "empty.jpg", "a.gif", "pipe.png", "nothing.png", "."):
        with pytest.raises(PhotoError, match=f"^{tmp_path / name}: [^\n]*$"):
            read_photo(tmp_path / name)


def test_a_picture_that_promises_billions_of_pixels_is_refused(tmp_path):
    grey_picture().save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PhotoError, match="more pixels than a photograph has"):
        read_photo(tmp_path / "a.png")


def test_folders_are_searched_for_pictures(tmp_path):
    for name in ("b.png", "a.JPG", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    assert [path.name for path in find_photos([tmp_path, tmp_path / "c.txt"])] == ["a.JPG", "b.png", "c.txt"]
    with pytest.raises(PhotoError, match="no PNG or JPEG"):
        find_photos([tmp_path / "empty"])


def test_damaged_pictures_are_refused_or_read(tmp_path, rng, capsys):
    paths = tmp_path / "a.png", tmp_path / "a.jpg"
    tried = refused = 0
    for path in paths:
        grey_picture().save(path)
        good = path.read_bytes()
        for _ in range(400):
            content = bytearray(good)
            for place in rng.integers(0, len(good), rng.integers(1, 4)):
                content[place] = rng.integers(256)
            path.write_bytes(content[: rng.integers(len(good)) if rng.random() < 0.2 else None])
            tried += 1
            try:
                grey = read_photo(path)
            except PhotoError:
                refused += 1
            else:
                assert grey.ndim == 2
                assert 0 <= grey.min() <= grey.max() <= 1
    with capsys.disabled():
        print(f"\npicture reader: inputs tried {tried}, refused {refused}, failures 0")
