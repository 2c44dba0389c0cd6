"""LIF forward and backward: ours on each backend, a plain loop, other frameworks, and a copy.

The copy moves the bytes that a forward and backward must at least read and write: current and spikes, then
current, the spikes' gradient and the current's.

Everything is timed twice: with freed memory going back to the system as the C library does it, and with
large buffers kept (`mpdviz.system.memory`), as training asks for. All ratios are to the plain loop as one
runs it, memory going back.
"""

import itertools
import statistics
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from mpdviz.bench import peers, timing
from mpdviz.bench.plain import PlainLIF
from mpdviz.kernels import backends
from mpdviz.neurons import LIF, PLIF, Neuron
from mpdviz.system.memory import keep_large_buffers

DECAY, V_TH = 0.2, 0.5
SIMILAR = 0.999
"""Share of equal spikes asked of a framework that rounds in another order."""


def compare(
    shapes: Sequence[Sequence[int]], repeats: int, device: torch.device = timing.CPU
) -> list[timing.Row]:
    """Times on currents of each of `shapes` `[T, ...]`; buffers stay kept in this process from here on.

    Memory is kept or goes back on a CPU alone: CUDA's allocator keeps it.

    Raises:
        AssertionError: see `measure`.
    """
    returned = [measure(shape, repeats, device) for shape in shapes]
    again = device.type == "cpu" and keep_large_buffers()
    kept = [measure(shape, repeats, device) for shape in shapes] if again else None
    table: list[timing.Row] = []
    for i, shape in enumerate(shapes):
        case = f"LIF T={shape[0]} {'x'.join(map(str, shape[1:]))}"
        table += timing.rows(case, returned[i], returned[i]["plain"])
        if kept is not None:
            table += timing.rows(f"{case}, kept", kept[i], returned[i]["plain"])
    return table


def measure(shape: Sequence[int], repeats: int, device: torch.device = timing.CPU) -> dict[str, list[float]]:
    """Milliseconds of each contender on normal currents of mean 0 and variance 1.

    Raises:
        AssertionError: a backend of ours differs from the plain loop in a spike, or beyond rounding in a
            gradient; SpikingJelly's spikes differ in more than one of 1,000.
    """
    torch.manual_seed(0)
    current, grad = (torch.randn(*shape).to(device) for _ in range(2))
    neurons: dict[str, Callable[[Tensor], Tensor]] = {"plain": PlainLIF(DECAY, V_TH)}
    neurons |= {name: on(name) for name in backends.usable(device.type)}
    others = peers.installed(DECAY, V_TH, device)
    for _ in range(2):  # the check is the warm-up
        check(neurons, others, current, grad)
    runs: timing.Contenders = {
        name: partial(forward_backward, neuron, current, grad) for name, neuron in (neurons | others).items()
    }
    source = torch.zeros(5 * current.numel() // 2, device=device)
    runs["copy"] = partial(torch.zeros_like(source).copy_, source)
    runs["copy"]()
    return timing.alternate(runs, repeats, device=device)


def variants(shapes: Sequence[Sequence[int]], repeats: int) -> list[list[str]]:
    """LIF and PLIF in float32 and bfloat16 on every backend beside the copy, in this process as it is.

    Args:
        shapes: of the currents `[T, ...]`, on the CPU.
        repeats: timed runs of each.

    Returns:
        Rows of words: neuron, dtype, T, and for each backend its milliseconds and the share.
    """
    rows = []
    kinds: tuple[type[LIF] | type[PLIF], ...] = LIF, PLIF
    for kind, dtype, shape in itertools.product(kinds, (torch.float32, torch.bfloat16), shapes):
        torch.manual_seed(0)
        current, grad = (torch.randn(*shape).to(dtype) for _ in range(2))
        runs: timing.Contenders = {
            name: partial(forward_backward, on(name, kind), current, grad) for name in backends.usable()
        }
        source = torch.zeros(5 * current.numel() // 2, dtype=dtype)
        runs["copy"] = partial(torch.zeros_like(source).copy_, source)
        for run in 2 * list(runs.values()):
            run()
        medians = {name: statistics.median(ms) for name, ms in timing.alternate(runs, repeats).items()}
        cells = [f"{ms:.1f} ({medians['copy'] / ms:.0%})" for name, ms in medians.items() if name != "copy"]
        name = str(dtype).removeprefix("torch.")
        rows.append([kind.kind, name, str(shape[0]), *cells, f"{medians['copy']:.1f}"])
    return rows


def on(name: str, kind: Callable[[float, float], Neuron] = LIF) -> Callable[[Tensor], Tensor]:
    """Neurons of ours on one backend, forward; their backward runs on the same."""
    neuron = kind(DECAY, V_TH)

    def run(current: Tensor) -> Tensor:
        with backends.using(name):
            spikes: Tensor = neuron(current)
        return spikes

    return run


def forward_backward(
    neuron: Callable[[Tensor], Tensor], current: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Spikes and the current's gradient."""
    leaf = current.detach().requires_grad_()
    spikes = neuron(leaf)
    spikes.backward(grad)
    assert leaf.grad is not None
    return spikes.detach(), leaf.grad


def check(
    neurons: dict[str, Callable[[Tensor], Tensor]],
    others: dict[str, Callable[[Tensor], Tensor]],
    current: Tensor,
    grad: Tensor,
) -> None:
    """Compare spikes and gradients with the plain loop's; see `compare`."""
    spikes, gradient = forward_backward(neurons["plain"], current, grad)
    for name, neuron in neurons.items():
        if name == "compiled" and current.device.type == "cuda":
            # Inductor lets Triton fuse a product with a sum, so that spikes at the threshold may differ.
            others = others | {name: neuron}
            continue
        mine, mine_gradient = forward_backward(neuron, current, grad)
        assert torch.equal(mine, spikes), f"{name} gives other spikes; the times would compare nothing"
        torch.testing.assert_close(mine_gradient, gradient, rtol=1e-5, atol=1e-5)
    for name, neuron in others.items():
        theirs, _ = forward_backward(neuron, current, grad)
        same = float((theirs == spikes).float().mean())
        if name in ("spikingjelly", "compiled"):
            assert same > SIMILAR, f"{name} gives {1 - same:.2%} other spikes; it is another neuron"
