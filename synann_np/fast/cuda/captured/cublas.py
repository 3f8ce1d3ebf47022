"""Matrix products by a cuBLAS handle of our own, which a CUDA graph may hold: CuPy refuses its own there."""

import ctypes

WORKSPACE = 32 * 2**20  # bytes; what PyTorch gives cuBLAS on Hopper
AS_IS, TRANSPOSED = 0, 1  # CUBLAS_OP_N, CUBLAS_OP_T


class Cublas:
    """A function (a, b) -> a @ b of two-dimensional arrays, or stacks of them, of float32 or float64 on a device.

    cuBLAS takes workspace from the device while it works, unless it has some: ours is allocated once and outlives every
    graph. Products are float32, not TF32, as CuPy's are.

    Arguments:
        xp: namespace of the arrays. library: cuBLAS, a ctypes.CDLL. workspace: array, WORKSPACE bytes.
        pointer: function of an array -> its address. stream: function without arguments -> address of the stream.

    Raises: RuntimeError: cuBLAS does not start.
    """

    def __init__(self, xp, library, workspace, pointer, stream):
        self.xp, self.library, self.workspace, self.pointer, self.stream = xp, library, workspace, pointer, stream
        self.handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self.handle))

    @classmethod
    def of_cupy(cls, xp):
        """With the library that CuPy has loaded."""
        major = xp.cuda.runtime.runtimeGetVersion() // 1000
        library = ctypes.CDLL(f"libcublas.so.{major}")  # the same name: the linker finds what is loaded already
        workspace = xp.empty(WORKSPACE, "uint8")
        return cls(xp, library, workspace, lambda a: a.data.ptr, lambda: xp.cuda.get_current_stream().ptr)

    def __call__(self, a, b):
        out = self.xp.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
        if a.ndim == 2:
            self.multiply(a, b, out)
        else:
            for g in range(len(a)):
                self.multiply(a[g], b[g], out[g])
        return out

    def multiply(self, a, b, out):
        """out = a b. To cuBLAS, which counts down columns, a row-major array is its transpose: outᵀ = bᵀ aᵀ."""
        (M, K), N = a.shape, b.shape[1]
        if not out.size:
            return
        (a, a_form, a_length), (b, b_form, b_length) = self._readable(a), self._readable(b)
        kind, number = ("S", ctypes.c_float) if a.dtype == "float32" else ("D", ctypes.c_double)
        one, zero = ctypes.byref(number(1)), ctypes.byref(number(0))
        address = ctypes.c_void_p
        # A new stream takes the workspace away.
        self._call("cublasSetStream_v2", self.handle, address(self.stream()))
        self._call(
            "cublasSetWorkspace_v2", self.handle, address(self.pointer(self.workspace)), ctypes.c_size_t(WORKSPACE)
        )
        self._call(
            f"cublas{kind}gemm_v2", self.handle, b_form, a_form, N, M, K, one, address(self.pointer(b)), b_length,
            address(self.pointer(a)), a_length, zero, address(self.pointer(out)), N,
        )  # fmt: skip

    def _readable(self, a):
        """a or a copy, whether cuBLAS has to transpose it, and the elements from one row or column to the next."""
        rows, columns = a.shape
        down, right = (stride // a.itemsize for stride in a.strides)
        if (columns == 1 or right == 1) and down >= columns:
            return a, AS_IS, down
        if (rows == 1 or down == 1) and right >= rows:
            return a, TRANSPOSED, right
        return self.xp.ascontiguousarray(a), AS_IS, columns

    def _call(self, name, *arguments):
        status = getattr(self.library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} failed with status {status}")
