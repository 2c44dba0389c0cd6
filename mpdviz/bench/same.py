"""One small network, by mpdviz and by three other frameworks: the same equations, the same initial weights.

conv - norm - LIF - pool - conv - norm - LIF - pool - linear, on images shown T times. The neurons are
v(t) = 0.5 v(t-1) (1 - s(t-1)) + x(t) with s = 1 from v = 1 on and the gradient 1 / (1 + |v - 1|)^2, through
the reset too. Each in its framework's words:

mpdviz        `LIF`, reset hard, surrogate superspike of width 1; tdBN is batch norm at v_th = 1
SpikingJelly  `LIFNode(tau=2, decay_input=False)`, `surrogate.SuperSpike(alpha=1)`, step mode m
snnTorch      `Leaky(beta=0.5, reset_mechanism="zero")`, `fast_sigmoid(slope=1)`; fires above the threshold,
              not at it. Its reset is always detached: the one gradient that is another, and less to compute
Norse         `LIFBoxParameters` with dt / tau = 0.5, method "super" (whose alpha changes nothing); fires
              above the threshold. It halves its input, so the norms before it start at twice the weight and
              learn at four times the rate, which with SGD is the same training

A reset that all four detach would make all gradients one, but mpdviz's compiled backend leaves that to the
eager one, and would not be measured.

Halves and doubles are exact in floating point, so forwards differ by the rounding of convolutions alone.
Convolutions and norms take all timesteps in one call in all of them, a batch norm over time and samples:
for snnTorch and Norse, often stepped through the whole network once a timestep, that is the fast way. mpdviz
lays its weights out channels-last, as its training does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.bench.foreign import v_seq_kept
from mpdviz.networks.base import SpikingNetwork
from mpdviz.networks.blocks import AveragePool, ConvSpike, NeuronSpec, over_time

DECAY, V_TH = 0.5, 1.0


class Sizes(NamedTuple):
    """Of the network and of what it takes."""

    timesteps: int
    in_channels: int
    side: int
    classes: int
    planes: tuple[int, int] = (16, 32)

    @property
    def features(self) -> int:
        """That the linear layer takes."""
        return self.planes[1] * (self.side // 4) ** 2


class Peer(nn.Module, ABC):
    """The network in one framework: images `[N, C, H, W]` to logits `[T, N, classes]`."""

    norm_gain = 1.0
    """By how much weights and biases of its norms are larger than in the others."""

    @property
    @abstractmethod
    def parts(self) -> tuple[nn.Module, ...]:
        """Convolution, norm, convolution, norm, linear."""

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Parameters for SGD at that rate."""
        norms = [parameter for part in self.parts[1:4:2] for parameter in part.parameters()]
        own = {id(parameter) for parameter in norms}
        others = [parameter for parameter in self.parameters() if id(parameter) not in own]
        return [{"params": others}, {"params": norms, "lr": rate * self.norm_gain**2}]

    @contextmanager
    def keeping(self) -> Iterator[list[Tensor]]:
        """Every potential of the forwards inside the block, as one keeps them with this framework."""
        raise NotImplementedError
        yield


class Ours(Peer):
    """mpdviz; a recording is its way to look at potentials."""

    class Network(SpikingNetwork):
        """Its network."""

        def __init__(self, sizes: Sizes) -> None:
            shape = "fixed:kappa=1:shape=superspike"
            spec = NeuronSpec(shape, decay=DECAY, v_th=V_TH, timesteps=sizes.timesteps)
            super().__init__(sizes.timesteps, (sizes.in_channels, sizes.side, sizes.side))
            self.first = ConvSpike(sizes.in_channels, sizes.planes[0], spec)
            self.second = ConvSpike(*sizes.planes, spec)
            self.pool = AveragePool()
            self.head = nn.Linear(sizes.features, sizes.classes)

        @override
        def run(self, x: Tensor) -> Tensor:
            x = self.pool(self.second(self.pool(self.first(x))))
            logits: Tensor = self.head(x.flatten(2))
            return logits

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.network = self.Network(sizes).place().channels_last()

    @property
    @override
    def parts(self) -> tuple[nn.Module, ...]:
        first, second = self.network.first, self.network.second
        return first.conv, first.norm, second.conv, second.norm, self.network.head

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.network(x)
        return logits


class SpikingJelly(Peer):
    """Its multi-step layers."""

    def __init__(self, sizes: Sizes) -> None:
        from spikingjelly.activation_based import functional, layer, neuron, surrogate

        super().__init__()
        self.timesteps, self._reset = sizes.timesteps, functional.reset_net

        def stage(channels: int, out: int) -> list[nn.Module]:
            spike = neuron.LIFNode(
                tau=1 / (1 - DECAY),
                decay_input=False,
                v_threshold=V_TH,
                v_reset=0.0,
                surrogate_function=surrogate.SuperSpike(alpha=1.0),
            )
            conv = layer.Conv2d(channels, out, 3, padding=1, bias=False)
            return [conv, layer.BatchNorm2d(out), spike, layer.AvgPool2d(2)]

        first, second = stage(sizes.in_channels, sizes.planes[0]), stage(*sizes.planes)
        head = layer.Linear(sizes.features, sizes.classes)
        self.network = nn.Sequential(*first, *second, layer.Flatten(), head)
        functional.set_step_mode(self.network, "m")

    @property
    @override
    def parts(self) -> tuple[nn.Module, ...]:
        return tuple(self.network[place] for place in (0, 1, 4, 5, 9))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        self._reset(self.network)
        logits: Tensor = self.network(x.unsqueeze(0).expand(self.timesteps, *x.shape))
        return logits

    @override
    @contextmanager
    def keeping(self) -> Iterator[list[Tensor]]:
        """Its monitor of `v_seq` (the potentials after the reset)."""
        with v_seq_kept(self.network) as kept:
            yield kept


class Layered(Peer):
    """What snnTorch and Norse are written alike: layer by layer, the neurons a loop over time."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.timesteps = sizes.timesteps
        (first, second), classes = sizes.planes, sizes.classes
        self.conv1 = nn.Conv2d(sizes.in_channels, first, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(first)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(second)
        self.pool, self.head = nn.AvgPool2d(2), nn.Linear(sizes.features, classes)
        self.spike1, self.spike2 = self.neuron(), self.neuron()
        self.kept: list[Tensor] | None = None

    @property
    @override
    def parts(self) -> tuple[nn.Module, ...]:
        return self.conv1, self.norm1, self.conv2, self.norm2, self.head

    @abstractmethod
    def neuron(self) -> nn.Module:
        """A neuron layer."""

    @abstractmethod
    def spikes(self, neuron: nn.Module, current: Tensor) -> Tensor:
        """Spikes of currents `[T, N, ...]`, from rest."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = x.unsqueeze(0).expand(self.timesteps, *x.shape)
        for conv, norm, spike in (
            (self.conv1, self.norm1, self.spike1),
            (self.conv2, self.norm2, self.spike2),
        ):
            current = over_time(lambda x, conv=conv, norm=norm: norm(conv(x)), x)
            x = over_time(self.pool, self.spikes(spike, current))
        logits: Tensor = self.head(x.flatten(2))
        return logits

    @override
    @contextmanager
    def keeping(self) -> Iterator[list[Tensor]]:
        """A list that the potentials are appended to."""
        kept: list[Tensor] = []
        self.kept = kept
        try:
            yield kept
        finally:
            self.kept = None
            kept.clear()


class SnnTorch(Layered):
    """`Leaky` in the loop of snnTorch's tutorials, which append each step's potential to a list."""

    @override
    def neuron(self) -> nn.Module:
        import snntorch
        from snntorch import surrogate

        spike = surrogate.fast_sigmoid(slope=1)
        made: nn.Module = snntorch.Leaky(DECAY, threshold=V_TH, spike_grad=spike, reset_mechanism="zero")
        return made

    @override
    def spikes(self, neuron: nn.Module, current: Tensor) -> Tensor:
        potential, found = torch.zeros_like(current[0]), []
        for step in current:
            spike, potential = neuron(step, potential)
            found.append(spike)
            if self.kept is not None:
                self.kept.append(potential)
        return torch.stack(found)


class Norse(Layered):
    """`SNN` over the box neuron, whose `record_states` returns every timestep's state (after the reset)."""

    norm_gain = 2.0

    @override
    def neuron(self) -> nn.Module:
        from norse.torch.functional import lif_box
        from norse.torch.module.snn import SNN

        def rest(current: Tensor) -> Any:
            return lif_box.LIFBoxFeedForwardState(v=torch.zeros_like(current[0]))

        p = lif_box.LIFBoxParameters(tau_mem_inv=torch.tensor((1 - DECAY) / 0.001), v_th=torch.tensor(V_TH))
        made: nn.Module = SNN(lif_box.lif_box_feed_forward_step, rest, p, dt=0.001)
        return made

    @override
    def spikes(self, neuron: nn.Module, current: Tensor) -> Tensor:
        neuron.record_states = self.kept is not None  # type: ignore[assignment]
        found: Tensor
        found, states = neuron(current)
        if self.kept is not None:
            self.kept.append(states.v)
        return found


PEERS: dict[str, tuple[str, Callable[[Sizes], Peer]]] = {
    "mpdviz": ("mpdviz", Ours),
    "SpikingJelly": ("spikingjelly", SpikingJelly),
    "snnTorch": ("snntorch", SnnTorch),
    "Norse": ("norse", Norse),
}
"""Packages, and their builds."""


def missing() -> list[str]:
    """Frameworks that are not installed."""
    return [name for name, (package, _) in PEERS.items() if find_spec(package) is None]


def build(name: str, sizes: Sizes) -> Peer:
    """The network in one framework, from the weights that `torch.manual_seed(0)` gives mpdviz's."""
    torch.manual_seed(0)
    ours = Ours(sizes)
    if name == "mpdviz":
        return ours
    made = PEERS[name][1](sizes)
    with torch.no_grad():
        for part, given in zip(made.parts, ours.parts, strict=True):
            gain = made.norm_gain if part in made.parts[1:4:2] else 1.0
            for name, parameter in part.named_parameters():
                parameter.copy_(gain * given.get_parameter(name))
    return made
