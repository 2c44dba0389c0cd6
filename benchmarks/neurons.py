"""LIF forward + backward: mpdviz against a plain loop of autograd operations, side by side in one process.

    python benchmarks/neurons.py [--threads 2] [--repeats 7] [--timesteps 2 4 10] [--shape 16 128 32 32]

The plain loop is what one writes first: a step is a few autograd operations, and each step's spikes go
into one output by a slice write, whose backward copies the whole output's gradient once a step. `copy`
moves the bytes that a forward and backward must at least read and write: current and spikes, then current,
the spikes' gradient and the current's. Runs alternate, after a warm-up of each; what is printed are medians
and their ratio to the plain loop. Before timing, all must give equal spikes, and gradients equal to rounding.
With --keep-buffers the C library keeps freed blocks, as `mpdviz train` asks it to.
"""

import argparse
import datetime
import gc
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpdviz.allocator import keep_large_buffers
from mpdviz.kernels import backend
from mpdviz.neurons import LIF

DECAY, V_TH, KAPPA = 0.2, 0.5, 1.0


class PlainSpike(torch.autograd.Function):
    """1[x >= 0] with the rectangular surrogate of width KAPPA."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Spikes of one step."""
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """The surrogate's gradient."""
        (x,) = ctx.saved_tensors
        return grads[0] * (x.abs() < KAPPA / 2).to(x.dtype) / KAPPA


def plain_lif(current: Tensor) -> Tensor:
    """Spikes [T, ...]; autograd finds its way back, through the reset too."""
    spikes = torch.empty_like(current)
    v, s = torch.zeros_like(current[0]), torch.zeros_like(current[0])
    for t in range(len(current)):
        v = DECAY * v * (1 - s) + current[t]
        s = PlainSpike.apply(v - V_TH)
        spikes[t] = s
    return spikes


def forward_backward(
    neuron: Callable[[Tensor], Tensor], current: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Spikes and the current's gradient."""
    leaf = current.detach().requires_grad_()
    spikes = neuron(leaf)
    spikes.backward(grad)
    assert leaf.grad is not None
    return spikes.detach(), leaf.grad


def backend_lif(name: str) -> Callable[[Tensor], Tensor]:
    """Our LIF on one backend, forward; its backward runs on the same."""
    lif = LIF(DECAY, V_TH)

    def run(current: Tensor) -> Tensor:
        with backend.using(name):
            spikes: Tensor = lif(current)
        return spikes

    return run


def cpu_model() -> str:
    """The processor's name, from /proc/cpuinfo where there is one."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def compare(shape: tuple[int, ...], repeats: int) -> dict[str, list[float]]:
    """Times in ms of each contender on `shape` [T, ...], run in turn."""
    torch.manual_seed(0)
    current, grad = torch.randn(shape), torch.randn(shape)
    neurons = {"plain": plain_lif, "eager": backend_lif("eager")}
    if backend.missing() is None:
        neurons["compiled"] = backend_lif("compiled")
    # The check is the warm-up.
    for _ in range(2):
        expected = forward_backward(plain_lif, current, grad)
        for name, neuron in neurons.items():
            spikes, current_grad = forward_backward(neuron, current, grad)
            if not torch.equal(spikes, expected[0]):
                raise SystemExit(f"{shape}: {name} gives other spikes; the times would compare nothing")
            torch.testing.assert_close(current_grad, expected[1], rtol=1e-5, atol=1e-5)
    del expected, spikes, current_grad
    source = torch.zeros(5 * current.numel() // 2)
    target = torch.zeros_like(source)
    runs: dict[str, Callable[[], object]] = {
        name: partial(forward_backward, neuron, current, grad) for name, neuron in neurons.items()
    }
    runs["copy"] = partial(target.copy_, source)
    times: dict[str, list[float]] = {name: [] for name in runs}
    gc.disable()
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1e3)
    gc.enable()
    return times


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="LIF forward + backward against a plain autograd loop")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each (default 7)")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[2, 4, 10])
    parser.add_argument(
        "--shape", type=int, nargs="+", help="sizes after T (default 16 128 32 32, batch 8 where T > 4)"
    )
    parser.add_argument("--keep-buffers", action="store_true", help="as in training")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kept = arguments.keep_buffers and keep_large_buffers()
    print(
        f"{cpu_model()}, {arguments.threads} threads; torch {torch.__version__}; "
        f"{datetime.date.today().isoformat()}; float32, decay {DECAY}, rectangular; "
        f"buffers {'kept' if kept else 'as the C library does'}"
    )
    print(f"medians of {arguments.repeats} runs in turn, forward + backward (fastest .. slowest)")
    print(f"{'T':>3}  {'shape':<16} {'':<9} {'ms':>26} {'ratio':>7}")
    for timesteps in arguments.timesteps:
        sizes = arguments.shape or [16 if timesteps <= 4 else 8, 128, 32, 32]
        times = compare((timesteps, *sizes), arguments.repeats)
        plain = statistics.median(times["plain"])
        for name, ms in times.items():
            median = statistics.median(ms)
            spread = f"{median:.1f} ({min(ms):.1f} .. {max(ms):.1f})"
            shape = "x".join(map(str, sizes))
            print(f"{timesteps:>3}  {shape:<16} {name:<9} {spread:>26} {plain / median:>6.1f}x")


if __name__ == "__main__":
    main()
