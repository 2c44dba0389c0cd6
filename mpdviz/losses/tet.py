"""`tet`: cross-entropy of every timestep by itself."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.losses.base import Loss


class TET(Loss):
    """(1 - lambda) mean_t CE(o_t) + lambda MSE(o, v_th): every timestep is to classify by itself.

    Temporal efficient training (Deng et al., ICLR 2022), with lambda = 0.05 as there for CIFAR. The second
    term, the mean of (o - v_th)^2 over timesteps, samples and classes, keeps logits from drifting apart.
    """

    name: ClassVar[str] = "tet"
    source: ClassVar[str] = "Deng et al., ICLR 2022"

    def __init__(self, lambda_: float = 0.05) -> None:
        """Set the weight of the second term, the option `lambda`.

        Raises:
            BadInput: it is not in [0, 1].
        """
        if not 0 <= lambda_ <= 1:
            raise BadInput(f"loss 'tet': lambda={lambda_}", "give a number from 0 to 1, e.g. 0.05")
        self.lambda_ = float(lambda_)

    def of(self, logits: Tensor, y: Tensor, v_th: float) -> Tensor:
        """Mean over timesteps and batch."""
        by_timestep = F.cross_entropy(logits.flatten(0, 1), y.repeat(len(logits), *[1] * (y.dim() - 1)))
        away = torch.square(logits - v_th).mean()
        return (1 - self.lambda_) * by_timestep + self.lambda_ * away
