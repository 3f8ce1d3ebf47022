"""Compile a C source on this machine once for each set of constants, cache the library and load it."""

import ctypes
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import warnings
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from .private_folder import private_folder, read_file, write_file

OPTIONS = ["-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-trapping-math", "-fno-math-errno"]
AS_LIBRARY = ["-fPIC", "-shared", "-pthread"]
FOR_THIS_PROCESSOR = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler accepts
POOL = Path(__file__).with_name("threads.c")
SECONDS_TO_ANSWER, SECONDS_TO_COMPILE = 30, 120  # a compiler that takes longer will not pay


class Compiler:
    """command: words to call it with. fingerprint: 12 hex digits; equal ones make equal libraries of equal sources.

    It covers the compiler's version and, by its predefined macros, the instructions of the processor: a home folder may
    be shared by machines of different kinds. str() of it shows both: "cc 12.2.0 5f0c…".
    """

    def __init__(self, command, macros):
        self.command = command
        self.version = re.search(rb'__VERSION__ "(.*)"', macros)[1].decode()
        self.fingerprint = hashlib.sha256(repr(command).encode() + macros).hexdigest()[:12]

    def __str__(self):
        return f"{self.command[0]} {self.version} {self.fingerprint}"


def library(source, **constants):
    """The C file `source` compiled with -DNAME=value for all constants, as a ctypes.CDLL.

    Returns None if there is no compiler; and with a RuntimeWarning, once for each source, if it fails.
    """
    compiler = find_compiler()
    return compiler and _load(compiler, Path(source), tuple(f"-D{name}={value}" for name, value in constants.items()))


def find_compiler():
    """The Compiler named by CC in the environment; else cc, gcc or clang; else that of the package `ziglang`.

    Returns None if there is none, with SYNANN_FAST=0, and on Windows, where the loops have not been tried. Warns with a
    RuntimeWarning if CC names no usable compiler.
    """
    if os.environ.get("SYNANN_FAST") == "0" or os.name != "posix":
        return None
    return _try_compilers(os.environ.get("CC"))


def working_compiler():
    """find_compiler(), or None with a RuntimeWarning if a library that it makes cannot be loaded."""
    return find_compiler() if library(POOL) is not None else None


@lru_cache
def _try_compilers(chosen):
    try:
        commands = [shlex.split(chosen)] if chosen else [["cc"], ["gcc"], ["clang"], _zig()]
    except ValueError:  # a quotation without an end
        commands = [[]]
    for words in commands:
        for options in FOR_THIS_PROCESSOR if words and shutil.which(words[0]) else ():
            command = [*words, *OPTIONS, *AS_LIBRARY, *options]
            with suppress(OSError, subprocess.SubprocessError):
                macros = _run([*command, "-x", "c", "-dM", "-E", os.devnull], SECONDS_TO_ANSWER)
                if b"__VERSION__" in macros:
                    return Compiler(command, macros)
    if chosen:
        _warn(f"CC={chosen!r} in the environment is not a C compiler that takes GCC's options.")
    return None


def _zig():
    """The command of the C compiler in the package `ziglang`; [] if it is not installed."""
    try:
        found = importlib.util.find_spec("ziglang")
    except (ImportError, ValueError):  # a module that says nothing of its origin
        found = None
    return [str(Path(found.origin).with_name("zig")), "cc"] if found and found.origin else []


@lru_cache
def _load(compiler, source, defined):
    text = b"".join(path.read_bytes() for path in [source, *sorted(source.parent.glob("*.h"))])
    digest = hashlib.sha256(text + repr(defined).encode()).hexdigest()[:16]
    with _one_at_a_time:
        try:
            if (compiler, source) not in _failed:
                command = [*compiler.command, *defined, str(source), "-lm"]
                return _from_cache(command, f"{source.stem}-{digest}-{compiler.fingerprint}")
        except (OSError, subprocess.SubprocessError) as error:
            _failed.add((compiler, source))
            said = (getattr(error, "stderr", b"") or b"").decode(errors="replace")[:2000]
            _warn(f"{source.name} could not be compiled: {error} {said}")
    return None


_one_at_a_time, _failed = threading.Lock(), set()


def _cache():
    """The private folder of libraries; None if there is none."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(os.environ.get("SYNANN_CACHE") or os.path.join(home, "synann_np"), "compiled")
    if not path.startswith("~"):  # where this user has a home
        with suppress(OSError):
            return private_folder(path)
    return None


def _from_cache(command, name):
    """The library whose file has this name and the hash of its content behind it, or a new one.

    One that was cut off, by a full disk or a power failure, would not be refused when loaded: the process would die.
    """
    cache = _cache()
    for path in cache.glob(f"{name}-*.so") if cache else ():
        content = read_file(path)
        if content is not None and path.name == _file_name(name, content):
            with suppress(OSError):  # where it cannot be loaded, it is made again
                return ctypes.CDLL(str(path))
    with tempfile.TemporaryDirectory(prefix="synann_np-work-") as work:
        made = private_folder(work) / f"{name}.so"  # its own name: two libraries of one name are the same to the system
        _run([*command, "-o", str(made)], SECONDS_TO_COMPILE, TMPDIR=work)
        content = made.read_bytes()
        if cache:
            with suppress(OSError):  # a full disk
                path = cache / _file_name(name, content)
                write_file(path, content)
                return ctypes.CDLL(str(path))
        return ctypes.CDLL(str(made))


def _file_name(name, content):
    return f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.so"


def _run(command, seconds, **variables):
    pipes = {"stdin": subprocess.DEVNULL, "capture_output": True}
    return subprocess.run(command, check=True, timeout=seconds, env=os.environ | variables, **pipes).stdout


def _warn(text):
    warnings.warn(
        f"{text}\nThe plain layers are used, which are slower. CC=... names another compiler; "
        "`pip install ziglang` installs one; SYNANN_FAST=0 turns the compiled loops off.",
        RuntimeWarning,
        stacklevel=4,
    )
