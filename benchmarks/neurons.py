"""LIF forward + backward: mpdviz against a plain loop of autograd operations, side by side in one process.

    python benchmarks/neurons.py [--threads 2] [--repeats 7] [--timesteps 2 4 10] [--shape 16 128 32 32]

The plain loop is what one writes first: a step is a few autograd operations, and each step's spikes go
into one output by a slice write, whose backward copies the whole output's gradient once a step. Runs of
the two alternate, after a warm-up of each; what is printed are medians. Before timing, both must give
equal spikes, and gradients equal to rounding.
"""

import argparse
import datetime
import gc
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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


def timed(neuron: Callable[[Tensor], Tensor], current: Tensor, grad: Tensor) -> float:
    """Milliseconds of one forward and backward."""
    start = time.perf_counter()
    forward_backward(neuron, current, grad)
    return (time.perf_counter() - start) * 1e3


def cpu_model() -> str:
    """The processor's name, from /proc/cpuinfo where there is one."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def compare(shape: tuple[int, ...], repeats: int) -> tuple[list[float], list[float]]:
    """Times in ms of the plain loop and of mpdviz on `shape` [T, ...], run in turn."""
    torch.manual_seed(0)
    current, grad = torch.randn(shape), torch.randn(shape)
    lif = LIF(DECAY, V_TH)
    # The check is the warm-up.
    for _ in range(2):
        plain_spikes, plain_grad = forward_backward(plain_lif, current, grad)
        spikes, current_grad = forward_backward(lif, current, grad)
        if not torch.equal(spikes, plain_spikes):
            raise SystemExit(f"{shape}: the two give different spikes; their times compare nothing")
        torch.testing.assert_close(current_grad, plain_grad, rtol=1e-5, atol=1e-5)
    del plain_spikes, plain_grad, spikes, current_grad
    plain_ms, mpdviz_ms = [], []
    gc.disable()
    for _ in range(repeats):
        plain_ms.append(timed(plain_lif, current, grad))
        mpdviz_ms.append(timed(lif, current, grad))
    gc.enable()
    return plain_ms, mpdviz_ms


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="LIF forward + backward against a plain autograd loop")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each (default 7)")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[2, 4, 10])
    parser.add_argument(
        "--shape", type=int, nargs="+", help="sizes after T (default 16 128 32 32, batch 8 where T > 4)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"{cpu_model()}, {arguments.threads} threads; torch {torch.__version__}; "
        f"{datetime.date.today().isoformat()}; float32, decay {DECAY}, rectangular, eager"
    )
    print(f"medians of {arguments.repeats} runs in turn, forward + backward (fastest .. slowest)")
    print(f"{'T':>3}  {'shape':<18} {'plain ms':>24} {'mpdviz ms':>24} {'ratio':>6}")
    for timesteps in arguments.timesteps:
        sizes = arguments.shape or [16 if timesteps <= 4 else 8, 128, 32, 32]
        plain, ours = compare((timesteps, *sizes), arguments.repeats)
        columns = [f"{statistics.median(x):.1f} ({min(x):.1f} .. {max(x):.1f})" for x in (plain, ours)]
        ratio = statistics.median(plain) / statistics.median(ours)
        size = "x".join(map(str, sizes))
        print(f"{timesteps:>3}  {size:<18} {columns[0]:>24} {columns[1]:>24} {ratio:>5.2f}x")


if __name__ == "__main__":
    main()
