"""The models of --teacher."""

import argparse
import hashlib
from pathlib import Path
from typing import Any

from ... import fast
from ...backend import BackendLike
from ...storage.checkpoint import load
from ...training.teacher import Teacher
from ..command_line import path


def teachers(text: str) -> str:
    """Files of models or folders of runs, separated by commas, as absolute paths: a run may be resumed elsewhere."""
    return ",".join(str(path(part).resolve()) for part in text.split(","))


def teacher_files(text: str) -> list[Path]:
    """The files; of a run the model after its last epoch."""
    paths = map(Path, text.split(","))
    return [p / "last.safetensors" if p.is_dir() else p for p in paths]


def make_teacher(args: argparse.Namespace, backend: BackendLike) -> Teacher | None:
    """Teacher of args.teacher, None without. Raises: OSError, CheckpointError for a file that is no model."""
    if args.teacher is None:
        return None
    models: list[Any] = [load(file, backend) for file in teacher_files(args.teacher)]
    if args.engine == "fast":
        models = [fast.compile(model, args.threads, input_gradient=False) for model in models]
    return Teacher(models, args.teacher_weight)


def teacher_identity(text: str | None) -> str | None:
    """16 hex digits over the files: a run cannot be continued with another teacher."""
    if text is None:
        return None
    digest = hashlib.sha256()
    for file in teacher_files(text):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]
