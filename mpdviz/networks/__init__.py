"""Named networks; a new one is a file beside this one and a line in NETWORKS.

A name may carry the network's own options, the arguments of its class: `convsnn:planes=16-32`.
"""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_args, get_origin

from mpdviz import neurons, surrogates
from mpdviz.config import is_own
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
        "mlp": "mpdviz.networks.mlp:MLP",
        "resnet19": "mpdviz.networks.resnet19:ResNet19",
        "spikformer": "mpdviz.networks.spikformer:Spikformer",
        "vggsnn": "mpdviz.networks.vggsnn:VGGSNN",
    },
    SpikingNetwork,
)

NOT_OPTIONS = ("spec", "timesteps", "num_classes")
"""Arguments of every network."""


def options_of(name: str) -> dict[str, inspect.Parameter]:
    """The arguments that the network called `name` has to itself.

    Raises:
        BadInput: there is no such network.
    """
    parameters = inspect.signature(NETWORKS.find(name)).parameters
    return {option: parameter for option, parameter in parameters.items() if option not in NOT_OPTIONS}


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """A network's name and its options, of a string like `convsnn:encode_channels=16:planes=16-32`.

    Several numbers are joined by dashes.

    Raises:
        BadInput: an unknown name or option, or a value of another kind.
    """
    name, *pairs = text.split(":")
    known, options = options_of(name), {}
    for pair in pairs:
        option, _, value = pair.partition("=")
        if option not in known:
            raise unknown_name(f"option of model {name!r}:", option, known)
        several = get_origin(known[option].annotation) is tuple
        numbers = value.split("-")
        if (
            not all(number.isdecimal() and len(number) < 10 for number in numbers)
            or len(numbers) > 1 > several
        ):
            example = "16-32" if several else known[option].default
            raise BadInput(f"model {name!r}: `{option}` {value!r}", f"write {option}={example}")
        options[option] = tuple(map(int, numbers)) if several else int(value)
    return name, options


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
    """The network's own options, e.g. `in_channels`, `image_size`, `encode_channels`, `planes`, `hidden`."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """From one flat mapping, as `to_dict` gives it; what is no field above is one of `sizes`.

        The name may carry options (see `parse`), before which those in the mapping go.

        Raises:
            TypeError: a field without default is missing.
            BadInput: an option that is none of the network's.
        """
        name = settings.get("name")
        if isinstance(name, str) and ":" in name and not is_own(name):
            bare, options = parse(name)
            settings = options | dict(settings) | {"name": bare}
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
        network, known = NETWORKS.find(self.name), options_of(self.name)
        for name, size in {"num_classes": self.num_classes, **self.sizes}.items():
            if name not in (*known, "num_classes"):
                raise unknown_name(f"option of model {self.name!r}:", name, known)
            annotation = known[name].annotation if name in known else int
            kinds = get_args(annotation) if get_origin(annotation) is tuple else ()
            if kinds and ... not in kinds and len(size) != len(kinds):
                raise BadInput(f"model {self.name!r}: `{name}` {list(size)}", f"give {len(kinds)} numbers")
            if min(size if isinstance(size, Sequence) else (size,), default=1) < 1:
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
    """A network with fresh weights.

    Args:
        name: see `parse`.
        timesteps: T.
        num_classes: size of the logits.
        options: the other fields of `NetworkConfig`, sizes among them.

    Raises:
        BadInput: an unknown name or option, or a value out of range.
    """
    settings = {"name": name, "timesteps": timesteps, "num_classes": num_classes, **options}
    return NetworkConfig.of(settings).build()
