"""Photographs from files: PNG and JPEG as grey pictures of a moderate size. Pillow is imported where it is used."""

import stat
import warnings
from pathlib import Path

import numpy as np

LARGEST_SIDE = 256  # of the picture that is returned: enough for a digit
SUFFIXES = {".png", ".jpg", ".jpeg"}


class PhotoError(ValueError):
    """A picture is missing or bad, or shows no digit. The message is one line."""


def find_photos(paths):
    """Files as they are, folders replaced by the PNG and JPEG files in them, sorted.

    Arguments: paths: list of str or Path. Returns: list of Path.

    Raises: PhotoError for a folder without any.
    """
    found = []
    for path in map(Path, paths):
        inside = sorted(p for p in path.glob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise PhotoError(f"{path}: no PNG or JPEG files in this folder")
        found += inside
    return found


def read_photo(path):
    """Read one photograph as grey values.

    It is turned as the camera says, what is transparent becomes paper, and it is shrunk to at most 256 pixels a side.

    Arguments: path: a PNG or JPEG file, whatever its name.

    Returns: (H, W) float64 in 0..1, 0 black.

    Raises: PhotoError: no such file, not PNG or JPEG, damaged, or of more pixels than any photograph.
    """
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise PhotoError("Pillow is not installed: python -m pip install pillow") from error

    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise PhotoError(f"{path}: not a file")
        with warnings.catch_warnings():
            # A small file may promise billions of pixels: Pillow warns of many and refuses more.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)  # of odd but harmless metadata
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                image.draft("L", (2 * LARGEST_SIDE, 2 * LARGEST_SIDE))  # a JPEG need not be decoded in full size
                grey = _to_grey(ImageOps.exif_transpose(image))
    except PhotoError:
        raise
    except OSError as error:
        reason = error.strerror or "not a PNG or JPEG picture, or damaged"
        raise PhotoError(f"{path}: cannot be read ({reason})") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PhotoError(f"{path}: more pixels than a photograph has; shrink it") from error
    except Exception as error:  # a damaged file can raise nearly anything inside a decoder
        raise PhotoError(f"{path}: damaged ({type(error).__name__})") from error
    return grey


def _to_grey(image):
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits: converting to 8 would cut them off, not scale them
        values = np.asarray(image, dtype="float64")
        image = Image.fromarray((values * (255 / max(values.max(), 1))).astype("uint8"))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        visible = np.asarray(image, dtype="float64")
        light_ink = np.average(visible[..., :3].mean(axis=-1), weights=visible[..., 3] + 1e-9) > 128
        paper = Image.new("RGBA", image.size, (0, 0, 0) if light_ink else (255, 255, 255))
        image = Image.alpha_composite(paper, image)
    image = image.convert("L")
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BOX)
    return np.asarray(image, dtype="float64") / 255
