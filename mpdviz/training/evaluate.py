"""Loss and accuracy of a network over a split of a data set."""

import torch
import torch.nn.functional as F

from mpdviz import data
from mpdviz.data import Dataset
from mpdviz.networks.base import SpikingNetwork
from mpdviz.system.team import Team


@torch.no_grad()
def evaluate(
    network: SpikingNetwork, dataset: Dataset, split: str, batch_size: int, team: Team | None = None
) -> tuple[float, float]:
    """Mean loss and accuracy (a fraction) over a split, in evaluation mode.

    The processes of a `team` take turns with the batches, and each learns what one alone would compute.
    """
    team = team or Team()
    network.eval()
    own = []
    for number, (x, y) in enumerate(data.batches(dataset, split, batch_size)):
        if team.takes(number):
            logits = network(x).mean(0).float()
            loss = float(F.cross_entropy(logits, y, reduction="sum"))
            own.append((number, loss, int((logits.argmax(1) == y).sum())))
    # Summed in the order of the batches, so that the rounding is that of one process.
    every = sorted(batch for batches in team.share(own) for batch in batches)
    samples = len(dataset.split(split))
    return sum(loss for _, loss, _ in every) / samples, sum(correct for *_, correct in every) / samples
