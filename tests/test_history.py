"""Records to lines and back."""

import pytest

from synann_np.train import EvalRecord, TrainRecord
from synann_np.training.history import read_history, to_line

RECORDS = [
    TrainRecord(epoch=1, batch=100, seen=10_000, total=60_000, step=101, loss=0.1 + 0.2),
    EvalRecord(epoch=1, step=600, loss=1 / 3, correct=9904, total=10_000),
]


def test_a_history_comes_back_with_all_digits(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text("".join(map(to_line, RECORDS)))
    assert read_history(path) == RECORDS


@pytest.mark.parametrize("line", ["{", "{}", '{"kind": "other"}', '{"kind": "train", "epoch": 1}', "[1]"])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    path = tmp_path / "history.jsonl"
    path.write_text(to_line(RECORDS[0]) + line + "\n")
    with pytest.raises(ValueError, match=r"history\.jsonl: line 2 is not a record"):
        read_history(path)
