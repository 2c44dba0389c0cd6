"""Recording against the bare forward pass: time and peak memory, side by side from one process.

    python benchmarks/recorder.py [--device cpu] [--threads 2] [--repeats 7] [--batch-size 4] [--timesteps 10]
        [--slim]

Time: what is compared and how: `mpdviz.bench.recorder`. Memory: the most that is resident above what is
resident before the first forward, each case in a process of its own, sampled every 2 ms, where freed tensors
go back to the system at once (glibc's MALLOC_MMAP_THRESHOLD_ is set, or the heap's own habits would hide the
difference); the small network shows that it does not grow with the number of batches. On a CUDA device time
alone, and the most that its allocator held.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys

import numba
import torch

import mpdviz
from mpdviz.bench import recorder, timing
from mpdviz.bench.memory import Peak
from mpdviz.bench.pipeline import SLIM

TARGET_RATIO, TARGET_TRAINING, TARGET_MB = 1.15, 1.05, 10.0
SMALL = {"encode_channels": 8, "planes": (8, 8), "hidden": 16}


def memory_of(case: str, arguments: argparse.Namespace) -> float:
    """Peak in MB above what was resident before the first forward, of one case, in this process."""
    size, recorded, batches = case.split(":")
    if size == "large":
        network, x = recorder.settled("vggsnn", arguments.timesteps, arguments.batch_size)
    else:
        network, x = recorder.settled("convsnn", 2, 8, **SMALL)
    around = mpdviz.record(network) if recorded == "recorded" else contextlib.nullcontext()
    with recorder.scanned(arguments.compiled):
        if recorded == "recorded":
            # Modules imported and code compiled on first use are no part of what is measured.
            with mpdviz.record(network):
                network(x)
        network(x)
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


def card_memory(network: torch.nn.Module, x: torch.Tensor) -> str:
    """The most that a forward pass held on the device above what it had before, bare and recorded."""
    peaks = []
    for around in (contextlib.nullcontext(), mpdviz.record(network)):
        with around:
            network(x)
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            network(x)
            torch.cuda.synchronize()
            peaks.append((torch.cuda.max_memory_allocated() - before) / 1e6)
    return f"most memory of a forward pass on the device: bare {peaks[0]:.1f}, recorded {peaks[1]:.1f} MB"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="a recorded forward pass against a bare one")
    parser.add_argument("--device", type=torch.device, default=timing.CPU, help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="timed forwards of each (default 7)")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--timesteps", type=int, default=10)
    parser.add_argument("--slim", action="store_true", help="a slim network, and time alone")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    parser.add_argument("--compiled", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    if arguments.memory:
        print(memory_of(arguments.memory, arguments))
        return
    network, x = recorder.settled(
        "vggsnn",
        arguments.timesteps,
        arguments.batch_size,
        device=arguments.device,
        **(SLIM["vggsnn"] if arguments.slim else {}),
    )
    shape = "x".join(map(str, x.shape))
    rows, mpd = recorder.compare(f"VGGSNN, frames {shape}", network, x, arguments.repeats)
    print(
        f"{timing.machine(arguments.device)}, numba {numba.__version__}; float32, "
        f"medians of {arguments.repeats}"
    )
    print("\n".join(timing.lines(rows)))
    print(f"recorded / bare {rows[1].median_ms / rows[0].median_ms:.2f}x (target {TARGET_RATIO:.2f}x)")
    table = mpd.table()
    rates = ", ".join(f"{100 * rate:.0f}" for rate in table.groupby("layer")["firing_rate"].mean())
    counts = table.groupby("layer")["count"].sum() / (arguments.repeats + 2)
    largest_mb = float(counts.max()) * 4 / 1e6
    print(f"{int(counts.sum()):,} potentials, firing rates {rates} %")
    del mpd
    if arguments.device.type == "cuda":
        print(card_memory(network, x))
        return
    if arguments.slim:
        return
    torch.set_grad_enabled(True)
    rows = recorder.training(f"VGGSNN, training step, {shape}", network, x, arguments.repeats)
    torch.set_grad_enabled(False)
    print("\n".join(timing.lines(rows)))
    print(f"recorded / bare {rows[1].median_ms / rows[0].median_ms:.2f}x (target {TARGET_TRAINING:.2f}x)")
    del network, x
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
