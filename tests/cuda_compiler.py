"""The CUDA kernels compiled for real, without a GPU: by NVRTC, the compiler that CuPy uses, or by nvcc.

As a program, it prints what every kernel takes: registers, shared memory, spills.
"""

import ctypes
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from synann_np.fast.cuda import KERNELS, source

OPTIONS = ["-std=c++17", "-ftz=true"]  # CuPy adds the second one
INSTALL = "neither NVRTC (python -m pip install nvidia-cuda-nvrtc) nor nvcc is there: the kernels cannot be compiled"

USAGE = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
    r".*?Used (?P<registers>\d+) registers(?:[^\n]*?(?P<shared>\d+) bytes smem)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Usage:
    """What a kernel takes: registers a thread, bytes of shared memory a block, bytes of spills a thread."""

    registers: int
    shared: int
    spills: int


def compiler():
    """A function (text, architecture) -> (PTX, log), or None where no compiler is there."""
    namespace = find_spec("nvidia")
    for folder in namespace.submodule_search_locations if namespace else ():
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            library = ctypes.CDLL(str(path))
            return lambda text, architecture: with_nvrtc(library, text, architecture)
    return with_nvcc if shutil.which("nvcc") else None


@cache
def compile_kernels(architecture):
    """PTX (text) and dict entry name -> Usage. Raises AssertionError with the compiler's messages."""
    ptx, log = compiler()(source(), architecture)
    return ptx, usage_in(log)


def usage_in(log):
    """dict entry name -> Usage, read from what the assembler says with -v."""
    usage = {}
    for match in USAGE.finditer(log):
        spills = int(match["stores"]) + int(match["loads"])
        usage[match["name"]] = Usage(int(match["registers"]), int(match["shared"] or 0), spills)
    return usage


def with_nvcc(text, architecture):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.cu"
        path.write_text(text)
        command = ["nvcc", *OPTIONS, f"-arch={architecture}", "--keep", f"--keep-dir={folder}", "-Xptxas", "-v"]
        done = subprocess.run(
            [*command, "-cubin", "-o", f"{folder}/kernels.cubin", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return (Path(folder) / "kernels.ptx").read_text(), done.stderr


def with_nvrtc(library, text, architecture):
    program = ctypes.c_void_p()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None) == 0

    def read(what):
        size = ctypes.c_size_t()
        assert library[f"nvrtcGet{what}Size"](program, ctypes.byref(size)) == 0
        buffer = ctypes.create_string_buffer(size.value)
        assert library[f"nvrtcGet{what}"](program, buffer) == 0
        return buffer.value.decode()

    options = [*OPTIONS, f"--gpu-architecture={architecture}", "--ptxas-options=-v"]
    encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = library.nvrtcCompileProgram(program, len(options), encoded)
    log = read("ProgramLog")
    assert not failed, log
    return read("PTX"), log


def main(architectures):
    if compiler() is None:
        sys.exit(INSTALL)
    for architecture in architectures or ["sm_90"]:
        print(f"{architecture:22} registers  shared  spills  threads")
        for name, usage in compile_kernels(architecture)[1].items():
            print(f"{name:22} {usage.registers:9} {usage.shared:7} {usage.spills:7} {KERNELS[name].block:8}")


if __name__ == "__main__":
    main(sys.argv[1:])
