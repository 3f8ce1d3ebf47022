"""The memory pools of a faked device. A block that is given back is handed out again, and its old contents are lost."""

import numpy as np

BLOCK = 512  # bytes; a pool hands out multiples of it


class FakePool:
    """Blocks by stream and size, as in CuPy: one that was freed on a stream serves this stream only.

    Attributes: allocations, how often the device was asked for memory.
    """

    def __init__(self, cuda):
        self.cuda, self.freed, self.allocations = cuda, {}, 0

    def malloc(self, size):
        key = self.cuda.streams[-1], -(-max(size, 1) // BLOCK)
        blocks = self.freed.setdefault(key, [])
        if not blocks:
            self.allocations += 1
            self.cuda.allocated()
        block = blocks.pop() if blocks else np.empty(BLOCK * key[1], "uint8")
        block[...] = 255  # NaN to whom reads it as numbers
        return Memory(block, blocks)

    def free_all_blocks(self):
        self.freed.clear()


class Memory:
    """A block in use. It goes back when the last array over it is gone."""

    def __init__(self, block, blocks):
        self.block, self.blocks = block, blocks

    def __del__(self):
        self.blocks.append(self.block)
