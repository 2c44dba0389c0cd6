"""Recording against the bare forward pass: time and peak memory, side by side from one process.

    python benchmarks/recorder.py [--threads 2] [--repeats 7] [--batch-size 4] [--timesteps 10]

Time: VGGSNN at full size in evaluation mode on frames of about 20 % ones, its batch norms settled by one
forward pass so that its layers spike; bare and recorded forwards alternate after a warm-up of each (which
compiles the recorder's scan and reads the wiring), and what is printed are medians. Before timing, both
must give equal outputs. Memory: the most that is resident above what is resident before the first forward,
each case in a process of its own, sampled every 2 ms, where freed tensors go back to the system at once
(glibc's MALLOC_MMAP_THRESHOLD_ is set, or the heap's own habits would hide the difference); the small
network shows that it does not grow with the number of batches.
"""

import argparse
import contextlib
import datetime
import gc
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numba
import torch
from torch import Tensor

import mpdviz
from mpdviz import networks
from mpdviz.api import LiveRecording
from mpdviz.networks import SpikingNetwork
from mpdviz.norm import TDBatchNorm2d
from mpdviz.recording import meter

TARGET_RATIO, TARGET_MB = 1.25, 10.0
SMALL = {"name": "convsnn", "encode_channels": 8, "planes": (8, 8), "hidden": 16}
LARGE = {"name": "vggsnn", "image_size": 48}


def settled(timesteps: int, batch_size: int, options: dict[str, object]) -> tuple[SpikingNetwork, Tensor]:
    """A network in evaluation mode whose batch norms know its input, and that input."""
    torch.manual_seed(0)
    network = networks.build(**{"timesteps": timesteps, "num_classes": 10} | options)  # type: ignore[arg-type]
    side = network.image_size or 8
    frames = (torch.rand(timesteps, batch_size, network.in_channels, side, side) < 0.2).float()
    norms = [module for module in network.modules() if isinstance(module, TDBatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network(frames)
    for norm in norms:
        norm.momentum = 0.1
    return network.eval(), frames


def cpu_model() -> str:
    """The processor's name, from /proc/cpuinfo where there is one."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def timed(network: SpikingNetwork, x: Tensor) -> float:
    """Milliseconds of one forward."""
    start = time.perf_counter()
    network(x)
    return (time.perf_counter() - start) * 1e3


def compare(
    network: SpikingNetwork, x: Tensor, repeats: int
) -> tuple[list[float], list[float], LiveRecording]:
    """Times in ms of bare and of recorded forwards, in turn, and the recording."""
    bare_ms, recorded_ms = [], []
    bare = network(x)
    with mpdviz.record(network) as mpd:
        if not torch.equal(network(x), bare):
            raise SystemExit("the two give different outputs; their times compare nothing")
        network(x)
    observers = Watching(network, mpd)
    gc.disable()
    for _ in range(repeats):
        bare_ms.append(timed(network, x))
        with observers:
            recorded_ms.append(timed(network, x))
    gc.enable()
    return bare_ms, recorded_ms, mpd


class Watching:
    """Switches one recording on and off again, so that its scan stays compiled and its wiring known."""

    def __init__(self, network: SpikingNetwork, mpd: LiveRecording) -> None:
        """Switch `mpd`, a recording of `network`."""
        self.recorder = mpd._recorder

    def __enter__(self) -> None:
        """On."""
        self.recorder.attach()

    def __exit__(self, *_: object) -> None:
        """Off."""
        self.recorder.detach()


# Memory. --------------------------------------------------------------------------------------------------


def resident_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Peak:
    """Samples this process's resident memory from a thread of its own."""

    def __enter__(self) -> "Peak":
        """Start."""
        self.start = self.most = resident_mb()
        self._going = True
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while self._going:
            self.most = max(self.most, resident_mb())
            time.sleep(0.002)

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._going = False
        self._thread.join()

    @property
    def above(self) -> float:
        """MB above what was resident at the start."""
        return self.most - self.start


def memory_of(case: str, arguments: argparse.Namespace) -> float:
    """Peak in MB above what was resident before the first forward, of one case, in this process."""
    size, recorded, batches = case.split(":")
    timesteps, batch_size = (arguments.timesteps, arguments.batch_size) if size == "large" else (2, 8)
    options = LARGE if size == "large" else SMALL
    network, x = settled(timesteps, batch_size, dict(options))
    around = mpdviz.record(network) if recorded == "recorded" else contextlib.nullcontext()
    meter.COMPILE_AFTER = -1 if arguments.compiled else 1 << 60
    if recorded == "recorded":
        # Modules imported and code compiled on first use are no part of what is measured.
        with mpdviz.record(network):
            network(x)
    network(x)
    gc.collect()
    with around, Peak() as peak:
        for _ in range(int(batches)):
            network(x)
    return peak.above


def memory(case: str, arguments: argparse.Namespace, compiled: bool) -> float:
    """The same in a process of its own; the median of three."""
    command = [sys.executable, __file__, "--memory", case, "--threads", str(arguments.threads)]
    command += ["--timesteps", str(arguments.timesteps), "--batch-size", str(arguments.batch_size)]
    command += ["--compiled"] if compiled else []
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        for _ in range(3)
    ]
    return statistics.median(float(run) for run in runs)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="a recorded forward pass against a bare one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="timed forwards of each (default 7)")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--timesteps", type=int, default=10)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    parser.add_argument("--compiled", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    if arguments.memory:
        print(memory_of(arguments.memory, arguments))
        return
    meter.COMPILE_AFTER = -1
    load = Path("/proc/loadavg").read_text()[:4]
    print(
        f"{cpu_model()}, {arguments.threads} threads; torch {torch.__version__}, numba {numba.__version__}; "
        f"{datetime.date.today().isoformat()}; float32, evaluation mode, load {load}"
    )
    network, x = settled(arguments.timesteps, arguments.batch_size, dict(LARGE))
    bare, recorded, mpd = compare(network, x, arguments.repeats)
    table = mpd.table()
    rates = ", ".join(f"{100 * rate:.0f}" for rate in table.groupby("layer")["firing_rate"].mean())
    counts = table.groupby("layer")["count"].sum() / (arguments.repeats + 2)
    largest_mb = float(counts.max()) * 4 / 1e6
    shape = "x".join(map(str, x.shape))
    print(f"VGGSNN, frames {shape}, {int(counts.sum()):,} potentials, firing rates {rates} %")
    print(f"medians of {arguments.repeats} forwards in turn (fastest .. slowest)")
    for name, times in (("bare", bare), ("recorded", recorded)):
        print(f"  {name:<10} {statistics.median(times):8.1f} ms ({min(times):.1f} .. {max(times):.1f})")
    ratio = statistics.median(recorded) / statistics.median(bare)
    print(f"  ratio {ratio:.2f}x (target {TARGET_RATIO:.2f}x)")
    del network, x, mpd
    print("peak memory above what is resident before the first forward, medians of 3 processes")
    for compiled in (True, False):
        path = "compiled scan" if compiled else "tensor operations"
        without, with_it = (memory(f"large:{kind}:3", arguments, compiled) for kind in ("bare", "recorded"))
        print(
            f"  VGGSNN, {path}: bare {without:.1f}, recorded {with_it:.1f}, more {with_it - without:.1f} MB"
            f" (target: largest layer's potentials {largest_mb:.1f} + {TARGET_MB:.0f} MB)"
        )
    for compiled in (True, False):
        path = "compiled scan" if compiled else "tensor operations"
        few, many = (memory(f"small:recorded:{batches}", arguments, compiled) for batches in (10, 1000))
        print(f"  ConvSNN, {path}: 10 batches {few:.1f} MB, 1,000 batches {many:.1f} MB")


if __name__ == "__main__":
    main()
