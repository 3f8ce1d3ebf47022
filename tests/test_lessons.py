"""The lessons of docs/lessons: their code runs, prints what they say, and their exercises mark right and wrong."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

LESSONS = Path(__file__).parents[1] / "docs" / "lessons"
FILES = sorted(LESSONS.glob("[0-9]_*.md"))
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPEN = "NotImplementedError"  # what an exercise says in the place of its answer


def blocks(text):
    """[code, expected output or None] for each block of code."""
    found = []
    for kind, body in BLOCK.findall(text):
        if kind == "python":
            found.append([body, None])
        else:
            found[-1][1] = body
    return found


def run(code, namespace):
    """What the code prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(code, "lesson", "exec"), namespace)
    return out.getvalue()


def solution(lesson):
    """The block of code under the heading of this lesson in solutions.md."""
    sections = (LESSONS / "solutions.md").read_text().split("\n## ")
    return next(blocks(section)[0][0] for section in sections if section.startswith(lesson.name[0] + "."))


def test_there_are_eight_lessons():
    assert [path.name[0] for path in FILES] == list("12345678")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_lesson(path):
    *lesson, (exercise, _) = blocks(path.read_text())
    namespace = {"__name__": "lesson"}
    for code, expected in lesson:
        assert run(code, namespace) == (expected or "")
    assert OPEN in exercise
    with pytest.raises(NotImplementedError):
        exec(exercise, namespace)
    assert run(solution(path), namespace) == "right\n"


WRONG = {  # one slip for each solution: the mark must find it
    "1": ("y * (1 - y)", "y"),
    "2": ("(1 - t * t)", "(1 + t * t)"),
    "3": ("x.T @ du", "x.T @ dv"),
    "4": ("dT = -(", "dT = ("),
    "5": (" - y * along", ""),
    "6": ("+= weight[k]", "= weight[k]"),
    "7": (".sum(axis=1), {", ".sum(axis=1) * -1, {"),
    "8": ("s + x * s", "s - x * s"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_mark_finds_a_slip(path):
    *lesson, (exercise, _) = blocks(path.read_text())
    namespace = {"__name__": "lesson"}
    for code, _ in lesson if path.name[0] != "8" else lesson[:1]:  # the training of lesson 8 is not needed
        run(code, namespace)
    with pytest.raises(NotImplementedError):
        exec("from synann_np.gradcheck import check_layer\n" + exercise, namespace)
    right, wrong = WRONG[path.name[0]]
    code = solution(path)
    assert right in code
    with pytest.raises(AssertionError):
        run(code.replace(right, wrong), namespace)
