"""A matplotlib figure as a PNG file that is there whole or not at all. No display is needed: never pyplot."""

import io

from .atomic_file import write_atomically


def write_png(figure, path, dpi=120):
    """Replace the file `path` by a picture of the figure. Raises: OSError if it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    write_atomically(path, content.getvalue())
