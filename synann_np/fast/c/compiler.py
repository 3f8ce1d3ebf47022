"""From C to a loaded library: by this machine's compiler, once for every set of constants, then from a cache."""

import atexit
import ctypes
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

OPTIONS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fPIC", "-shared")
FOR_THIS_PROCESSOR = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler accepts
SECONDS = 120  # a compiler that takes longer will not pay


class Compiler:
    """command: words to call it with. fingerprint: 12 hex digits; equal ones make equal libraries of equal sources.

    It covers the compiler's version and, by its predefined macros, the instructions of the processor: a home folder may
    be shared by machines of different kinds. str() of it is for people and tells both: "cc 12.2.0 5f0c…".
    """

    def __init__(self, command, macros):
        self.command = command
        self.version = re.search(rb'__VERSION__ "(.*)"', macros)[1].decode()
        self.fingerprint = hashlib.sha256(repr(command).encode() + macros).hexdigest()[:12]

    def __str__(self):
        return f"{self.command[0]} {self.version} {self.fingerprint}"


def library(source, **constants):
    """The C file `source` compiled with -DNAME=value for all constants, as a ctypes.CDLL.

    Returns None if there is no compiler; and with a RuntimeWarning, if it fails.
    """
    compiler = find_compiler()
    return compiler and _load(compiler, Path(source), tuple(sorted(constants.items())))


def find_compiler():
    """The Compiler that the environment names (CC), or cc, gcc or clang; None without, or with SYNANN_C=0.

    None on Windows too, where nobody has tried it.
    """
    if os.environ.get("SYNANN_C") == "0" or os.name != "posix":
        return None
    return _try_compilers(os.environ.get("CC"))


@lru_cache
def _try_compilers(chosen):
    for words in [shlex.split(chosen)] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(words[0]) is None:
            continue
        for options in FOR_THIS_PROCESSOR:
            command = [*words, *OPTIONS, *options]
            try:
                macros = _run([*command, "-x", "c", "-dM", "-E", os.devnull])
            except (OSError, subprocess.SubprocessError):
                continue
            return Compiler(command, macros)
    return None


@lru_cache
def _load(compiler, source, constants):
    defined = [f"-D{name}={value}" for name, value in constants]
    text = b"".join(path.read_bytes() for path in [source, *sorted(source.parent.glob("*.h"))])
    digest = hashlib.sha256(text + repr(defined).encode()).hexdigest()[:16]
    path = _cache() / f"{source.stem}-{digest}-{compiler.fingerprint}.so"
    try:
        if not path.exists():
            _compile(compiler, defined, source, path)
        try:
            return ctypes.CDLL(str(path))
        except OSError:  # a file that was cut off
            _compile(compiler, defined, source, path)
            return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or b""
        warnings.warn(
            f"{source.name} is not compiled, NumPy does it, slower: {error} {said.decode(errors='replace')[:2000]}\n"
            "SYNANN_C=0 in the environment does not even try; CC names another compiler.",
            RuntimeWarning,
            stacklevel=3,
        )
        return None


def _compile(compiler, defined, source, path):
    """Write `path`, whole or not at all: several processes may be at it."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        made = Path(folder) / path.name
        _run([*compiler.command, *defined, str(source), "-o", str(made), "-lm"])
        os.replace(made, path)


def _run(command):
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS).stdout


def _cache():
    """A folder that nobody else can write to, as what lies there is executed: the user's, or one of this process."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(os.environ.get("SYNANN_CACHE") or Path(home) / "synann_np") / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = folder.stat()
        if status.st_uid == os.geteuid() and not status.st_mode & 0o022 and os.access(folder, os.W_OK | os.X_OK):
            return folder
    except OSError:
        pass
    return _folder_of_this_process()


@lru_cache
def _folder_of_this_process():
    folder = tempfile.mkdtemp(prefix="synann_np-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
