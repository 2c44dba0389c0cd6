"""The pieces every network is built from, on time-major tensors `[T, N, ...]`."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mpdviz import neurons, strategies
from mpdviz.errors import BadInput
from mpdviz.norm import NORMS, Norm
from mpdviz.strategies import Situation
from mpdviz.surrogates import Rectangular, Surrogate

ONEDNN_CHANNELS = 16
"""Those of its widest vector; see `Convolution`."""


@dataclass(frozen=True)
class NeuronSpec:
    """How to make each neuron layer of a network and the norm before it."""

    strategy: str = "mpd-agl"
    kind: str = "lif"
    decay: float = 0.2
    v_th: float = 0.5
    gamma: float = 1.0
    """Where the weights of the norm start."""
    surrogate: Surrogate = field(default_factory=Rectangular)
    norm: str = "tdbn"
    reset: str = neurons.RESET
    timesteps: int | None = None
    """T, which some norms and kinds of neurons are made for."""


class SpikingLayer(nn.Module):
    """Synapses, norm and neurons; the strategy is asked once a forward, for all timesteps."""

    def __init__(self, norm: type[Norm], channels: int, spec: NeuronSpec) -> None:
        """Join a norm of so many channels with a neuron layer and a strategy, all made from `spec`.

        Raises:
            BadInput: an unknown name, a constant out of range, or a strategy that would take the norm to be
                the same at every timestep where it is not.
        """
        super().__init__()
        self.norm = norm.make(channels, timesteps=spec.timesteps or 1, v_th=spec.v_th)
        nn.init.constant_(self.norm.weight, spec.gamma)
        self.strategy = strategies.get(spec.strategy)
        if self.norm.factors(1) is not None and not self.strategy.knows_factors:
            problem = f"strategy {self.strategy.name!r} does not know the factors of norm {spec.norm!r}"
            raise BadInput(problem, "choose another `strategy`, or `norm` tdbn")
        shape = self.strategy.shape or spec.surrogate
        self.neuron = neurons.get(
            spec.kind,
            decay=spec.decay,
            v_th=spec.v_th,
            surrogate=shape,
            reset=spec.reset,
            timesteps=spec.timesteps,
        )
        self._check(spec)
        self.epoch, self.progress = 0, 0.0
        """Where the training stands, kept up to date for strategies that follow it."""

    def _check(self, spec: NeuronSpec) -> None:
        """Refuse what does not go together.

        Raises:
            BadInput: a surrogate beside a strategy that has its own, widths made from what the neurons do not
                have, or neurons that cannot do what it asks.
        """
        own, name = self.strategy.own_shape, self.strategy.name
        if own is not None and spec.surrogate != Rectangular():
            raise BadInput(
                f"`surrogate` {spec.surrogate.name} with `strategy` {name}, whose surrogate is {own}",
                "leave `surrogate` out",
            )
        check_needs(self.strategy, self.neuron)
        if self.strategy.mixes:
            self.neuron.check_mixes()

    def situation(self, timesteps: int, *, learns: bool = False) -> Situation:
        """What the strategy is told before a forward of so many timesteps."""
        return Situation(
            timesteps,
            self.neuron.decay,
            self.neuron.v_th,
            self.norm.weight,
            self.norm.bias,
            learns=learns,
            epoch=self.epoch,
            progress=self.progress,
            factors=self.norm.factors(timesteps),
        )

    def widths(self, timesteps: int) -> Tensor:
        """Surrogate widths `[T]` that the strategy sets at this moment."""
        return self.strategy.widths(self.situation(timesteps))

    def fire(self, synaptic: Tensor) -> Tensor:
        """Normalise the synapses' output `[T, N, C, ...]` and run the neurons on it."""
        current = self.norm(synaptic)
        # Like batch norm's own averages, what a strategy learns from potentials stays as it is while frozen.
        learns = self.training and not self.norm.frozen
        response = self.strategy.respond(
            self.situation(len(current), learns=learns),
            lambda rule: self.neuron.follow(current.detach(), rule),
        )
        watches = learns and self.strategy.observes
        if watches:
            self.neuron.observers.append(self._show)
        try:
            # Most neurons never hear of analog outputs.
            mixing = {} if response.spiking is None else {"spiking": response.spiking(current)}
            spikes: Tensor = self.neuron(
                current, response.kappa, response.thresholds, response.shape, **mixing
            )
        finally:
            if watches:
                self.neuron.observers.remove(self._show)
        if learns and self.strategy.sees_currents:
            self.strategy.see(current.detach())
        return spikes

    def _show(self, current: Tensor, v: Tensor, *_: Any) -> None:
        self.strategy.observe(v, self.neuron.v_th)


def check_needs(strategy: strategies.Strategy, neuron: neurons.Neuron) -> None:
    """Raise BadInput where the strategy's widths are made from what the neurons do not have."""
    decay, reset = neuron.decay, neuron.dynamics.reset
    others = "take another strategy, e.g. fixed or observed"
    lacks = f"strategy {strategy.name!r} needs"
    if "decay" in strategy.needs and isinstance(decay, float) and math.isnan(decay):
        raise BadInput(f"{lacks} a decay, neuron {neuron.kind!r} has none", others)
    if "hard reset" in strategy.needs and not reset.startswith("hard"):
        raise BadInput(
            f"{lacks} a hard reset, that of neuron {neuron.kind!r} is {reset or 'not known'}", others
        )


class Convolution(nn.Conv2d):
    """`torch.nn.Conv2d`, of which a kernel of one pixel drops the pixels in between itself.

    Left to oneDNN, that writes past its memory where maps lie channels-last and have fewer channels than a
    vector: the backward pass hangs, crashes or is wrong (github.com/uxlfoundation/oneDNN/issues/6035).
    """

    def forward(self, input: Tensor) -> Tensor:
        """See there."""
        if self.kernel_size == (1, 1) and self.stride != (1, 1) and self.in_channels < ONEDNN_CHANNELS:
            rows, columns = self.stride
            return F.conv2d(input[..., ::rows, ::columns], self.weight, self.bias)
        return super().forward(input)


class ConvSpike(SpikingLayer):
    """Convolution without bias, norm, neurons: `[T, N, C, H, W]` to spikes."""

    def __init__(
        self, in_channels: int, channels: int, spec: NeuronSpec, *, kernel: int = 3, stride: int = 1
    ) -> None:
        """Same padding; weights Kaiming-normal (fan out)."""
        super().__init__(NORMS.find(spec.norm).maps, channels, spec)
        self.conv = Convolution(in_channels, channels, kernel, stride, padding=kernel // 2, bias=False)
        if not self.conv.weight.is_meta:  # nothing to draw there, and torch would load its compiler for it
            nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Spikes `[T, N, channels, H / stride, W / stride]`."""
        return self.fire(over_time(self.conv, x))


class LinearSpike(SpikingLayer):
    """Linear map without bias, norm, neurons: `[T, N, in]` to spikes `[T, N, out]`."""

    def __init__(self, in_features: int, features: int, spec: NeuronSpec) -> None:
        """Framework's default initial weights, as in the reference."""
        super().__init__(NORMS.find(spec.norm).features, features, spec)
        self.linear = nn.Linear(in_features, features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes `[T, N, features]`."""
        return self.fire(self.linear(x))


class AveragePool(nn.Module):
    """2 x 2 average pooling of each timestep."""

    def forward(self, x: Tensor) -> Tensor:
        """`[T, N, C, H, W]` to `[T, N, C, H // 2, W // 2]`."""
        return over_time(F.avg_pool2d, x, 2)


def over_time(function: Callable[..., Tensor], x: Tensor, *args: Any) -> Tensor:
    """Apply a function that knows no time to every timestep of `x` `[T, N, ...]` in one call."""
    y = function(x.flatten(0, 1), *args)
    return y.view(*x.shape[:2], *y.shape[1:])
