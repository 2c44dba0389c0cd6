"""What training minimises: a loss of the logits and, where the run has one, a penalty on the potentials."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from mpdviz import losses, regularizers
from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.networks import SpikingNetwork
from mpdviz.training.targets import smoothed


class Terms(NamedTuple):
    """What one batch gave."""

    total: Tensor
    """What is minimised, 0-d."""
    penalty: Tensor | None
    """The part of it that the regulariser added, 0-d; None where there is no regulariser."""
    logits: Tensor
    """`[T, N, classes]`."""


class Objective:
    """The loss and the regulariser of a run."""

    def __init__(self, config: RunConfig) -> None:
        """Look them up.

        Raises:
            BadInput: an unknown name or option, a value out of range, or settings that do not go together.
        """
        self._loss, self._v_th = losses.get(config.loss), config.v_th
        self._smoothing = config.label_smoothing
        self._regularizer = None if config.regularize is None else regularizers.get(config.regularize)
        if self._regularizer is not None and config.compile:
            raise BadInput(
                f"`regularize` {config.regularize} with `compile`, which hides the potentials",
                "leave one out",
            )

    def check(self, network: SpikingNetwork) -> None:
        """Refuse a network that the run's regulariser does not know.

        Raises:
            BadInput: its neurons are of another kind.
        """
        if self._regularizer is not None:
            self._regularizer.check(network)

    def synchronise(self) -> None:
        """Take means over the batches of all ranks from now on."""
        if self._regularizer is not None:
            self._regularizer.synchronised = True

    def of(self, network: SpikingNetwork, forward: Callable[[], Tensor], y: Tensor) -> Terms:
        """What a batch gives.

        Args:
            network: whose potentials are penalised.
            forward: runs it over the batch, to logits `[T, N, classes]`.
            y: labels `[N]`, or shares of the classes `[N, classes]`.
        """
        if self._regularizer is None:
            logits = forward()
            return Terms(self._of_logits(logits, y), None, logits)
        with self._regularizer.watching(network) as terms:
            logits = forward()
        penalty = self._regularizer.penalty(terms)
        return Terms(self._of_logits(logits, y) + penalty, penalty, logits)

    def _of_logits(self, logits: Tensor, y: Tensor) -> Tensor:
        if self._smoothing:
            y = smoothed(y, self._smoothing, logits.shape[-1])
        return self._loss.of(logits, y, self._v_th)
