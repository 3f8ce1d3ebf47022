"""What `scripts/bench.py --backend cupy` does."""

import json
import sys
from pathlib import Path

from benchmarks.gpu_bench import PARTS, PEERS, GpuBench, GpuPeerProcess, PeerFailed, WrongResult
from benchmarks.gpu_report import gpu_markdown
from synann_np.backend import BackendError, get_backend

SCRIPTS = Path(__file__).resolve().parents[1]


def run_on_gpu(parts, rounds, out, only_list=False, start=GpuPeerProcess):
    """Print tables and write gpu.json into the folder `out`, or print what would be measured.

    Arguments: start: function of a peer's name and the folder of the scripts.

    Returns: exit code, 2 where no GPU answers, or peers compute different things.
    """
    if only_list:
        for part, keys in GpuBench([], rounds).rows().items():
            if part in parts:
                print(f"{part}: {', '.join(map(str, keys))}; peers: {', '.join(PEERS)}")
        return 0
    try:
        get_backend("cupy")
        result = measured(parts, rounds, [start(name, SCRIPTS) for name in PEERS])
    except (BackendError, PeerFailed, WrongResult) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps(result, indent=1) + "\n")
    print(gpu_markdown(result))
    print(f"\nWritten: {out / 'gpu.json'}")
    return 0


def measured(parts, rounds, peers):
    """The result of all parts; the peers are closed, whatever happens."""
    try:
        return GpuBench(peers, rounds).run(parts)
    finally:
        for peer in peers:
            peer.close()


__all__ = ["PARTS", "run_on_gpu"]
