"""The table of kernels against the sources, and the launcher, which refuses what CUDA would misread silently."""

import re
from pathlib import Path

import numpy as np
import pytest

from cuda_emulator import EmulatorLauncher, OutOfBounds, require
from synann_np.fast.cuda import ARRAYS, KERNELS, PARAMETERS, Launcher, parameter_views, shape_of, source, step_sizes
from synann_np.fast.cuda.arrays import PARAM_SIZE
from synann_np.fast.cuda.kernels import Kernel
from synann_np.fast.cuda.source import FILES, FOLDER
from synann_np.models import SynaNN

C_TYPES = {"real": "real", "uint8": "uint8", "int32": "int", "int64": "int64", "uint32": "uint32", "uint64": "uint64"}
ENTRY = re.compile(r'extern "C" __global__ void __launch_bounds__\((.*?)\)\s+(\w+)\((.*?)\)\s*{', re.DOTALL)


def entries():
    """name -> (launch bounds, [(type, is const, is pointer, name)])"""
    found = {}
    for bounds, name, arguments in ENTRY.findall(source()):
        parsed = []
        for argument in " ".join(arguments.split()).split(", "):
            words = argument.replace("*", " * ").replace("__restrict__", "").split()
            is_const, is_pointer = words[0] == "const", "*" in words
            parsed.append((words[1 if is_const else 0], is_const, is_pointer, words[-1]))
        found[name] = (bounds, parsed)
    return found


def test_every_entry_point_is_in_the_table_and_the_other_way_round():
    assert entries().keys() == KERNELS.keys()
    assert source().count("__global__") == len(KERNELS)


@pytest.mark.parametrize("name", KERNELS)
def test_arguments_of_the_source_are_those_of_the_table(name):
    kernel = KERNELS[name]
    expected = [(C_TYPES[ARRAYS[a][0]], a in kernel.reads, True, a.rpartition(".")[2]) for a in kernel.arrays]
    expected += [("int", False, False, size) for size in kernel.sizes]
    expected += [("real", False, False, number) for number in kernel.numbers]
    assert entries()[name][1] == expected


@pytest.mark.parametrize("name", KERNELS)
def test_the_block_is_the_one_the_source_was_compiled_for(name):
    bounds = entries()[name][0].partition(",")[0]
    constants = dict(re.findall(r"#define (\w+) +(\S.*?)\s*(?://.*)?$", source(), re.MULTILINE))
    while not bounds.isdigit():
        spelled = re.sub(r"[A-Za-z_]\w*", lambda match: constants[match.group()], bounds)
        bounds = str(eval(spelled)) if re.fullmatch(r"[\d\s()*+/-]+", spelled) else spelled
    assert int(bounds) == KERNELS[name].block


def test_every_source_file_is_compiled():
    assert sorted(FILES) == sorted(path.name for path in FOLDER.glob("*.cu"))


def test_the_text_is_ascii_so_that_it_can_be_written_in_every_locale():
    assert source().isascii()


def test_sources_are_installed_with_the_package():
    assert "synann_np.fast.cuda = *.cu" in (Path(__file__).parents[2] / "setup.cfg").read_text()


def test_the_flat_array_holds_all_parameters_of_the_model_apart_and_aligned():
    model = SynaNN()
    flat = np.zeros(PARAM_SIZE, "float32")
    views = parameter_views(flat)
    assert {name: view.shape for name, view in views.items()} == {name: p.shape for name, p in model.params.items()}
    for view in views.values():
        assert np.shares_memory(view, flat)
        view += 1
    assert flat.max() == 1
    assert all(offset % 32 == 0 for offset, _ in PARAMETERS.values())


def arrays_for(kernel, sizes, launcher):
    return {name: np.zeros(shape_of(name, sizes), launcher.numpy_dtype(name)) for name in KERNELS[kernel].arrays}


class Recorder(Launcher):
    """A launcher that only says what it would have launched."""

    array_type = np.ndarray

    def _start(self, kernel, grid, block, arguments):
        return lambda: (kernel, grid, block, arguments)


@pytest.fixture
def head():
    launcher = Recorder()
    sizes = step_sizes(N=10, M=20, T=15)
    return launcher, sizes, arrays_for("train_head", sizes, launcher)


def test_a_launch_has_arrays_and_sizes_in_the_order_of_the_table(head):
    launcher, sizes, arrays = head
    kernel, grid, block, arguments = launcher.bind("train_head", sizes, arrays | {"more": None})()
    assert (kernel, grid, block) == ("train_head", (3, 1), 256)
    assert [id(a) for a in arguments[:-1]] == [id(arrays[name]) for name in KERNELS[kernel].arrays]
    assert arguments[-1] == 10
    assert arguments[-1].dtype == np.int32


@pytest.mark.parametrize(
    ("name", "wrong", "error", "words"),
    [
        ("y", lambda a: a.astype("float64"), TypeError, "y is float64, expected float32"),
        ("labels", lambda a: a.astype("int64"), TypeError, "labels is int64, expected uint8"),
        ("y", lambda a: a.tolist(), TypeError, "y is list"),
        ("y", lambda a: a[:-1], ValueError, r"y has shape \(9, 64\), expected \(10, 64\)"),
        ("y", lambda a: np.zeros((64, 10), "float32").T, ValueError, "y is not C-contiguous"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(head, name, wrong, error, words):
    launcher, sizes, arrays = head
    arrays[name] = wrong(arrays[name])
    with pytest.raises(error, match=words):
        launcher.bind("train_head", sizes, arrays)


def test_what_is_missing_is_named(head):
    launcher, sizes, arrays = head
    with pytest.raises(KeyError, match=r"missing arrays.*'y'"):
        launcher.bind("train_head", sizes, {name: a for name, a in arrays.items() if name != "y"})
    del sizes["N"]
    with pytest.raises(KeyError, match=r"missing sizes.*'N'"):
        launcher.bind("train_head", sizes, arrays)


def test_sizes_are_positive_and_fit_32_bits(head):
    launcher, sizes, arrays = head
    for N in (0, -1, 2**31):
        with pytest.raises(ValueError, match="train_head: "):
            launcher.bind("train_head", sizes | {"N": N}, arrays | {"y": np.zeros((1, 64), "float32")})


def test_training_on_one_row_is_refused():
    sizes = step_sizes(N=1, M=20, T=15)
    with pytest.raises(ValueError, match="more than one row"):
        Recorder().bind("train_head", sizes, arrays_for("train_head", sizes, Recorder()))


# The emulator itself: it must see what it is there to see. losses (L,) is written, hyper (4,) read.

RIGHT = """
typedef float real;
extern "C" void reversed(const real *hyper, real *losses, int L)
{
    __shared__ real memory[64];
    memory[threadIdx.x] = threadIdx.x;
    __syncthreads();
    if (threadIdx.x < L) losses[threadIdx.x] = memory[63 - threadIdx.x];
}
"""
EXPECTED = 63 - np.arange(60, dtype="float32")


def run(text, order=0, guard=True):
    require()
    table = {"reversed": Kernel(("hyper",), ("losses",), ("L",), lambda sizes: (1, 1), 64)}
    launcher = EmulatorLauncher("float32", order, guard, text, table)
    arrays = {"hyper": np.zeros(4, "float32"), "losses": np.zeros(60, "float32")}
    launcher.launch("reversed", {"L": 60}, arrays)
    return arrays["losses"]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_right_kernel_gives_the_same_in_every_order(order):
    np.testing.assert_array_equal(run(RIGHT, order), EXPECTED)


def test_a_missing_barrier_gives_other_results_and_nan():
    text = RIGHT.replace("__syncthreads();", "")
    results = [run(text, order) for order in (0, 1, 2)]
    assert all(np.isnan(result).any() for result in results)
    assert len({np.isnan(result).tobytes() for result in results}) == 3


@pytest.mark.parametrize(
    "barrier", ["if (threadIdx.x < 32) __syncthreads();", "if (threadIdx.x == 5) return;\n__syncthreads();"]
)
def test_a_barrier_that_not_all_threads_reach_is_an_error(barrier):
    with pytest.raises(AssertionError, match=r"block \(0, 0\): thread"):
        run(RIGHT.replace("__syncthreads();", barrier))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("losses[threadIdx.x == 0 ? L : 0] = 1;", "losses was written outside"),
        ("losses[-(int)threadIdx.x] = 1;", "losses was written outside"),
        ("((real *)hyper)[2] = 1;", "hyper may only be read"),
    ],
)
def test_a_write_where_nothing_may_be_written_is_an_error(wrong, words):
    with pytest.raises(OutOfBounds, match=words):
        run(RIGHT.replace("__syncthreads();", "__syncthreads(); " + wrong))


def test_a_read_outside_of_an_array_gives_nan():
    text = RIGHT.replace("memory[63 - threadIdx.x]", "threadIdx.x < 2 ? hyper[4] : 0")
    assert np.isnan(run(text)[:2]).all()


def test_shuffles_exchange_values_between_the_lanes_of_a_warp():
    text = RIGHT.replace("memory[63 - threadIdx.x]", "value").replace(
        "__syncthreads();", "real value = threadIdx.x; value += __shfl_xor_sync(~0u, value, 1);"
        " value = __shfl_xor_sync(~0u, value, 4);"
    )  # fmt: skip
    thread = np.arange(60)
    np.testing.assert_array_equal(run(text), (thread ^ 4) + (thread ^ 4 ^ 1))
