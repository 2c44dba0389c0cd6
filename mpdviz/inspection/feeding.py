"""Ways to give a network its input: whole sequences, one timestep after another, or as it is."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from mpdviz.inspection.outcome import stacked

Kept = Callable[[Any], Any]
"""What of a timestep's output is kept."""
_PLACES = {0: "time first", 1: "time second", -1: "time last"}


class Feed(Protocol):
    """A way to run one batch through a network."""

    @property
    def stepped(self) -> bool:
        """Whether a call is one timestep, so that nobody but the caller knows where a sequence begins."""

    @property
    def time_axis(self) -> int:
        """Where the time of an output lies if it has one."""

    def run(self, network: nn.Module, x: Any, keep: Kept) -> Any:
        """The output; `x` is time-major `[T, N, ...]` where it has time."""

    def told(self, x: Any) -> str:
        """What is done, in words."""


@dataclass(frozen=True)
class Whole:
    """A call is a sequence."""

    axis: int
    """Where the network takes time."""
    stepped = False

    @property
    def time_axis(self) -> int:
        """Where the network takes it."""
        return self.axis

    def run(self, network: nn.Module, x: Tensor, keep: Kept) -> Any:
        """One call."""
        # Contiguous: theirs may call `view` on it.
        return keep(network(x.movedim(0, self.axis).contiguous()))

    def told(self, x: Tensor) -> str:
        """The shape and the place of time."""
        place = _PLACES.get(self.axis, f"time on axis {self.axis}")
        return f"fed sequences {list(x.movedim(0, self.axis).shape)}, {place}"


@dataclass(frozen=True)
class Steps:
    """A call is a timestep."""

    handed_on: bool
    """Whether the network returns its state and takes it at the next call; else it keeps it."""
    stepped = True
    time_axis = 0

    def run(self, network: nn.Module, x: Tensor, keep: Kept) -> Any:
        """A call a timestep, the outputs stacked.

        Raises:
            TypeError: the network returns no state to hand on.
        """
        outputs, state = [], first_state(network) if self.handed_on else ()
        for step in x:
            output = network(step, *state)
            if self.handed_on:
                state = returned_state(network, output)
            outputs.append(keep(output))
        return stacked(outputs)

    def told(self, x: Tensor) -> str:
        """T, the shape of a step, and what becomes of the state."""
        handed_on = ", state handed on by the caller" if self.handed_on else ""
        return f"fed {len(x)} step{'s' * (len(x) != 1)} of {list(x.shape[1:])}{handed_on}"


@dataclass(frozen=True)
class AsItIs:
    """A call is a batch without time, or whatever the user makes of it."""

    repeats: bool = True
    """Whether the network makes several timesteps of it."""
    stepped = False
    time_axis = 0

    def run(self, network: nn.Module, x: Any, keep: Kept) -> Any:
        """One call; a tuple is positional arguments, a dict is keyword arguments."""
        if isinstance(x, tuple):
            return keep(network(*x))
        return keep(network(**x) if isinstance(x, dict) else network(x))

    def told(self, x: Any) -> str:
        """The shape."""
        if not isinstance(x, Tensor):
            names = ", ".join(map(str, x)) if isinstance(x, dict) else f"{len(x)} arguments"
            return f"fed what `batch` returns ({names})"
        kind = "images" if x.dim() == 4 else "vectors" if x.dim() == 2 else "inputs"
        repeats = "; the network repeats them itself" if self.repeats else ""
        return f"fed {kind} {list(x.shape)}{repeats}"


def takes_state(network: nn.Module) -> bool:
    """Whether its forward takes what may be a state after the input: None by default, or required."""
    return bool(_state_parameters(network))


def first_state(network: nn.Module) -> tuple[None, ...]:
    """What is given for a state before there is one: nothing, or None where something has to be."""
    required = [p for p in _state_parameters(network) if p.default is p.empty and p.kind != p.VAR_POSITIONAL]
    return (None,) * len(required)


def returned_state(network: nn.Module, output: Any) -> tuple[Any, ...]:
    """The states that `output` holds behind the output itself, as arguments of the next call.

    Raises:
        TypeError: there are none, or more than the network takes.
    """
    if not isinstance(output, tuple | list) or len(output) < 2:
        raise TypeError("it takes a state and returns none")
    states, places = tuple(output[1:]), _state_parameters(network)
    if len(states) > len(places) and places[-1].kind != inspect.Parameter.VAR_POSITIONAL:
        raise TypeError(f"it returns {len(states)} states and takes {len(places)}")
    return states


def _state_parameters(network: nn.Module) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(network.forward).parameters.values())
    except (TypeError, ValueError):
        return []
    if parameters and parameters[0].kind != inspect.Parameter.VAR_POSITIONAL:
        del parameters[0]  # the input
    places = []
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            if parameter.kind == parameter.VAR_POSITIONAL:
                places.append(parameter)
            break
        if parameter.default not in (None, parameter.empty):
            break
        places.append(parameter)
    return places
