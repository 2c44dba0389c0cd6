"""What a training loss is."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor


class Loss(ABC):
    """A number to minimise, made of the logits of a batch and its labels.

    A kind of loss is a subclass with `name`, `source` and `of`; its options are the constructor's arguments,
    numbers.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def of(self, logits: Tensor, y: Tensor, v_th: float) -> Tensor:
        """The mean loss of a batch, 0-d; nats where it is a cross-entropy.

        Args:
            logits: `[T, N, classes]`, those of every timestep.
            y: labels `[N]`, or shares of the classes `[N, classes]`.
            v_th: the neurons' threshold.
        """
