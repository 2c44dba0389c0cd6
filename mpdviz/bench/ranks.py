"""Two processes against one, on the same batches: what `devices=2` brings on the cores of this machine."""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from mpdviz.bench import timing
from mpdviz.config import validate
from mpdviz.training import command

SAMPLES = 1250
"""Of which 1,000 train, ten steps an epoch."""
SETTINGS = {
    "model": "resnet19:encode_channels=16:planes=16-32-64",
    "timesteps": 2,
    "batch_size": 100,
    "backend": "eager",
}
CORES = 2


def compare(epochs: int) -> list[timing.Row]:
    """Times of a training step of the slim ResNet-19 by one process with two threads and by two with one.

    Args:
        epochs: measured, each giving one time; another before them is not.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((SAMPLES, 3, 32, 32), dtype=np.float32)
        np.savez(folder / "noise.npz", x=x, y=np.arange(SAMPLES) % 10)
        times = {
            "one process, 2 threads": _step_times(folder, 1, epochs),
            "two processes, 1 thread": _step_times(folder, 2, epochs),
        }
    return timing.rows("slim resnet19", times, times["one process, 2 threads"])


def _step_times(folder: Path, devices: int, epochs: int) -> list[float]:
    """Milliseconds a step, the mean of each epoch."""
    out = folder / str(devices)
    wanted = {"data": f"npz:{folder / 'noise.npz'}", "epochs": epochs + 1, "devices": devices}
    subprocess.run(
        command(validate(SETTINGS | wanted), out),
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": str(CORES // devices)},
    )
    steps = SAMPLES * 8 // 10 // 100
    seconds: list[float] = pd.read_csv(out / "metrics.csv")["seconds"].tolist()
    return [1e3 * second / steps for second in seconds[1:]]
