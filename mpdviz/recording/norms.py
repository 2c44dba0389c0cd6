"""The batch norm that makes a neuron layer's input, and which neurons it drove."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mpdviz.norm import Norm as Ours
from mpdviz.recording.trail import Call

Norm = Ours | _BatchNorm
NORMS = (Ours, _BatchNorm)


class LatestNorm:
    """The batch norm that ran last; the neurons that take its output as it is are driven by its input."""

    def __init__(self, looks: Callable[[], bool]) -> None:
        """Look at a norm's input where `looks` says that the forward is recorded."""
        self._looks = looks
        self._latest: tuple[Norm, Tensor, Tensor | None] | None = None  # norm, its output, driven neurons
        self._fully_driven: set[int] = set()

    def forget(self) -> None:
        """Keep no activation alive."""
        self._latest = None

    def behind(self, current: Any) -> tuple[Norm | None, Tensor | None]:
        """The norm that made this current, and the neurons `[...]` that it drove; None where another did."""
        latest, self._latest = self._latest, None  # keeps the current and its graph no longer than needed
        return (latest[0], latest[2]) if latest is not None and latest[1] is current else (None, None)

    def drove_all(self, norm: Norm) -> None:
        """Every neuron behind `norm` got some input: looking again cannot tell anything new."""
        self._fully_driven.add(id(norm))

    def left(self, call: Call, output: Any) -> None:
        """A module's forward is over."""
        norm = call.module
        if not isinstance(norm, NORMS) or not isinstance(output, Tensor):
            return
        driven = None
        if isinstance(norm, Ours):
            x = call.inputs[0].detach()
            known = id(norm) in self._fully_driven or not self._looks()
            driven = x.new_ones(()) if known else (x != 0).flatten(0, 1).any(0)
        self._latest = (norm, output, driven)


def weights(norm: nn.Module | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Weights and biases of its channels; empty where there are none."""
    gamma, beta = (getattr(norm, name, None) for name in ("weight", "bias"))
    if not isinstance(gamma, Tensor) or not isinstance(beta, Tensor):
        return (), ()
    return tuple(gamma.detach().tolist()), tuple(beta.detach().tolist())
