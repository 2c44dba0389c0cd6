"""What every batch norm of ours shares: what a layer asks of it, and statistics that can be kept still."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn


class Norm(nn.Module, ABC):
    """Normalises synapses' output `[T, N, C, ...]` into the neurons' current, of spread weight * v_th."""

    weight: nn.Parameter
    """Weights `[C]`, v_th excluded."""
    bias: nn.Parameter
    """Biases `[C]`, in units of potential."""
    alpha: float
    v_th: float
    frozen: bool = False
    """Whether training leaves the running statistics alone, see `frozen_statistics`."""

    @classmethod
    @abstractmethod
    def make(cls, num_features: int, *, timesteps: int, v_th: float) -> Self:
        """One for so many channels in a network of T timesteps."""

    def factors(self, timesteps: int) -> Tensor | None:
        """What weight and bias are multiplied by at each of the first timesteps `[T]`; None: nothing."""
        del timesteps
        return None


@dataclass(frozen=True)
class Kind:
    """One kind of norm, for features and for maps."""

    features: type[Norm]
    """For `[T, N, C]`."""
    maps: type[Norm]
    """For `[T, N, C, H, W]`."""
    meaning: str
    """What it is, in a line."""
    source: str


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Inside the block, norms in training mode use the batch's statistics and keep the running ones."""
    norms = [module for module in model.modules() if isinstance(module, Norm) and not module.frozen]
    for norm in norms:
        norm.frozen = True
    try:
        yield
    finally:
        for norm in norms:
            norm.frozen = False
