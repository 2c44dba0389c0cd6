"""Pack the first 10,000 training images of CIFAR-10's binary files for docs/study.sh.

    python docs/subset.py FOLDER OUT.npz      # FOLDER holds data_batch_1.bin

Each colour is shifted and scaled to mean 0 and standard deviation 1 over the subset.
"""

import sys
from pathlib import Path

import numpy as np


def main(folder: Path, out: Path) -> None:
    """Write `x` float32 `[10000, 3, 32, 32]` and `y` int64 `[10000]`."""
    records = np.fromfile(folder / "data_batch_1.bin", np.uint8).reshape(10_000, 3073)
    x = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)
    x -= x.mean((0, 2, 3), keepdims=True)
    x /= x.std((0, 2, 3), keepdims=True)
    np.savez(out, x=x, y=records[:, 0].astype(np.int64))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
