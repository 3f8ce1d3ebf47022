"""The code of docs/your_data.md runs, block after block."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your_data.md"


def test_the_code_of_the_page_runs(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert (names["predicted"] == names["labels_test"]).mean() > 0.7
    assert names["probabilities"].shape == (100, 2)
    assert names["stopping"].epoch > 0
