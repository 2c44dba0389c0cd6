"""Neurons that no mechanism sees, by their user's own word about them: `mpdviz.register`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.errors import BadInput, unknown_name
from mpdviz.recording.adapters.base import NAN, Adapter, Carries, Potentials, number
from mpdviz.recording.trail import Call, Start
from mpdviz.surrogates import Surrogate
from mpdviz.surrogates.probed import SpikeFunction, of_derivative, probe, shifted
from mpdviz.surrogates.steps import NotAStep, Probe

Value = TypeVar("Value")
Constant = float | Tensor
Potential = Callable[[Any, tuple[Any, ...], Any], Tensor]
FIRES = (">=", ">")
CARRIES: dict[str, Carries] = {"hard": (True, False), "soft": (True, True), "none": (True, True)}
"""`Adapter.carries` by what becomes of a potential that spiked."""


@dataclass(frozen=True)
class Declaration:
    """What `register` was told about a class of neurons."""

    potential: Potential
    threshold: Constant | Callable[[Any], Constant]
    surrogate: Surrogate | Probe | None
    fires: str
    decay: float | Callable[[Any], float] | None
    reset: str | None
    stepped: bool


_declarations: dict[type[nn.Module], Declaration] = {}


def register(
    kind: type[nn.Module],
    *,
    potential: Potential,
    threshold: Constant | Callable[[Any], Constant],
    surrogate: Surrogate | Probe | None = None,
    fires: str = ">=",
    decay: float | Callable[[Any], float] | None = None,
    reset: str | None = None,
    stepped: bool = False,
) -> Callable[[], None]:
    """Say how neurons of a class are to be read where their code shows no spike function (scripted, fused).

        mpdviz.register(
            FusedLIF,
            potential=lambda neuron, inputs, output: neuron.v_seq,  # before any reset
            threshold=lambda neuron: neuron.v_threshold,
            surrogate=mpdviz.surrogates.get("atan"),
            fires=">=",
            decay=0.5,
            reset="hard",
        )

    The spikes that they emit must be those of the potentials and threshold given here; a layer of which that
    is not true is left out of the recording, with a warning.

    Args:
        kind: the class, subclasses included. Adding it again replaces what was said before.
        potential: called with the module, its inputs and its output after each call; gives the potentials
            that decided about the spikes, before any reset: `[T, N, ...]`, of stepped neurons `[N, ...]`.
        threshold: in units of potential, one number or a tensor that the potentials broadcast with, or a
            function of the module that gives it.
        surrogate: the surrogate derivative, e.g. `mpdviz.surrogates.get("atan")`, or a spike function
            of v - threshold whose derivative autograd finds; None: not known.
        fires: `>=` or `>`: how potentials are compared with the threshold.
        decay: share of the potential kept from one timestep to the next, or a function of the module; None:
            not known, and so are predictions.
        reset: `hard` (a spike sets the potential to a constant), `soft` (it subtracts) or `none`; None: not
            known, and so is reach.
        stepped: whether a call is one timestep. Its recording needs `new_sequence()` before each sequence.

    Returns:
        A function that takes the word back.

    Raises:
        BadInput: `kind` is no class of modules, or there is no such reset or comparison.
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise BadInput(f"{kind!r} is no class of modules", "register the class of your neurons")
    if reset is not None and reset not in CARRIES:
        raise unknown_name("reset", reset, CARRIES)
    if fires not in FIRES:
        raise unknown_name("fires", fires, FIRES)
    declaration = Declaration(potential, threshold, surrogate, fires, decay, reset, stepped)
    _declarations[kind] = declaration

    def take_back() -> None:
        if _declarations.get(kind) is declaration:
            del _declarations[kind]

    return take_back


class Declared(Adapter):
    """Reads a neuron layer as its user says."""

    own: ClassVar[bool] = True

    def __init__(self, module: nn.Module, declaration: Declaration) -> None:
        """Read from `module`."""
        super().__init__(module)
        self._told = declaration
        self._derivative: SpikeFunction | None = None

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        for base in type(module).__mro__:
            if base in _declarations:
                return cls(module, _declarations[base])
        return None

    @property
    @override
    def decay(self) -> float:
        return NAN if self._told.decay is None else number(_of(self.module, self._told.decay))

    @property
    @override
    def carries(self) -> Carries | None:
        return None if self._told.reset is None else CARRIES[self._told.reset]

    @override
    def start(self, call: Call) -> Start | None:
        return None if self._told.stepped else "rest"

    @override
    def potentials(self, call: Call, output: Any, epsilon: float) -> Potentials | None:
        spikes: Tensor = output[0] if isinstance(output, tuple) else output
        inputs = (*call.inputs, *call.frame.f_locals.get("kwargs", {}).values())
        why = ""
        try:
            v = self._told.potential(self.module, inputs, output).detach()
            threshold = torch.as_tensor(_of(self.module, self._told.threshold)).detach().to(v)
        except Exception as error:  # whatever their functions raise: the network's forward goes on
            v, threshold = spikes.detach(), spikes.new_zeros(())
            why = f"its potential raises {type(error).__name__}: {error}"
        if v.shape != spikes.shape:
            why = f"its potential has shape {list(v.shape)}, its spikes {list(spikes.shape)}"
            v = spikes.detach()
        function = self._function(v, epsilon)
        if isinstance(function, str):
            why, function = why or function, of_derivative(None, like=v, epsilon=epsilon)
        if threshold.numel() == 1:
            function = shifted(function, float(threshold))
        else:
            v = v - threshold
        if self._told.stepped:
            v, spikes = v.unsqueeze(0), spikes.unsqueeze(0)
        return Potentials(v, spikes.detach(), function, why)

    def _function(self, like: Tensor, epsilon: float) -> SpikeFunction | str:
        """The spike function of v - threshold; a reason where the surrogate cannot be asked."""
        if self._derivative is None:
            told, strict = self._told.surrogate, self._told.fires == ">"
            try:
                if told is None or isinstance(told, Surrogate):
                    made = of_derivative(told, like=like, epsilon=epsilon, strict=strict)
                else:
                    made = probe(
                        told, getattr(told, "__name__", type(told).__name__), like=like, epsilon=epsilon
                    )
            except NotAStep as error:
                return str(error) or "its surrogate is no spike function"
            self._derivative = made
        return self._derivative


def _of(module: nn.Module, value: Value | Callable[[Any], Value]) -> Value:
    return value(module) if callable(value) and not isinstance(value, Tensor) else value
