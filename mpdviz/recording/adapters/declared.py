"""Neurons that no mechanism reads, by their user's own word about them: `mpdviz.register`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.errors import BadInput, unknown_name
from mpdviz.recording.adapters.base import Adapter, Observer, Reading, refutation
from mpdviz.surrogates import Surrogate

Value = TypeVar("Value")
Potential = Callable[[nn.Module, tuple[Any, ...], Any], Tensor]
CARRIES = {"hard": (True, False), "soft": (True, True), "none": (True, True)}
"""`Adapter.carries` by what becomes of a potential that spiked."""


@dataclass(frozen=True)
class Declaration:
    """What `register` was told about a class of neurons."""

    potential: Potential
    v_th: float | Callable[[Any], float]
    decay: float | Callable[[Any], float]
    surrogate: Surrogate | Callable[[Any], Surrogate]
    stepped: bool
    strict: bool
    reset: str


_declarations: dict[type[nn.Module], Declaration] = {}


def register(
    kind: type[nn.Module],
    *,
    potential: Potential,
    v_th: float | Callable[[Any], float],
    decay: float | Callable[[Any], float],
    surrogate: Surrogate | Callable[[Any], Surrogate],
    stepped: bool = False,
    strict: bool = False,
    reset: str = "hard",
) -> Callable[[], None]:
    """Say how neurons of a class are to be read, so that networks of them can be recorded.

    The spikes that they emit must be those of the potentials and threshold given here; a layer of which that
    is not true is left out of the recording, with a warning.

    Args:
        kind: the class, subclasses included. Adding it again replaces what was said before.
        potential: called with the module, its inputs and its output after each call; gives the potentials
            that decided about the spikes, before any reset: `[T, N, ...]`, of stepped neurons `[N, ...]`.
        v_th: threshold, in units of potential, or a function of the module.
        decay: share of the potential kept from one timestep to the next, or a function of the module.
        surrogate: shape of the surrogate derivative, e.g. `mpdviz.surrogates.get("atan")`, or a function of
            the module.
        stepped: whether a call is one timestep. Its recording needs `new_sequence()` before each sequence.
        strict: whether they spike at v > v_th, not at v >= v_th.
        reset: `hard` (a spike sets the potential to a constant), `soft` (it subtracts) or `none`.

    Returns:
        A function that takes the word back.

    Raises:
        BadInput: `kind` is no class of modules, or there is no such reset.
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise BadInput(f"{kind!r} is no class of modules", "register the class of your neurons")
    if reset not in CARRIES:
        raise unknown_name("reset", reset, CARRIES)
    declaration = Declaration(potential, v_th, decay, surrogate, stepped, strict, reset)
    _declarations[kind] = declaration

    def take_back() -> None:
        if _declarations.get(kind) is declaration:
            del _declarations[kind]

    return take_back


class Declared(Adapter):
    """Reads a neuron layer as its user says."""

    def __init__(self, module: nn.Module, declaration: Declaration) -> None:
        """Read from `module`."""
        super().__init__(module)
        self._told = declaration

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        for base in type(module).__mro__:
            if base in _declarations:
                return cls(module, _declarations[base])
        return None

    @property
    @override
    def v_th(self) -> float:
        return _number("v_th", _of(self.module, self._told.v_th))

    @property
    @override
    def strict(self) -> bool:
        return self._told.strict

    @property
    @override
    def decay(self) -> float:
        return _number("decay", _of(self.module, self._told.decay))

    @property
    @override
    def surrogate(self) -> Surrogate:
        return _of(self.module, self._told.surrogate)

    @property
    @override
    def stepped(self) -> bool:
        return self._told.stepped

    @property
    @override
    def carries(self) -> tuple[bool, bool]:
        return CARRIES[self._told.reset]

    @property
    @override
    def predictable(self) -> bool:
        return False

    @override
    def watch(self, observer: Observer) -> Callable[[], None]:
        @torch.no_grad()
        def after(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            observer(self._read((*args, *kwargs.values()), output))

        return self.module.register_forward_hook(after, with_kwargs=True).remove

    def _read(self, inputs: tuple[Any, ...], output: Any) -> Reading:
        spikes: Tensor = output[0] if isinstance(output, tuple) else output
        why = ""
        try:
            v = self._told.potential(self.module, inputs, output).detach()
        except Exception as error:  # whatever their function raises: the network's forward goes on
            v, why = spikes.detach(), f"its potential raises {type(error).__name__}: {error}"
        if v.shape != spikes.shape:
            why = f"its potential has shape {list(v.shape)}, its spikes {list(spikes.shape)}"
        v_th = v.new_tensor(self.v_th)
        why = why or refutation(v > v_th if self.strict else v >= v_th, spikes)
        if self.stepped:
            v = v.unsqueeze(0)
        return Reading(
            inputs[0],
            v,
            v.new_ones(len(v)),
            v_th.expand(len(v)),
            goes_on=None if self.stepped else False,
            refutation=why,
        )


def _number(name: str, value: Any) -> float:
    number = torch.as_tensor(value, dtype=torch.float64).detach()
    if number.numel() != 1:
        raise BadInput(f"`{name}` of registered neurons is {list(number.shape)}", "give one number for all")
    return float(number)


def _of(module: nn.Module, value: Value | Callable[[Any], Value]) -> Value:
    return value(module) if callable(value) else value
