"""The site: python -m sphinx -W docs site"""

import re
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

project = "synann_np"
author = "the authors of synann_np"
html_title = "synann_np"
html_theme = "furo"
html_static_path = ["site_style"]
html_css_files = ["wide.css"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"


def links_of_the_repository(app, docname, source):
    """Links work on GitHub; make them work on a site, which shows no folders and no pages outside of docs/."""
    text = source[0]
    if docname == "start":  # the README, whose links start one folder higher
        text = re.sub(r"\]\((?!https?:|#|docs/)", "](../", (ROOT / "README.md").read_text())
        text = text.replace("](docs/", "](")
    here = Path(app.srcdir, docname).parent

    def link(match):
        label, target = match.groups()
        path = (here / target).resolve()
        if path.is_dir():
            files = [path / name for name in ("README.md", "__init__.py")] + sorted(path.glob("*.*"))
            first = next(file for file in files if file.is_file())
            target, path = f"{target.rstrip('/')}/{first.name}", first
        if path.suffix == ".md" and not path.is_relative_to(app.srcdir):
            return f"`{path.relative_to(ROOT)}`"
        return f"[{label}]({target})"

    source[0] = re.sub(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)\)", link, text)


def docstring_as_written(app, what, name, obj, options, lines):
    """Docstrings are typeset for a screen of fixed width: formulas in columns, one step a line."""
    if lines:
        lines[:] = [".. code-block:: text", "", *[f"    {line}" for line in lines], ""]


def mathml(self, node):
    """A formula as MathML, which browsers render themselves: no script, no font and no network."""
    display = "block" if node.tagname == "math_block" else "inline"
    self.body.append(convert(node.astext(), display=display))
    raise nodes.SkipNode


def setup(app):
    app.connect("source-read", links_of_the_repository)
    app.connect("autodoc-process-docstring", docstring_as_written)
    app.add_html_math_renderer("mathml", inline_renderers=(mathml, None), block_renderers=(mathml, None))


html_math_renderer = "mathml"
