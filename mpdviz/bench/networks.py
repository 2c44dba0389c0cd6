"""A training step: our build of a network against the same one of plain loops and batch norm by hand."""

import copy
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mpdviz import networks
from mpdviz.bench import peers, timing
from mpdviz.bench.apart import apart
from mpdviz.bench.memory import Peak
from mpdviz.bench.plain import PlainLIF, plain_build
from mpdviz.kernels import backends
from mpdviz.networks.base import SpikingNetwork
from mpdviz.system.memory import keep_large_buffers

LEARNING_RATE = 0.01
TOLERANCE = 0.02
"""Relative difference of the first losses: rounding flips a spike here and there, and each flips others in
the layers behind it."""
TOLERANCE_CUDA = 0.1
"""There convolutions round their factors to TF32's ten bits."""

KINDS = {
    "convolution, backward": ("convolution_backward",),
    "convolution, forward": ("mkldnn_convolution", "_convolution"),
    "batch norm": ("batch_norm",),
    "neurons": ("MultiStepLIF", "CompiledFxGraph"),
    "pooling": ("pool",),
    "optimiser": ("Optimizer", "foreach", "addcmul", "aten::add_", "aten::mul_"),
}
"""What a profiled operation belongs to, by what its name contains."""


class Step:
    """One training step of one build: forward, cross-entropy of the mean logits, backward, SGD."""

    def __init__(
        self, network: SpikingNetwork, x: Tensor, y: Tensor, on: str = "eager", *, bf16: bool = False
    ) -> None:
        """Train `network` on the batch `x`, `y`, its neurons on the backend `on`; bf16: under autocast."""
        self.network, self.x, self.y, self.on, self.bf16 = network.train(), x, y, on, bf16
        self.optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, momentum=0.9)

    def __call__(self) -> float:
        """Run it; the loss."""
        autocast = torch.autocast(self.x.device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with backends.using(self.on):
            with autocast:
                logits = self.network(self.x).mean(0)
            loss = F.cross_entropy(logits.float(), self.y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


def batch(network: SpikingNetwork, batch_size: int, side: int, *, frames: bool) -> tuple[Tensor, Tensor]:
    """Frames `[T, N, C, side, side]` of 20 % ones, or normal images `[N, C, side, side]`, and labels.

    On the network's device, drawn on the CPU.
    """
    torch.manual_seed(1)
    shape = (batch_size, network.sample_shape[0] or 1, side, side)
    x = (torch.rand(network.timesteps, *shape) < 0.2).float() if frames else torch.randn(shape)
    device = next(network.parameters()).device
    return x.to(device), (torch.arange(batch_size) % 10).to(device)


def steps(
    name: str,
    timesteps: int,
    batch_size: int,
    side: int,
    *,
    bf16: bool = False,
    device: torch.device = timing.CPU,
    **options: Any,
) -> dict[str, Step]:
    """The contenders: plain, every backend that is usable here, and those under bf16 if asked for."""
    torch.manual_seed(0)
    made = networks.build(name, strategy="mpd-agl", timesteps=timesteps, num_classes=10, **options)
    made.to(device)
    x, y = batch(made, batch_size, side, frames=name == "vggsnn")

    def ours() -> SpikingNetwork:
        return copy.deepcopy(made).channels_last()  # as in training

    usable = backends.usable(x.device.type)
    contenders = {"plain": Step(plain_build(made), x, y)}
    contenders |= {on: Step(ours(), x, y, on) for on in usable}
    if bf16:
        contenders |= {f"{on} bf16": Step(ours(), x, y, on, bf16=True) for on in usable}
    return contenders


class OfSpikingJelly(PlainLIF):
    """SpikingJelly's multi-step LIF with these constants; of its own width alone."""

    def __init__(self, decay: float, v_th: float) -> None:
        """The constants of `mpdviz.neurons.LIF`."""
        super().__init__(decay, v_th)
        self._run = peers.spikingjelly_lif(decay, v_th)

    def forward(
        self,
        current: Tensor,
        kappa: Tensor | None = None,
        v_th: Tensor | None = None,
        shape: object = None,
    ) -> Tensor:
        """Spikes `[T, ...]` of the current; the others are not used."""
        return self._run(current)


RESETS = {"detached reset": "hard-detached", "soft reset": "soft"}
"""Of the neurons whose backward pass needs two bits a potential, by what the table calls them."""


def peaks(name: str, timesteps: int, batch_size: int, side: int) -> dict[str, float]:
    """MB that a training step takes at the most above what is resident before, each build in its process."""
    contenders = ["plain", *backends.usable(), *(f"fused, {label}" for label in RESETS)]
    if find_spec("spikingjelly") is not None:
        contenders.append("spikingjelly")
    sizes = name, timesteps, batch_size, side
    return {contender: apart(peak, *sizes, contender, returned=True) for contender in contenders}


def peak(name: str, timesteps: int, batch_size: int, side: int, contender: str) -> float:
    """The same of one build, in this process; of the second step, when all optimiser's buffers are there."""
    torch.manual_seed(0)
    on, _, label = contender.partition(", ")
    reset = RESETS.get(label, "hard")
    made = networks.build(
        name,
        strategy="mpd-agl" if label != "soft reset" else "fixed",
        timesteps=timesteps,
        num_classes=10,
        reset=reset,
    )
    x, y = batch(made, batch_size, side, frames=name == "vggsnn")
    if on == "plain":
        made = plain_build(made)
    elif on == "spikingjelly":
        for _, layer in made.spiking_layers():
            layer.neuron = OfSpikingJelly(layer.neuron.decay_value, layer.neuron.v_th)  # type: ignore[assignment]
    step = Step(made.channels_last(), x, y, on if on in backends.KERNELS else "eager")
    step()
    with Peak() as most:
        step()
    return most.above


def compare(
    case: str, contenders: dict[str, Step], repeats: int
) -> tuple[list[timing.Row], dict[str, float]]:
    """Times of a step of each contender, and the loss of each one's first.

    As in `mpdviz.bench.neurons`: timed with freed memory going back to the system, then with large buffers
    kept from here on in this process; all ratios are to the plain build with memory going back.

    Raises:
        AssertionError: a float32 build of ours starts from another loss than the plain one.
    """
    first = {name: step() for name, step in contenders.items()}
    on_card = next(iter(contenders.values())).x.device.type == "cuda"
    tolerance = TOLERANCE_CUDA if on_card else TOLERANCE
    for name, loss in first.items():
        if not contenders[name].bf16:
            assert abs(loss / first["plain"] - 1) < tolerance, f"{name}: loss {loss}, plain {first['plain']}"
    returned = _time(contenders, repeats)
    table = timing.rows(case, returned, returned["plain"])
    if not on_card and keep_large_buffers():
        table += timing.rows(f"{case}, kept", _time(contenders, repeats), returned["plain"])
    return table, first


def _time(contenders: dict[str, Step], repeats: int) -> dict[str, list[float]]:
    for step in contenders.values():
        step()
    device = next(iter(contenders.values())).x.device
    return timing.alternate(
        {name: partial(step) for name, step in contenders.items()}, repeats, device=device
    )


def profile(step: Step) -> list[tuple[str, float]]:
    """Share of a step's CPU time by kind of work, largest first (torch.profiler, self time)."""
    with torch.profiler.profile() as profiler:
        step()
    shares: dict[str, float] = dict.fromkeys(KINDS, 0.0) | {"everything else": 0.0}
    for event in profiler.key_averages():
        kind = next((kind for kind, marks in KINDS.items() if any(mark in event.key for mark in marks)), None)
        shares[kind or "everything else"] += event.self_cpu_time_total
    total = sum(shares.values())
    return sorted(((kind, time / total) for kind, time in shares.items()), key=lambda share: -share[1])
