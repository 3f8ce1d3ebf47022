"""Freed memory kept by the process: what CuPy's pool is to a GPU, for NumPy."""

import ctypes

# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
GIB = 2**30


def keep_freed_memory() -> bool:
    """Tell glibc to keep the memory of freed arrays instead of handing it back to the kernel.

    By default every array above 128 KiB (up to 32 MiB, the bound moves) is mapped afresh and its pages are zeroed and
    faulted in one by one: in a training step of small layers that costs as much as the arithmetic. The process keeps
    the most that it ever held at one time. One arena for all threads, so that they share what is kept.

    It concerns the whole process and cannot be taken back. Returns True where it took effect; other C libraries than
    glibc are left as they are.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = {M_MMAP_THRESHOLD: GIB, M_TRIM_THRESHOLD: GIB, M_TOP_PAD: GIB // 16, M_ARENA_MAX: 1}
    return [mallopt(option, value) for option, value in settings.items()] == [1] * len(settings)
