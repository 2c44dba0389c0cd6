"""Named networks; a new one is a file beside this one and a line in NETWORKS."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from mpdviz import neurons, surrogates
from mpdviz.errors import BadInput, unknown_name
from mpdviz.networks.base import SpikingNetwork
from mpdviz.networks.blocks import NeuronSpec
from mpdviz.registry import Registry

__all__ = ["NETWORKS", "NetworkConfig", "NeuronSpec", "SpikingNetwork", "build"]

NETWORKS: Registry[type[SpikingNetwork]] = Registry(
    "model",
    "mpdviz.networks",
    {
        "convsnn": "mpdviz.networks.convsnn:ConvSNN",
        "resnet19": "mpdviz.networks.resnet19:ResNet19",
        "vggsnn": "mpdviz.networks.vggsnn:VGGSNN",
    },
    SpikingNetwork,
)


@dataclass(frozen=True)
class NetworkConfig:
    """All that makes a network but its weights; what a checkpoint keeps to rebuild it."""

    name: str
    """One of `NETWORKS`."""
    timesteps: int
    """T."""
    num_classes: int
    """Size of the logits."""
    strategy: str = "mpd-agl"
    """Surrogate's width and shape, e.g. `mpd-agl` or `fixed:kappa=2.5`."""
    neuron: str = "lif"
    """One of `neurons.NEURONS`."""
    decay: float = 0.2
    """The neurons' decay (where a learned one starts)."""
    v_th: float = 0.5
    """The neurons' and the norm's threshold."""
    gamma: float = 1.0
    """Initial weight of every norm, v_th excluded."""
    surrogate: str = "rectangular"
    """Shape of the surrogate derivative."""
    norm: str = "tdbn"
    """One of `norm.NORMS`."""
    reset: str = neurons.RESET
    """What a spike does to the potential, one of `kernels.RESETS`."""
    sizes: Mapping[str, Any] = field(default_factory=dict)
    """The network's own options: `in_channels`, `image_size`, `encode_channels`, `planes`, `hidden`."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """From one flat mapping, as `to_dict` gives it; what is no field above is one of `sizes`.

        Raises:
            TypeError: a field without default is missing.
        """
        own = {field.name for field in fields(cls)} - {"sizes"}
        sizes = {name: value for name, value in settings.items() if name not in own}
        return cls(**{name: value for name, value in settings.items() if name in own}, sizes=sizes)

    def to_dict(self) -> dict[str, Any]:
        """One flat mapping of plain values: strings, numbers, lists."""
        flat = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "sizes"}
        sizes = {name: list(size) if isinstance(size, tuple) else size for name, size in self.sizes.items()}
        return flat | sizes

    def build(self, *, placed: bool = True) -> SpikingNetwork:
        """The network with fresh weights, drawn from torch's global random numbers.

        Args:
            placed: whether strategies are told their layers, and may read a file; what a checkpoint will fill
                needs none.

        Raises:
            BadInput: an unknown name or size, or a value out of range.
        """
        network = NETWORKS.find(self.name)
        parameters = inspect.signature(network).parameters
        known = [name for name in parameters if name not in ("spec", "timesteps", "num_classes")]
        for name in self.sizes:
            if name not in known:
                raise unknown_name(f"option of model {self.name!r}:", name, known)
        planes = self.sizes.get("planes")
        if planes is not None and len(planes) != (expected := len(parameters["planes"].default)):
            raise BadInput(f"model {self.name!r}: `planes` {list(planes)}", f"give {expected} channel counts")
        for name, size in {"num_classes": self.num_classes, **self.sizes}.items():
            if min(size if isinstance(size, Sequence) else (size,)) < 1:
                raise BadInput(f"model {self.name!r}: `{name}` {size}", "give at least 1")
        if not 0 < self.gamma < math.inf:
            raise BadInput(f"initial weight `gamma` {self.gamma}", "give a positive number")
        shape = surrogates.get(self.surrogate)
        spec = NeuronSpec(
            self.strategy,
            self.neuron,
            self.decay,
            self.v_th,
            self.gamma,
            shape,
            norm=self.norm,
            reset=self.reset,
            timesteps=self.timesteps,
        )
        make: Any = network
        built: SpikingNetwork = make(
            spec, timesteps=self.timesteps, num_classes=self.num_classes, **self.sizes
        )
        return built.place() if placed else built


def build(name: str, *, timesteps: int, num_classes: int, **options: Any) -> SpikingNetwork:
    """A network with fresh weights; `options` are the other fields of `NetworkConfig`, sizes among them.

    Raises:
        BadInput: an unknown name or option, or a value out of range.
    """
    settings = {"name": name, "timesteps": timesteps, "num_classes": num_classes, **options}
    return NetworkConfig.of(settings).build()
