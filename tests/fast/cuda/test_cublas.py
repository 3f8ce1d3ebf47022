"""Our calls of cuBLAS, on a library of the same names and arguments that computes on the CPU."""

import ctypes
import subprocess

import numpy as np
import pytest

from cuda_emulator import COMPILER, require
from synann_np.fast.cuda.captured.cublas import WORKSPACE, Cublas

LIBRARY = """
#include <cstddef>
// As cuBLAS: columns one after the other, C (m, n) = op(A) (m, k) op(B) (k, n), and 7 (invalid value) for a length that
// is shorter than a column.
template <class T>
int gemm(int ta, int tb, int m, int n, int k, const T *alpha, const T *A, int lda, const T *B, int ldb, const T *beta,
         T *C, int ldc)
{
    if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return 7;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            T sum = 0;
            for (int l = 0; l < k; l++)
                sum += (ta ? A[l + (size_t)i * lda] : A[i + (size_t)l * lda]) *
                       (tb ? B[j + (size_t)l * ldb] : B[l + (size_t)j * ldb]);
            C[i + (size_t)j * ldc] = *alpha * sum + (*beta ? *beta * C[i + (size_t)j * ldc] : 0);
        }
    return 0;
}
static void *stream, *workspace;
static size_t size;
extern "C" {
int broken = 0;
int cublasCreate_v2(void **handle) { *handle = &broken; return broken; }
int cublasSetStream_v2(void *handle, void *s) { stream = s; workspace = 0; return handle != &broken; }
int cublasSetWorkspace_v2(void *handle, void *w, size_t s) { workspace = w; size = s; return handle != &broken; }
#define GEMM(name, T)                                                                                                 \\
    int name(void *h, int ta, int tb, int m, int n, int k, const T *alpha, const T *A, int lda, const T *B, int ldb, \\
             const T *beta, T *C, int ldc)                                                                           \\
    {                                                                                                                \\
        if (stream != (void *)77 || !workspace || size != 33554432) return 1;                                       \\
        return gemm(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);                                           \\
    }
GEMM(cublasSgemm_v2, float)
GEMM(cublasDgemm_v2, double)
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    require()
    folder = tmp_path_factory.mktemp("cublas")
    (folder / "cublas.cpp").write_text(LIBRARY)
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", "-o", str(folder / "cublas.so"), str(folder / "cublas.cpp")], check=True
    )
    return ctypes.CDLL(str(folder / "cublas.so"))


def cublas(library):
    return Cublas(np, library, np.empty(WORKSPACE, "uint8"), lambda a: a.ctypes.data, lambda: 77)


LAYOUTS = {
    "row-major": lambda a: a,
    "column-major": lambda a: np.asfortranarray(a),
    "rows of a wider array": lambda a: np.hstack([a, a])[:, : a.shape[1]],
    "columns of a longer array": lambda a: np.vstack([a, a]).copy("F")[: a.shape[0]],
    "every second column": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "one row for all": lambda a: np.broadcast_to(a[:1], a.shape),
}


@pytest.mark.parametrize("second", LAYOUTS)
@pytest.mark.parametrize("first", LAYOUTS)
def test_products_of_every_layout_equal_those_of_numpy(library, first, second):
    product, rng = cublas(library), np.random.default_rng(1)
    for M, K, N in ((3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1), (1, 7, 1)):
        for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-14)):
            a, b = (
                LAYOUTS[first](rng.normal(size=(M, K)).astype(dtype)),
                LAYOUTS[second](rng.normal(size=(K, N)).astype(dtype)),
            )
            found = product(a, b)
            assert found.dtype == dtype
            assert found.flags.c_contiguous
            np.testing.assert_allclose(found, a @ b, rtol=tolerance, atol=tolerance)


def test_stacks_and_products_without_elements(library):
    product, rng = cublas(library), np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    np.testing.assert_allclose(product(a, b.swapaxes(1, 2)), a @ b.swapaxes(1, 2), rtol=1e-14)
    assert product(np.zeros((0, 3)), np.zeros((3, 2))).shape == (0, 2)
    assert not product(np.zeros((2, 0)), np.zeros((0, 2))).any()


def test_a_library_that_fails_is_not_used(library):
    ctypes.c_int.in_dll(library, "broken").value = 1
    try:
        with pytest.raises(RuntimeError, match="cublasCreate_v2 failed with status 1"):
            cublas(library)
    finally:
        ctypes.c_int.in_dll(library, "broken").value = 0
