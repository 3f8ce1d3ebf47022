"""A training step by the kernels at each batch size, for profilers and checkers: python -m benchmarks.gpu_steps"""

from benchmarks.gpu_cases import BATCHES
from benchmarks.gpu_peers import GpuPeer


def main():
    peer = GpuPeer(fast_path=True)
    for batch_size in BATCHES:
        print(f"batch {batch_size}: loss {float(peer.losses(batch_size, dropout=True)()):.6f}", flush=True)


if __name__ == "__main__":
    main()
