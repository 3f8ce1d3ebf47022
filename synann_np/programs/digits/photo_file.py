"""Photographs from files: PNG and JPEG as grey pictures of a moderate size. Pillow is imported where it is used."""

import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ...storage.regular_file import regular_file

LARGEST_SIDE = 256  # of the picture that is returned: enough for a digit
# A PNG is decoded in full, 4 bytes a pixel; of a progressive JPEG all coefficients are kept, of any other a few rows.
MOST_PIXELS = {"PNG": 50 * 10**6, "progressive JPEG": 110 * 10**6, "JPEG": 250 * 10**6}
SUFFIXES = {".png", ".jpg", ".jpeg"}


class PhotoError(ValueError):
    """A picture is missing or bad, or shows no digit. The message is one line."""


def find_photos(paths: Iterable[str | PathLike]) -> list[Path]:
    """Files as they are, folders replaced by the PNG and JPEG files in them, sorted.

    Hidden files are skipped: macOS adds a file "._5.jpg" to 5.jpg, which is not a picture.

    Arguments: paths: list of str or Path. Returns: list of Path.

    Raises: PhotoError for a folder without any, and for a path that cannot be looked at.
    """
    found = []
    for path in map(Path, paths):
        try:
            inside = sorted(filter(_is_photo, path.iterdir())) if path.is_dir() else [path]
        except OSError as error:
            raise PhotoError(f"{path}: cannot be read ({error.strerror or error})") from error
        if not inside:
            raise PhotoError(f"{path}: no PNG or JPEG files in this folder")
        found += inside
    return found


def read_photo(path: str | PathLike) -> np.ndarray:
    """Read one photograph as grey values.

    It is turned as the camera says, what is transparent becomes paper, and it is shrunk to at most 256 pixels a side.
    JPEGs are decoded in reduced size, which takes little time and memory for any camera's pictures.

    Arguments: path: a PNG or JPEG file, whatever its name.

    Returns: (H, W) float64 in 0..1, 0 black.

    Raises: PhotoError: no such file, not PNG or JPEG, damaged, or of more pixels than MOST_PIXELS.
    """
    try:
        from PIL import ImageOps, JpegImagePlugin, PngImagePlugin
    except ModuleNotFoundError as error:
        raise PhotoError("Pillow is not installed: python -m pip install pillow") from error

    try:
        with warnings.catch_warnings(), open(path, "rb", opener=regular_file) as file:
            warnings.simplefilter("ignore", UserWarning)  # of odd but harmless metadata
            beginning = file.read(12)
            file.seek(0)
            # Image.open would refuse pictures of today's cameras before they can be reduced.
            if beginning.startswith(b"\xff\xd8\xff"):
                image: Any = JpegImagePlugin.JpegImageFile(file)
                _check_size(image, path, "progressive JPEG" if image.info.get("progressive") else "JPEG")
                image.draft("L", (2 * LARGEST_SIDE, 2 * LARGEST_SIDE))
            elif beginning.startswith(b"\x89PNG\r\n\x1a\n"):
                image = PngImagePlugin.PngImageFile(file)
                _check_size(image, path, "PNG")
            else:
                raise PhotoError(f"{path}: {_other_format(beginning)}")
            return _to_grey(ImageOps.exif_transpose(image))
    except PhotoError:
        raise
    except OSError as error:
        reason = error.strerror or "not a PNG or JPEG picture, or damaged"
        raise PhotoError(f"{path}: cannot be read ({reason})") from error
    except Exception as error:  # a damaged file can raise nearly anything inside a decoder
        raise PhotoError(f"{path}: damaged ({type(error).__name__})") from error


def _is_photo(path):
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _check_size(image, path, kind):
    """Before anything is decoded: a small file may promise billions of pixels."""
    width, height = image.size
    if width * height > MOST_PIXELS[kind]:
        raise PhotoError(
            f"{path}: {width}×{height} pixels, expected at most {MOST_PIXELS[kind] // 10**6} million in a {kind}; "
            "shrink it"
        )


def _other_format(beginning):
    if beginning[4:8] == b"ftyp":
        return "a HEIC or AVIF picture, as iPhones take: save it as JPEG"
    if beginning[8:12] == b"WEBP" or beginning.startswith((b"GIF8", b"BM", b"II*\0", b"MM\0*")):
        return "a picture, but not PNG or JPEG: save it as one of these"
    return "not a PNG or JPEG picture" if beginning else "empty"


def _to_grey(image):
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits: converting to 8 would cut them off, not scale them
        values = np.asarray(_reduced(image.convert("I" if image.mode.startswith("I") else "F")), dtype="float64")
        image = Image.fromarray((values * (255 / max(values.max(), 1))).astype("uint8"))
    elif image.has_transparency_data:
        image = _reduced(image.convert("RGBA"))
        visible = np.asarray(image, dtype="float64")
        light_ink = np.average(visible[..., :3].mean(axis=-1), weights=visible[..., 3] + 1e-9) > 128
        paper = Image.new("RGBA", image.size, (0, 0, 0) if light_ink else (255, 255, 255))
        image = Image.alpha_composite(paper, image)
    image = image.convert("L")
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BOX)
    return np.asarray(image, dtype="float64") / 255


def _reduced(image):
    """A fraction of the size, still large enough for what follows, so that floats of it take little memory."""
    return image.reduce(max(1, max(image.size) // (4 * LARGEST_SIDE)))
