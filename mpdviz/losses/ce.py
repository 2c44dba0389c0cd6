"""`ce`: cross-entropy of the logits' mean over time."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from mpdviz.losses.base import Loss


class CrossEntropy(Loss):
    """CE(mean_t o_t), the mean over time before the softmax (released code of Jiang et al., IJCAI 2025)."""

    name: ClassVar[str] = "ce"
    source: ClassVar[str] = "Jiang et al., IJCAI 2025"

    def of(self, logits: Tensor, y: Tensor, v_th: float) -> Tensor:
        """Mean over the batch, in nats."""
        return F.cross_entropy(logits.mean(0), y)
