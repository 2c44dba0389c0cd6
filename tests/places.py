"""A tiny data set and run for tests of the command line, and what is left of a folder after a command."""

import sys
from pathlib import Path

import numpy as np

TINY = (
    "--model",
    "convsnn:encode_channels=4:planes=4-4",
    "--timesteps",
    "2",
    "--batch-size",
    "16",
    "--device",
    "cpu",
)
SCRIPT = Path(sys.executable).with_name("mpdviz")


def arrays(samples=60):
    random = np.random.default_rng(0)
    y = np.arange(samples) % 3
    return {"x": random.normal(size=(samples, 1, 8, 8)).astype(np.float32), "y": y}


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


def train(*args):
    return ("train", "--data", "npz:data.npz", *TINY, "--epochs", "1", "--out", "new", *args)


BEST = "run/checkpoints/best.pt"
