"""The CUDA kernels on the CPU: the same sources, compiled as C++ against cuda_emulator.h, launched on NumPy arrays.

What it can show: that the kernels compute what the plain layers compute; that they write nowhere outside of their
arrays, and read nothing there that reaches a result; that they do not lack a barrier. What it cannot: speed, and
whatever depends on warps running truly side by side.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from synann_np.fast.cuda import KERNELS, Launcher, source

HEADER = Path(__file__).with_suffix(".h")
COMPILER = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
FLAGS = ["-std=c++17", "-O2", "-shared", "-fPIC", "-fno-strict-aliasing", "-ffp-contract=off"]
WARNINGS = ["-Werror", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-parameter", "-Wno-unused-function"]

ASCENDING, DESCENDING, SCATTERED = 0, 1, 2  # orders in which the threads of a block take turns
GUARD = 4096  # bytes before and behind every array


class OutOfBounds(AssertionError):
    """A kernel wrote outside of an array, or into one that it may only read."""


def require():
    """Skip the test where there is no C++ compiler."""
    if COMPILER is None:
        pytest.skip("no C++ compiler: the CUDA kernels cannot be run on the CPU")


@cache
def compiled(text, entries, warnings):
    """The library made of this CUDA text. warnings: of the compiler, as errors."""
    lines = [f'#include "{HEADER}"', text, "#line 1", *(f"ENTRY({name})" for name in entries)]
    command = [COMPILER, *FLAGS, *warnings]
    digest = hashlib.sha256(repr((lines, command)).encode() + HEADER.read_bytes()).hexdigest()
    folder = Path(os.environ["SYNANN_CACHE"], "emulated")  # of this run of pytest, shared by its workers
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"{digest}.so"
    with open(folder / f"{digest}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            path = library.with_suffix(".cpp")
            path.write_text("\n".join(lines))
            made = library.with_suffix(".made")
            done = subprocess.run([*command, "-o", made, path], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            made.rename(library)
    return ctypes.CDLL(str(library))


class EmulatorLauncher(Launcher):
    """A Launcher whose arrays are NumPy's.

    Arguments: order: in which threads take turns. guard: run on copies with guarded ends, and check these afterwards
    (slower). text, kernels: other sources and another table than the package's.
    """

    array_type = np.ndarray

    def __init__(self, dtype="float32", order=ASCENDING, guard=True, text=None, kernels=KERNELS):
        super().__init__(dtype)
        self.order, self.guard, self.kernels = order, guard, kernels
        self.library = compiled(text or source(dtype), tuple(kernels), () if text else tuple(WARNINGS))

    def _start(self, kernel, grid, block, arguments):
        function = self.library[f"emulate_{kernel}"]
        function.restype = ctypes.c_char_p
        entry = self.kernels[kernel]

        def launch():
            places = [Guarded(a) if self.guard and isinstance(a, np.ndarray) else a for a in arguments]
            values = [
                ctypes.c_void_p(p.address) if isinstance(p, Guarded)
                else ctypes.c_void_p(p.ctypes.data) if isinstance(p, np.ndarray)
                else ctypes.c_int32(int(p)) if isinstance(p, np.integer)
                else np.ctypeslib.as_ctypes_type(p.dtype)(p)
                for p in places
            ]  # fmt: skip
            pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
            error = function(*grid, block, self.order, pointers)
            assert error is None, f"{kernel}: {error.decode()}"
            for name, place in zip(entry.arrays, places, strict=False):
                if isinstance(place, Guarded):
                    place.take_back(f"{kernel}: {name}", may_change=name in entry.writes)

        return launch


class Guarded:
    """A copy of an array between two guards: bytes of 255, NaN to whom reads them as numbers."""

    def __init__(self, array):
        self.array = array
        self.bytes = np.full(array.nbytes + 2 * GUARD + 64, 255, "uint8")
        self.start = GUARD + -(self.bytes.ctypes.data + GUARD) % 64
        self.inside = self.bytes[self.start : self.start + array.nbytes]
        self.inside[...] = array.reshape(-1).view("uint8")
        self.address = self.inside.ctypes.data

    def take_back(self, what, may_change):
        """Copy the result to the array; raise OutOfBounds if something else was touched."""
        if (self.bytes[: self.start] != 255).any() or (self.bytes[self.start + self.array.nbytes :] != 255).any():
            raise OutOfBounds(f"{what} was written outside of its bounds")
        result = self.inside.view(self.array.dtype).reshape(self.array.shape)
        if may_change:
            self.array[...] = result
        elif result.tobytes() != self.array.tobytes():
            raise OutOfBounds(f"{what} may only be read, and was written")
