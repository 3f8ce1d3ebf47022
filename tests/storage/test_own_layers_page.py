"""docs/own_layers.md: its code runs from top to bottom and prints what the page says."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from synann_np.storage import layer_registry

PAGE = Path(__file__).parents[2] / "docs" / "own_layers.md"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of compile, where no compiler is
def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(layer_registry, "_registered", {})
    text, namespace, printed = PAGE.read_text(encoding="utf-8"), {"__name__": "page"}, io.StringIO()
    code = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(code) == 6
    with redirect_stdout(printed):
        for block in code:
            exec(compile(block, str(PAGE), "exec"), namespace)
    (expected,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert printed.getvalue() == expected
