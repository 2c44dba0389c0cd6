"""Loss, accuracy and confusions of a network over a split of a data set."""

from collections import Counter
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F

from mpdviz import data
from mpdviz.data import Dataset
from mpdviz.networks.base import SpikingNetwork
from mpdviz.system.team import Team


class Evaluation(NamedTuple):
    """What a split came to."""

    loss: float
    """Mean cross-entropy of the mean logits, in nats."""
    accuracy: float
    """A fraction."""
    confusion: pd.DataFrame
    """`label, predicted, count`, one row a pair that occurred, in order."""


@torch.no_grad()
def evaluate(
    network: SpikingNetwork, dataset: Dataset, split: str, batch_size: int, team: Team | None = None
) -> Evaluation:
    """What `network` makes of a split, in evaluation mode.

    The processes of a `team` take turns with the batches, and each learns what one alone would compute.
    """
    team = team or Team()
    network.eval()
    own, pairs = [], Counter[tuple[int, int]]()
    for number, (x, y) in enumerate(data.batches(dataset, split, batch_size)):
        if team.takes(number):
            logits = network(x).mean(0).float()
            own.append((number, float(F.cross_entropy(logits, y, reduction="sum"))))
            pairs.update(zip(y.tolist(), logits.argmax(1).tolist(), strict=True))
    gathered = team.share((own, pairs))
    # Summed in the order of the batches, so that the rounding is that of one process.
    losses = sorted(batch for batches, _ in gathered for batch in batches)
    total = sum((counted for _, counted in gathered), Counter[tuple[int, int]]())
    rows = [(label, predicted, count) for (label, predicted), count in sorted(total.items())]
    samples = len(dataset.split(split))
    correct = sum(count for label, predicted, count in rows if label == predicted)
    return Evaluation(
        sum(loss for _, loss in losses) / samples,
        correct / samples,
        pd.DataFrame(rows, columns=["label", "predicted", "count"], dtype="int64"),
    )
