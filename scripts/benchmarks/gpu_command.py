"""What `scripts/bench.py --backend cupy` does."""

import json
import math
import sys
import time

from benchmarks.gpu_bench import PEERS, GpuBench, GpuPeerProcess
from benchmarks.gpu_cases import MOST_EPOCHS
from benchmarks.gpu_report import gpu_markdown
from synann_np.backend import BackendError, get_backend
from synann_np.storage.atomic_file import write_atomically


def run_on_gpu(
    parts, rounds, out, peers=None, most_epochs=MOST_EPOCHS, seconds=math.inf, only_list=False, start=GpuPeerProcess
):
    """Print tables and write gpu.json into the folder `out`, after every row; or print what would be measured.

    Arguments:
        peers: names. None: all, and for the accuracy `fast`.
        seconds: after which no row is started.
        start: function of a peer's name.

    Returns: exit code. 1 where `fast` fails or peers compute different things, 2 where no GPU answers.
    """
    names = peers or PEERS
    if only_list:
        for part, keys in GpuBench([], rounds).rows().items():
            if part in parts:
                who = names if peers or part != "accuracy" else ["fast"]
                print(f"{part}: {', '.join(map(str, keys))}; peers: {', '.join(who)}")
        return 0
    deadline = time.monotonic() + seconds
    try:
        get_backend("cupy")
    except BackendError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)

    def save(result):
        write_atomically(out / "gpu.json", (json.dumps(result, indent=1) + "\n").encode())

    processes = [start(name) for name in names]
    try:
        bench = GpuBench(processes, rounds, peers or ("fast",), deadline, save)
        result = bench.run(parts, most_epochs=most_epochs)
    finally:
        for process in processes:
            process.close()
    print(gpu_markdown(result))
    print(f"\nWritten: {out / 'gpu.json'}")
    return 1 if bench.wrong else 0
