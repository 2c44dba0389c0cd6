"""The batch norm that makes a neuron layer's input, and which neurons it drove."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mpdviz.norm import TDBatchNorm1d, TDBatchNorm2d

Norm = TDBatchNorm1d | TDBatchNorm2d


class LatestNorm:
    """The batch norm that ran last; the neurons that take its output as it is are driven by its input."""

    def __init__(self, looks: Callable[[], bool]) -> None:
        """Look at a norm's input where `looks` says that the forward is recorded."""
        self._looks = looks
        self._latest: tuple[Norm, Tensor, Tensor] | None = None  # norm, its output, driven neurons
        self._fully_driven: set[nn.Module] = set()

    def attach(self, model: nn.Module) -> list[RemovableHandle]:
        """Watch the batch norms of `model`; returns the hooks to remove at the end."""
        return [
            module.register_forward_hook(self._remember)
            for module in model.modules()
            if isinstance(module, Norm)
        ]

    def forget(self) -> None:
        """Keep no activation alive."""
        self._latest = None

    def behind(self, current: Tensor) -> tuple[Norm | None, Tensor | None]:
        """The norm that made this current, and the neurons `[...]` that it drove; None where another did."""
        latest, self._latest = self._latest, None  # keeps the current and its graph no longer than needed
        return (latest[0], latest[2]) if latest is not None and latest[1] is current else (None, None)

    def drove_all(self, norm: Norm) -> None:
        """Every neuron behind `norm` got some input: looking again cannot tell anything new."""
        self._fully_driven.add(norm)

    @torch.no_grad()
    def _remember(self, norm: Norm, inputs: tuple[Tensor], output: Tensor) -> None:
        x = inputs[0]
        known = norm in self._fully_driven or not self._looks()
        driven = x.new_ones(()) if known else (x != 0).flatten(0, 1).any(0)
        self._latest = (norm, output, driven)
