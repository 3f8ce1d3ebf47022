"""A device for tests on any CPU: what CuPy refuses, or gets silently wrong, raises here.

The module is the array namespace and `ndarray` its array, which holds a NumPy array without being one. Refused are

    host arrays in expressions, as indices and as values; lists where a ufunc or an index wants an array
    every implicit way to the host: np.asarray(x), NumPy functions, float, int, bool, iteration, item, boolean masks
    index arrays out of range and duplicate indices in an assignment (CuPy wraps around, or keeps any of the values)
    float32 that becomes float64, which CuPy does as NumPy does and nobody wants

Every operation goes through `cuda`: a FakeCuda in its place counts them, gives them memory from its pools, and
captures them. What happens again at every launch of a graph is what was launched: views, shapes and Python numbers are
those of the capture, as on a real device.

Permitted ways to the host: `backend().to_host(x)`, and whatever happens inside `with allow_sync():`. Only the names
in the lists below exist, and CuPy 14 has all of them.
"""
# ruff: noqa: SIM905 - a hundred names are read more easily without quotes

import operator
import sys
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np

from synann_np.backend import CupyBackend

FUNCTIONS = """abs add all any arange argmax argmin argsort array_equal bincount bitwise_and bitwise_or bitwise_xor
broadcast_to ceil clip concatenate cos cumsum diag divide dot einsum empty empty_like equal exp expand_dims expm1 eye
flip floor full full_like greater greater_equal invert isfinite isinf isnan less less_equal linspace log log1p
logical_and logical_not logical_or matmul max maximum mean min minimum moveaxis multiply negative not_equal ones
ones_like outer pad power prod ravel repeat reshape roll sign sin sqrt square squeeze stack std subtract sum swapaxes
take take_along_axis tanh tensordot tile transpose true_divide var vstack hstack where zeros zeros_like
ascontiguousarray frexp ldexp""".split()
CONSTANTS = """bool_ float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 dtype finfo iinfo inf nan
newaxis pi result_type""".split()
ATTRIBUTES = "dtype flags itemsize nbytes ndim shape size strides".split()
METHODS = """all any argmax argmin argsort astype clip copy cumsum dot fill flatten max mean min prod ravel repeat
reshape sort squeeze std sum swapaxes take trace transpose var view""".split()
BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
COMPARISONS_AND_UNARY = "lt le gt ge eq ne neg pos abs invert".split()
SYNCHRONISE = "item tolist __float__ __int__ __bool__ __complex__".split()

_allowed = 0


@contextmanager
def allow_sync():
    """Inside, waiting for the device and copying to the host are permitted."""
    global _allowed
    _allowed += 1
    try:
        yield
    finally:
        _allowed -= 1


class ndarray:
    """An array on the device. Functions of this module and backend().asarray make it."""

    __array_ufunc__ = None  # NumPy's operators defer to ours, its ufuncs refuse
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, host, memory=None):
        self._device, self._memory = np.asarray(host), memory

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed: use backend.to_host(x)")

    def __array_function__(self, function, *args):
        raise TypeError(f"numpy.{function.__name__} of a device array: use array_module(x).{function.__name__}")

    def __repr__(self):
        return f"<device array {self.shape} {self.dtype}>"

    def __len__(self):
        return len(self._device)

    def __iter__(self):
        _wait("iteration")
        return (self[k] for k in range(len(self)))

    def __getitem__(self, key):
        plain = _index(key)
        return _computed(lambda: self._device[plain], [self])

    def __setitem__(self, key, value):
        plain, inside, size, shape = _index(key), self._device, self.size, self.shape
        by_array = any(isinstance(k, ndarray) for k in _flat([key]))
        if by_array and not isinstance(value, ndarray):
            cuda.copy_from_host("a number assigned at indices")
        _one_float_dtype("assignment", [self, value])
        number = _unwrap(value)

        def assign():
            if by_array:
                targets = np.arange(size).reshape(shape)[plain]
                if np.unique(targets).size < targets.size:
                    raise IndexError("duplicate indices in an assignment: on a device any of the values may stay")
            inside[plain] = number

        cuda.operation(assign)


def _unwrap(x):
    if isinstance(x, ndarray):
        return x._device
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>: a host array where a device array is needed")
    return type(x)(map(_unwrap, x)) if isinstance(x, tuple | list) else x


def _wrap(x):
    if isinstance(x, tuple | list):
        return type(x)(map(_wrap, x))
    return ndarray(x) if isinstance(x, np.ndarray | np.generic) else x


def _flat(args):
    for a in args:
        if isinstance(a, (tuple, list)):  # quicker than their union, and called a million times
            yield from _flat(a)
        else:
            yield a


def _wait(what):
    if not _allowed:
        raise RuntimeError(f"{what} waits for the device: keep the value there, or ask inside allow_sync()")
    cuda.refuse_in_capture(what)


def _index(key):
    for k in key if isinstance(key, tuple) else (key,):
        if isinstance(k, list):
            raise TypeError("Unsupported type <class 'list'>: an index array must be on the device")
        if isinstance(k, ndarray) and k.dtype == bool:
            _wait("a boolean mask")
    return _unwrap(key)  # integers out of range: NumPy raises IndexError


def _one_float_dtype(what, args):
    dtypes = {a.dtype for a in _flat(args) if isinstance(a, ndarray | np.generic) and a.dtype.kind == "f"}
    if len(dtypes) > 1:
        raise TypeError(f"float64 creeps in: {what} of {' and '.join(sorted(map(str, dtypes)))}")
    return dtypes


def _call(function, args, kwargs):
    """function(*args, **kwargs) on the arrays inside."""
    name = function.__name__
    if isinstance(function, np.ufunc) and any(isinstance(a, tuple | list) for a in args):
        raise TypeError(f"Unsupported type <class 'list'>: {name} needs device arrays")
    if name in ("concatenate", "stack") and len(args[0]) > 8:
        cuda.copy_from_host(f"{name} of more than 8 arrays")  # their addresses
    if name in ("matmul", "dot", "einsum", "tensordot"):
        cuda.refuse_in_capture("cuBLAS")  # by CuPy, not by CUDA
    dtypes = _one_float_dtype(name, args)
    inside, options = [_unwrap(a) for a in args], {k: _unwrap(v) for k, v in kwargs.items()}
    if isinstance(kwargs.get("out"), ndarray):
        cuda.operation(lambda: function(*inside, **options))
        return kwargs["out"]
    result = _computed(lambda: function(*inside, **options), args, launches=name not in ("empty", "empty_like"))
    asked_for = name in ("astype", "view") or "dtype" in kwargs
    if np.dtype("float32") in dtypes and getattr(result, "dtype", None) == np.float64 and not asked_for:
        raise TypeError(f"float64 creeps in: {name} of float32")
    return result


def _computed(work, args, launches=True):
    """What work() returns, an array or several, on the device. A view shares the memory of what it is a view of."""
    with cuda.complaints():
        result = work()
    if isinstance(result, tuple | list):
        return type(result)(_computed(lambda k=k: work()[k], args, launches) for k in range(len(result)))
    if not isinstance(result, np.ndarray | np.generic):
        return result
    for a in _flat(args):
        if isinstance(a, ndarray) and np.may_share_memory(result, a._device):
            return ndarray(result, a._memory)
    place, memory = cuda.place_for(np.asarray(result))
    if launches:
        cuda.operation(lambda: np.copyto(place, work()), lambda: np.copyto(place, result))
    return ndarray(place, memory)


def _add_operator(name):
    function = getattr(operator, f"__{name}__")

    def forward(self, *other):
        return _call(function, (self, *other), {})

    def reflected(self, other):
        return _call(function, (other, self), {})

    def in_place(self, other):
        dtypes, inside, number = _one_float_dtype(name, (self, other)), self._device, _unwrap(other)
        sample = np.ones(1, number.dtype) if hasattr(number, "dtype") else 1
        if np.dtype("float32") in dtypes and function(np.ones(1, inside.dtype), sample).dtype == np.float64:
            raise TypeError(f"float64 creeps in: {name} of float32")
        cuda.operation(lambda: np.copyto(inside, function(inside, number), casting="same_kind"))
        return self

    setattr(ndarray, f"__{name}__", forward)
    if name in BINARY:
        setattr(ndarray, f"__r{name}__", reflected)
        setattr(ndarray, f"__i{name}__", in_place)


def _add_method(name):
    def method(self, *args, **kwargs):
        if name in SYNCHRONISE:
            _wait(f"{name.strip('_')}()")
            return getattr(self._device, name)(*args)
        return _call(getattr(np.ndarray, name), (self, *args), kwargs)

    setattr(ndarray, name, method)


for _name in BINARY + COMPARISONS_AND_UNARY:
    _add_operator(_name)
for _name in METHODS + SYNCHRONISE:
    _add_method(_name)
for _name in ATTRIBUTES:
    setattr(ndarray, _name, property(lambda self, name=_name: getattr(self._device, name)))
ndarray.T = property(lambda self: _computed(lambda: self._device.T, [self]))


def __getattr__(name):
    if name in CONSTANTS:
        return getattr(np, name)
    if name in FUNCTIONS:
        return lambda *args, **kwargs: _call(getattr(np, name), args, kwargs)
    raise AttributeError(f"strict_device has no {name!r}: if CuPy has it, add it to the lists")


def array(x, dtype=None):
    """A copy of x, from the host or from here."""
    if isinstance(x, ndarray):
        return _computed(lambda: np.array(x._device, dtype=dtype), [])
    cuda.copy_from_host("an array")
    host = np.array(x, dtype=dtype)
    place, memory = cuda.place_for(host)
    place[...] = host
    return ndarray(place, memory)


def asarray(x, dtype=None):
    """x itself if it is here and of that dtype, else a copy."""
    return x if isinstance(x, ndarray) and dtype in (None, x.dtype) else array(x, dtype)


def asnumpy(x):
    """A copy of x on the host."""
    if isinstance(x, ndarray):
        cuda.copy_to_host()
    return np.array(x._device if isinstance(x, ndarray) else x)


def _as_strided(x, shape, strides):
    return _call(np.lib.stride_tricks.as_strided, (x, shape, strides), {})


# Not sliding_window_view: CuPy's copies the shape of the window from the host.
lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_as_strided))


class _OneAfterTheOther:
    """The device where every operation runs at once, in memory of its own. FakeCuda does more with them."""

    def Device(self):
        return SimpleNamespace(synchronize=lambda: None)

    def operation(self, work, first=None):
        (first or work)()

    def place_for(self, result):
        return result if result.flags.owndata else result.copy(order="K"), None

    def complaints(self):
        return nullcontext()

    def copy_from_host(self, what):
        pass

    def refuse_in_capture(self, what):
        pass

    def copy_to_host(self):
        pass


cuda = _OneAfterTheOther()


def backend():
    """The package's own CuPy backend with this module in the place of CuPy."""
    return CupyBackend("strict_device", sys.modules[__name__])
