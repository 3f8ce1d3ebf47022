"""The documents: links lead somewhere, every picture is shown, every page is in the contents of the site, and every
documented command has arguments that the program takes."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from synann_np.programs import command

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PICTURES = sorted(path for path in DOCS.rglob("*") if path.suffix in (".png", ".svg"))
COMMAND = re.compile(r"(?:^|`)\s*(?:synann|python scripts/(train)_mnist\.py) ([^`\n]*)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []


def test_every_picture_is_shown():
    shown = {(page.parent / target).resolve() for page in PAGES for target in LINK.findall(page.read_text())}
    assert [path.name for path in PICTURES if path.resolve() not in shown] == []


def test_every_page_is_in_the_contents():
    listed = set(re.findall(r"^([\w/]+)$", (DOCS / "index.md").read_text(), re.MULTILINE))
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in PAGES if page.is_relative_to(DOCS)}
    assert pages - listed == {"index"}


def documented_commands():
    """The arguments of `synann` in every page; a word in capitals, or a variable of the shell, is a placeholder."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for script, arguments in COMMAND.findall(text):
            words = [*([script] if script else []), *shlex.split(arguments, comments=True)]
            left_out = any(re.fullmatch(r"[A-Z]+|.*[${].*|--resume|--help", word) for word in words)
            if len(words) > 1 and not left_out:
                yield pytest.param(words, id=f"{page.relative_to(ROOT)}: {' '.join(words)}")


@pytest.mark.parametrize("words", list(documented_commands()))
def test_commands(words, monkeypatch):
    """Everything but the work: `status_of` would do it."""
    done = []
    module = importlib.import_module(f"synann_np.{command.PROGRAMS[words[0]][0]}")
    monkeypatch.setattr(module, "status_of", lambda *work: done.append(work))
    command.main(words)
    assert len(done) == 1
