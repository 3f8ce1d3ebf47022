"""The table of several runs as Markdown, and its place in a file."""

import re
import statistics
from glob import glob
from os import PathLike
from pathlib import Path

from ...storage.atomic_file import write_atomically
from ...storage.regular_file import read_text
from .comparison import Run, group, mean_and_deviation, names, read_run

COLUMNS = ("run", "data set", "parameters", "epochs", "seconds (threads)", "seeds", "accuracy, %", "each")
PLACE = re.compile(r"(<!-- runs: (.+?) -->\n).*?(<!-- end of runs -->)", re.DOTALL)


def table(groups: list[list[Run]]) -> str:
    """A row for each group of runs: accuracy after the last epoch, mean ± standard deviation over the seeds.

    The last epoch, not the best one: who picks an epoch by its test accuracy has fitted the test set. Seconds are the
    mean over the runs, from the start of the process to its end. A column that would be empty is left out.
    """
    rows = [_cells(name, runs) for name, runs in zip(names(groups), groups, strict=True)]
    filled = [k for k in range(len(COLUMNS)) if any(row[k] for row in rows)]
    return "\n".join(
        f"| {' | '.join(cells[k] for k in filled)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)
    )


def write_tables(path: str | PathLike) -> int:
    """Replace every table of runs in a Markdown file. Each stands between two comments, of which the first names its
    runs by patterns relative to the file:

        <!-- runs: docs/results/quick-seed* docs/results/best-seed* -->
        <!-- end of runs -->

    Returns: the number of tables.

    Raises: ValueError if there is no such place, or a pattern matches nothing; OSError, ValueError as read_run. The
        file is then as it was.
    """
    path = Path(path)
    content, count = PLACE.subn(lambda found: _filled(path, *found.groups()), read_text(path))
    if not count:
        raise ValueError(f"{path}: no place for a table: expected <!-- runs: FOLDER ... --> and <!-- end of runs -->")
    write_atomically(path, content.encode())
    return count


def _filled(path, begin, patterns, end):
    folders: dict[Path, None] = {}  # in order, each once
    for pattern in patterns.split():
        found = sorted(glob(pattern, root_dir=path.parent))
        if not found:
            raise ValueError(f"{path}: no run matches {pattern:.80}")
        folders |= dict.fromkeys(path.parent / name for name in found)
    if not folders:
        raise ValueError(f"{path}: a table without runs: expected <!-- runs: FOLDER ... -->")
    return f"{begin}\n{table(group(map(read_run, folders)))}\n\n{end}"


def _cells(name, runs):
    last = [100 * run.accuracies[-1] for run in runs]
    parameters = runs[0].settings.get("parameters")
    return [
        name,
        runs[0].data_set,
        "" if parameters is None else f"{parameters:,}",
        "–".join(dict.fromkeys(str(f(len(run.accuracies) for run in runs)) for f in (min, max))),
        _seconds(runs),
        ", ".join(str(run.settings.get("seed", "?")) for run in runs),
        mean_and_deviation(last),
        ", ".join(f"{accuracy:.2f}" for accuracy in last),
    ]


def _seconds(runs):
    timed = [run.settings for run in runs if run.settings.get("seconds")]
    if not timed:
        return ""
    threads = ", ".join(dict.fromkeys(str(settings.get("threads")) for settings in timed))
    return f"{statistics.mean(settings['seconds'] for settings in timed):.3g} ({threads})"
