"""scripts/train_mnist.py with a fault: faulty_train.py FAULT RANK STEP ARGUMENTS...

What is broken is the optimiser, which every rank calls once a step. "broken at" and the time of the machine's clock are
printed: from then on all ranks have to end.
"""

import errno
import os
import signal
import sys
import time

import numpy as np

from synann_np.optim import SGD
from synann_np.programs import train
from synann_np.programs.runs import saver

fault, rank, step, *arguments = sys.argv[1:]
steps = iter(range(10**9))
SAY_IT_LATER = ("save", "none")  # when the save fails; when the run is over


def say_when():
    print(f"broken at {time.monotonic()}", file=sys.__stderr__, flush=True)


def kill(params):
    os.kill(os.getpid(), signal.SIGKILL)


def terminate(params):
    os.kill(os.getpid(), signal.SIGTERM)


def exception(params):
    raise RuntimeError("broken on purpose")


def exit_0(params):
    sys.exit(0)


def exit_2(params):
    sys.exit(2)


def nan(params):
    params["fc2.weight"][0, 0] = np.nan


def bit(params):
    params["fc2.bias"][0] = np.nextafter(params["fc2.bias"][0], np.float32(9))


def save(params):
    def full(path, content):
        say_when()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    saver.write_atomically = full


def none(params):
    pass


def broken_step(self, params, grads):
    whole_step(self, params, grads)
    if next(steps) == int(step) and os.environ.get("PMI_RANK", "0") == rank:
        if fault not in SAY_IT_LATER:
            say_when()
        globals()[fault](params)


whole_step, SGD.step = SGD.step, broken_step
train.draw_curves = lambda folder, title: None  # takes longer than the training
status = train.main(arguments)
if fault == "none":
    say_when()
sys.exit(status)
