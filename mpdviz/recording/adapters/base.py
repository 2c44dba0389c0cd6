"""What a framework knows of its neurons that a spike site cannot know."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from mpdviz.recording.trail import Call, Start
from mpdviz.surrogates.probed import SpikeFunction

NAN = float("nan")
Carries = tuple[bool, bool]
"""Whether a potential's gradient comes back from the next one: without a spike, and with one.

(True, False) is a reset to a constant, (True, True) one that subtracts from the potential.
"""


@dataclass(frozen=True, eq=False)
class Potentials:
    """Potentials of one call that no spike site showed, and the spikes that were made of them."""

    v: Tensor
    """`[T, N, ...]`."""
    spikes: Tensor
    """Like `v`."""
    function: SpikeFunction
    """Of v."""
    refutation: str = ""
    """Why they are not to be believed; empty where that is not known."""


class Adapter(ABC):
    """Knows one neuron layer, and changes nothing about it.

    A framework's is a class in a file here and a line in `adapters.REGISTRY`; anybody's is the same class and
    an entry point of their package, named after the top-level package that their neurons are in:

        [project.entry-points."mpdviz.adapters"]
        their_neurons = "their_package:TheirAdapter"

    `mpdviz.testing.check_neuron` tries one out.
    """

    own: ClassVar[bool] = False
    """Whether it shows the potentials itself, in `potentials`; spike functions called inside do not count."""

    def __init__(self, module: nn.Module) -> None:
        """Know `module`."""
        self.module = module
        self._local = threading.local()

    @classmethod
    @abstractmethod
    def adapt(cls, module: nn.Module) -> Self | None:
        """What is known of `module`; None where it is no spiking neuron layer."""

    @property
    def left(self) -> Tensor | None:
        """The potential that its last call in this thread left, where it was kept to know it again."""
        left: Tensor | None = getattr(self._local, "left", None)
        return left

    @left.setter
    def left(self, potential: Tensor | None) -> None:
        # Detached: its memory is needed to know it again, its graph is not.
        self._local.left = None if potential is None else potential.detach()

    @property
    def threshold(self) -> Tensor | float | None:
        """What the potential is reduced by before the spike function sees it, as of now; None: not known."""
        return None

    @property
    def decay(self) -> float:
        """Share of the potential kept from one timestep to the next; NaN: not known, or not one number."""
        return NAN

    @property
    def carries(self) -> Carries | None:
        """How gradients come back over time; None: not known."""
        return None

    @property
    def reset(self) -> str:
        """What a spike does, in a word; empty where `carries` says all that is known."""
        return ""

    @property
    def unknown(self) -> Mapping[str, str]:
        """Why columns hold nothing, by column, where the neurons are known to have no such thing."""
        return {}

    @property
    def predictable(self) -> bool:
        """Whether potentials follow v(t) = decay * v(t-1) * (1 - s(t-1)) + input, as predictions assume."""
        return False

    @property
    def follows(self) -> bool:
        """Whether potentials follow v(t) = decay * v(t-1) * (1 - s(t-1)) + factor * input."""
        return self.predictable

    @property
    def factor(self) -> float:
        """What the input enters the potential times, so that dL/dv = dL/dinput / factor."""
        return 1.0

    @property
    def silent(self) -> str:
        """Why the layer never spikes, or emits others than its spike function gives; empty where it does."""
        return ""

    @property
    def kept(self) -> bool:
        """Whether the layer itself keeps a state, that is not at rest, for its next call."""
        return False

    def start(self, call: Call) -> Start | None:
        """Where the neurons are as a call begins; None: not known."""
        del call
        return None

    def ended(self, call: Call, output: Any) -> None:  # noqa: B027 - most have nothing to remember
        """The call is over."""

    def fires(self, codes: Sequence[CodeType]) -> bool:
        """Whether a spike function reached through these functions, from the outside in, is what fires."""
        del codes
        return True

    def whole(self, call: Call, u: Tensor) -> Tensor | None:
        """`u` as `[T, N, ...]` where one call of the spike function holds all timesteps; None: it is one."""
        del call, u
        return None

    def current(self, call: Call) -> Tensor | None:
        """The input of a call, `[N, ...]` or `[T, N, ...]`; None: not known, or weighed inside."""
        if any(parameter.dim() > 1 for parameter in self.module.parameters()):
            return None
        first = call.inputs[0] if call.inputs else None
        return first if isinstance(first, Tensor) and first.is_floating_point() else None

    def potentials(self, call: Call, output: Any, epsilon: float) -> Potentials | None:
        """Potentials of a call during which no spike function was seen; None: they cannot be told.

        Args:
            call: the call, over.
            output: what it returned.
            epsilon: share of max |h| that bounds an infinite support.
        """
        del call, output, epsilon
        return None


def keyword(call: Call, name: str) -> Any:
    """A keyword argument of a call; torch's hooks are not told of them. None where it was not given."""
    return call.frame.f_locals.get("kwargs", {}).get(name)


def number(value: Any) -> float:
    """A constant as a number: the value that all neurons share; NaN where they do not."""
    if isinstance(value, float | int):
        return float(value)
    values = torch.as_tensor(value, dtype=torch.float64).detach().flatten()
    if len(values) == 1:
        return float(values)
    return float(values[0]) if len(values) and bool((values == values[0]).all()) else NAN
