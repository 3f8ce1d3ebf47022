"""The history of a run: one JSON object a line, so that a run that was cut still has all its complete lines."""

import json
from dataclasses import asdict
from os import PathLike
from typing import Any

from ..storage.regular_file import read_text
from .records import EvalRecord, TrainRecord

KINDS = {"train": TrainRecord, "eval": EvalRecord}


def to_line(record: Any) -> str:
    """A TrainRecord or EvalRecord as one line of JSON. Floats keep all their digits: equal runs, equal bytes."""
    kind = next(kind for kind, cls in KINDS.items() if isinstance(record, cls))
    fields = {name: value for name, value in asdict(record).items() if name != "metrics" or value}
    return json.dumps({"kind": kind, **fields}) + "\n"


def read_history(path: str | PathLike[str]) -> list[Any]:
    """The records of a file, in order.

    Raises: ValueError naming file and line for a line that is not a record; OSError if the file cannot be read.
    """
    records = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            fields = json.loads(line)
            records.append(KINDS[fields.pop("kind")](**fields))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}: line {number} is not a record of a run ({error})") from error
    return records
