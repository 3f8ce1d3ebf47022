"""The files of the page, read once. No path of a request ever reaches the file system."""

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "static"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
NAMES = (
    "index.html", "style.css", "icon.svg", "page.js", "server.js", "attention.js", "colours.js", "numbers.js",
    "drawing_pad.js", "draw.js", "layer_maps.js", "train.js", "curves.js", "confusion.js", "understand.js",
    "share_bars.js", "gradient.js", "synapse.js", "surface.js", "flip.js",
)  # fmt: skip


def page_files(token: Any) -> Any:
    """dict path -> (content type, bytes); "/" is the page, with the token in it that requests must show."""
    files = {f"/{name}": (TYPES[Path(name).suffix], (FOLDER / name).read_bytes()) for name in NAMES}
    kind, page = files.pop("/index.html")
    return files | {"/": (kind, page.replace(b"{token}", token.encode()))}
