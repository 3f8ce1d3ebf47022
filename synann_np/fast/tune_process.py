"""What a training script sets for its whole process; no other call of this package does."""

from .memory import keep_freed_memory


def tune_process(threads: int = 1) -> None:
    """Give BLAS this many threads, and keep freed memory (memory.py).

    The compiled layers divide their work among threads of their own, and BLAS threads compete with them for the cores:
    one is best in most networks. Call it once, at the start of a script. It concerns the whole process.
    """
    import threadpoolctl  # importing the package needs NumPy only

    threadpoolctl.threadpool_limits(threads, user_api="blas")
    keep_freed_memory()
