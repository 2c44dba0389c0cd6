"""What the recorder asks of a neuron layer, whatever framework it comes from."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from mpdviz.surrogates import Surrogate


@dataclass(frozen=True)
class Reading:
    """One call of a neuron layer: all timesteps of a sequence, or one of them (see `Adapter.stepped`)."""

    current: Tensor
    """Input as the layer got it: `[T, N, ...]`, of a stepped layer `[N, ...]`."""
    v: Tensor
    """Pre-reset potentials `[T, N, ...]`, T = 1 of a stepped layer."""
    kappa: Tensor
    """Widths of the surrogate `[T]`, of v's dtype."""
    v_th: Tensor
    """Thresholds in force `[T]`, of v's dtype."""
    fresh: bool = True
    """Whether the layer started from rest, not from where another call had left it."""
    goes_on: bool | None = False
    """Whether the layer started from where its call before had left it; None where nothing tells."""
    refutation: str = ""
    """Why the potentials are not to be believed; empty where they reproduce the emitted spikes."""
    shapes: tuple[Surrogate, ...] = ()
    """Shape of the surrogate at each timestep; empty where it is the adapter's throughout."""

    def shapes_of(self, adapter: "Adapter") -> tuple[Surrogate, ...]:
        """Shape of the surrogate at each timestep, `adapter` being the layer's."""
        return self.shapes or (adapter.surrogate,) * len(self.v)


Observer = Callable[[Reading], None]


def refutation(expected: Tensor, emitted: Tensor) -> str:
    """Why potentials are not to be believed that spike like `expected`; empty where all spikes are equal."""
    if torch.equal(expected.to(emitted.dtype), emitted):
        return ""
    return "the spikes it emits are not those of its potentials and threshold"


class Adapter(ABC):
    """Reads one neuron layer without changing anything about it.

    A framework's is a class in a file here and a line in `adapters.REGISTRY`; anybody's is the same class and
    an entry point of their package, named after the top-level package that their neurons are in:

        [project.entry-points."mpdviz.adapters"]
        their_neurons = "their_package:TheirAdapter"
    """

    def __init__(self, module: nn.Module) -> None:
        """Read from `module`."""
        self.module = module

    @classmethod
    @abstractmethod
    def adapt(cls, module: nn.Module) -> Self | None:
        """How to read `module`; None where it is no spiking neuron layer.

        Raises:
            BadInput: a neuron that cannot be read faithfully.
        """

    @property
    @abstractmethod
    def v_th(self) -> float:
        """Threshold that the neurons were made with."""

    @property
    def strict(self) -> bool:
        """Whether they spike at `v > v_th`, not at `v >= v_th`."""
        return False

    @property
    @abstractmethod
    def decay(self) -> float:
        """Share of the potential kept from one timestep to the next."""

    @property
    @abstractmethod
    def surrogate(self) -> Surrogate:
        """Shape of the surrogate derivative."""

    @property
    def stepped(self) -> bool:
        """Whether a call is one timestep, the potentials staying in the layer between calls."""
        return False

    @property
    def carries(self) -> tuple[bool, bool]:
        """Whether a potential's gradient comes back from the next one: without a spike, and with one.

        (True, False) is a reset to a constant, (True, True) one that subtracts from the potential.
        """
        return True, False

    @property
    def predictable(self) -> bool:
        """Whether potentials follow v(t) = decay * v(t-1) * (1 - s(t-1)) + input, as predictions assume."""
        return True

    def reset(self) -> None:  # noqa: B027 - most layers keep nothing
        """Put the layer back to rest, where it keeps its potentials from call to call."""

    @abstractmethod
    def watch(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` after every call of the layer until the returned function is called."""
