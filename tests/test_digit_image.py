"""Photographs made into what MNIST's digits are."""

import os
import tracemalloc
import zlib
from functools import cache

import numpy as np
import pytest
from PIL import Image

from synann_np.data import load_mnist
from synann_np.programs.digits.digit_image import to_mnist
from synann_np.programs.digits.paper import otsu_threshold
from synann_np.programs.digits.parts import components
from synann_np.programs.digits.photo_file import PhotoError, find_photos, read_photo


@pytest.fixture(scope="module")
def digits():
    return load_mnist()[2][:30]


@pytest.fixture(scope="module")
def clean(digits):
    """Function: number of a digit, whether light on dark -> what is read where nothing else is on the paper."""
    return cache(
        lambda number, negative=False: to_mnist(1 - sheet(digits[number]) if negative else sheet(digits[number]))
    )


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


def nearest(a, b):
    """The similarity, after the centres were rounded to one pixel or the next."""
    moves = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return max(similarity(np.roll(a, move, axis=(0, 1)), b) for move in moves)


@pytest.mark.parametrize("light_ink", [False, True])
def test_a_photographed_digit_of_mnist_comes_back_as_it_was(digits, rng, light_ink):
    found = np.array([nearest(to_mnist(photograph(digit, rng, light_ink)), digit) for digit in digits[:15]])
    assert np.median(found) > 0.97
    assert found.min() > 0.75  # thin strokes are broadened


def test_the_result_is_light_on_dark_in_a_box_of_20_and_centred_by_mass(digits, rng):
    for digit in digits[15:25]:
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
    assert [part.area for part in parts] == [2, 2, 1]
    assert (parts[2].rows.tolist(), parts[2].columns.tolist()) == ([3], [0])


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


# Photographs that used to be refused, or answered wrongly


def sheet(digit, scale=5, ground=0.9, ink=0.22, at=(50, 50), side=240):
    """An MNIST digit on a sheet (side, side) of brightness `ground`, which may be a picture, with a little grain."""
    drawn = np.zeros((side, side))
    size = 28 * scale
    drawn[at[0] : at[0] + size, at[1] : at[1] + size] = np.kron(digit / 255, np.ones((scale, scale)))
    grain = np.random.default_rng(1).normal(0, 0.01, drawn.shape)
    return (ground * (1 - drawn) + ink * drawn + grain).clip(0, 1)


def grounds():
    y, x = np.mgrid[:240, :240]
    square = np.maximum(abs(x - 120), abs(y - 120))
    return {
        "lines": np.where(y % 30 < 2, 0.65, 0.9),
        "dark lines": np.where(y % 30 < 2, 0.4, 0.9),
        "squared paper": np.where((y % 20 < 1) | (x % 20 < 1), 0.65, 0.9),
        "lines as dark as the ink": np.where(y % 30 < 2, 0.25, 0.9),
        "frame": np.where((square > 78) & (square < 82), 0.25, 0.9),
        "circle drawn around": np.where(abs(np.hypot(x - 120, y - 120) - 100) < 2, 0.25, 0.9),
        "table at the left": np.where(x < 35, 0.15, 0.9),
        "table below": np.where(y > 215, 0.15, 0.9),
        "flash": 0.6 + 0.35 * np.exp(-((x - 120) ** 2 + (y - 110) ** 2) / 6000),
        "shadow": np.where(x + 0.3 * y > 156, 0.9, 0.75),
    }


@pytest.mark.parametrize("name", grounds())
@pytest.mark.parametrize("negative", [False, True], ids=["dark on light", "light on dark"])
def test_what_else_is_on_the_paper_makes_no_difference(digits, clean, name, negative):
    ground = grounds()[name]
    for number in (1, 2, 3):
        grey = sheet(digits[number], ground=ground)
        seen = to_mnist(1 - grey if negative else grey)
        assert nearest(seen, clean(number, negative)) > 0.85  # edges of strokes are cut a little closer


@pytest.mark.parametrize(("angle", "dark"), [(5, 0.4), (20, 0.4), (20, 0.65), (45, 0.65)])
def test_squared_paper_at_an_angle_makes_no_difference_as_long_as_its_lines_are_paler_than_the_ink(
    digits, clean, rng, angle, dark
):
    for number in (1, 2, 3):
        seen = to_mnist(sheet(digits[number], ground=squared(angle, dark)) + rng.normal(0, 0.01, (240, 240)))
        assert nearest(seen, clean(number)) > 0.85


@pytest.mark.parametrize("angle", [2, 20, 45])
def test_squared_paper_at_an_angle_with_lines_as_dark_as_the_ink_is_refused_with_the_cause(digits, rng, angle):
    for digit in digits[1:4]:
        with pytest.raises(PhotoError, match="from edge to edge, as lines of the paper do"):
            to_mnist(sheet(digit, ground=squared(angle, 0.25, width=2)) + rng.normal(0, 0.01, (240, 240)))


def squared(angle, dark, width=1, step=20):
    y, x = np.mgrid[:240, :240]
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    across = [abs((a + step / 2) % step - step / 2) for a in (x * cosine + y * sine, y * cosine - x * sine)]
    return 0.9 - (0.9 - dark) * np.clip(width / 2 + 0.5 - np.minimum(*across), 0, 1)


@pytest.mark.parametrize("margin", [0, 0.05, 0.2])
def test_a_digit_cut_out_at_its_outline_is_found(digits, clean, margin):
    found = []
    for number, digit in enumerate(digits):
        rows, columns = (np.flatnonzero(digit.max(axis=axis) > 60) for axis in (1, 0))
        cut = np.kron(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.ones((8, 8)))
        cut = np.pad(cut, int(margin * max(cut.shape)))
        try:
            found.append(similarity(to_mnist(1 - cut / 255), clean(number)))
        except PhotoError:
            found.append(0)
    assert np.mean(np.array(found) > 0.8) >= 0.95


def test_two_digits_are_told(digits):
    for first, second in zip(digits[:8:2], digits[1:8:2], strict=True):
        left, right = (sheet(d, 4, at=(64, column)) for d, column in ((first, 8), (second, 120)))
        with pytest.raises(PhotoError, match=r"2 digits.*one digit at a time"):
            to_mnist(np.minimum(left, right))


def test_a_digit_in_two_strokes_is_one():
    grey = np.full((200, 200), 0.9)
    grey[40:100, 60:72] = grey[88:100, 60:130] = grey[70:170, 140:152] = 0.2  # a 4 whose strokes do not touch
    assert (to_mnist(grey) > 128).sum() > 40


@pytest.mark.parametrize(
    ("grey", "reason"),
    [
        (np.full((50, 50), 0.8), "blank"),
        (np.random.default_rng(2).normal(0.8, 0.02, (80, 80)).clip(0, 1), "too little contrast"),
        (np.random.default_rng(1).random((80, 80)), "texture|contrast"),
        (np.where(np.add.outer(np.arange(240), np.arange(240)) % 20 < 5, 0.2, 0.9), "edge to edge|texture"),
    ],
    ids=["blank", "grain", "noise", "hatching"],
)
def test_a_refusal_names_the_cause(grey, reason):
    with pytest.raises(PhotoError, match=reason):
        to_mnist(grey)


def test_a_picture_of_108_megapixels_is_read_in_reduced_size(tmp_path, monkeypatch):
    from PIL.JpegImagePlugin import JpegImageFile

    decoded, load = [], JpegImageFile.load
    monkeypatch.setattr(JpegImageFile, "load", lambda image: (decoded.append(image.size), load(image))[1])
    Image.new("L", (12_000, 9_000), 200).save(tmp_path / "a.jpg", quality=30)
    tracemalloc.start()
    try:
        assert read_photo(tmp_path / "a.jpg").shape == (192, 256)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert set(decoded) == {(1500, 1125)}  # an eighth, the smallest that the format offers


def resized(path, width, height):
    """Claim another size in the header of a PNG."""
    content = bytearray(path.read_bytes())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)


def test_a_png_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    grey_picture().convert("RGBA").save(tmp_path / "a.png")
    for size in ((60_000, 60_000), (10_000, 9_000)):
        resized(tmp_path / "a.png", *size)
        with pytest.raises(PhotoError, match=f"{size[0]}×{size[1]} pixels, expected at most 50 million in a PNG"):
            read_photo(tmp_path / "a.png")


def test_other_pictures_are_named(tmp_path):
    for name, content in {"a.heic": b"\0\0\0\x18ftypheic", "b.jpg": b"RIFF\0\0\0\0WEBP", "c.png": b""}.items():
        (tmp_path / name).write_bytes(content)
    for name, reason in {"a.heic": "HEIC", "b.jpg": "not PNG or JPEG", "c.png": "empty"}.items():
        with pytest.raises(PhotoError, match=reason):
            read_photo(tmp_path / name)


def test_hidden_files_and_folders_in_a_folder_are_passed_over(tmp_path):
    for name in ("._5.jpg", ".DS_Store", ".hidden.png", "5.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_photos([tmp_path])] == ["5.jpg"]


def test_what_cannot_be_looked_at_is_named(tmp_path, monkeypatch):
    with pytest.raises(PhotoError, match=r"cannot be read .File name too long"):
        find_photos([tmp_path / ("a" * 300)])

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(PhotoError, match=r"cannot be read .Permission denied"):
        find_photos([tmp_path])
