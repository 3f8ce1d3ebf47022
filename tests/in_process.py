"""Programs called in this process: what a process of their own costs, the start of Python and its imports, is saved."""

import io
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from types import SimpleNamespace
from unittest.mock import patch


def call(main, *arguments):
    """main(arguments) of a program, as a shell sees it: returncode, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as ending:
            status = ending.code
    return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())


def train(*arguments, curves=False):
    """scripts/train_mnist.py; the picture of the curves, half of a short run's time, is drawn if asked for."""
    from synann_np.programs.train import main

    with ExitStack() as stack:
        if not curves:
            stack.enter_context(patch("synann_np.programs.train.draw_curves", lambda folder, title: None))
        return call(main, *arguments)
