"""The CUDA kernels compile, under their names, without double arithmetic and without spills."""

import re

import pytest

from cuda_compiler import INSTALL, Usage, compile_kernels, compiler, usage_in
from synann_np.fast.cuda import KERNELS, source

STATIC_SHARED_MEMORY = 48 * 1024  # bytes a block may have without asking for more
REGISTERS = 65_536  # of a multiprocessor

every_architecture = pytest.mark.parametrize(
    "architecture",
    [pytest.param("sm_80", marks=pytest.mark.slow), "sm_90", pytest.param("sm_100", marks=pytest.mark.slow)],
)


@pytest.fixture(autouse=True)
def there_is_a_compiler():
    if compiler() is None:
        pytest.skip(INSTALL)


@every_architecture
def test_every_kernel_compiles_and_fits(architecture):
    ptx, usage = compile_kernels(architecture)
    assert usage.keys() == KERNELS.keys()
    assert set(re.findall(r"\.entry (\w+)", ptx)) == KERNELS.keys()
    for name, used in usage.items():
        assert used.spills == 0, f"{name}: {used}"
        assert used.shared <= STATIC_SHARED_MEMORY, f"{name}: {used}"
        assert used.registers * KERNELS[name].block <= REGISTERS, f"{name}: {used}"


@every_architecture
def test_there_is_no_double_arithmetic(architecture):
    ptx, _ = compile_kernels(architecture)
    assert [line for line in ptx.splitlines() if ".f64" in line] == []


def test_double_arithmetic_and_spills_would_be_seen():
    text = """
    extern "C" __global__ void __launch_bounds__(1024) greedy(double *x)
    {
        double kept[64];
        for (int k = 0; k < 64; k++) kept[k] = x[k * threadIdx.x];
        __syncthreads();
        for (int k = 0; k < 64; k++) x[k + threadIdx.x] = kept[63 - k] * kept[k] + kept[k * k % 64];
    }
    """
    ptx, log = compiler()(text, "sm_90")
    assert ".f64" in ptx
    assert usage_in(log)["greedy"].spills > 0


def test_an_error_names_the_source_file():
    with pytest.raises(AssertionError, match=r"synapse\.cu"):
        compiler()(source().replace("struct Product {", "struct Product { nothing known;"), "sm_90")


def test_usage_is_read_from_the_log():
    log = """ptxas info    : Compiling entry function 'a' for 'sm_90'
    0 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 1024 bytes smem
ptxas info    : Compiling entry function 'b' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers"""
    assert usage_in(log) == {"a": Usage(32, 1024, 12), "b": Usage(10, 0, 0)}
