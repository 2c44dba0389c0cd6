"""Loss and accuracy of a network over a split of a data set."""

import torch
import torch.nn.functional as F

from mpdviz import data
from mpdviz.data import Dataset
from mpdviz.networks.base import SpikingNetwork


@torch.no_grad()
def evaluate(network: SpikingNetwork, dataset: Dataset, split: str, batch_size: int) -> tuple[float, float]:
    """Mean loss and accuracy (a fraction) over a split, in evaluation mode."""
    network.eval()
    loss, correct, samples = 0.0, 0, 0
    for x, y in data.batches(dataset, split, batch_size):
        logits = network(x).mean(0)
        loss += float(F.cross_entropy(logits, y, reduction="sum"))
        correct += int((logits.argmax(1) == y).sum())
        samples += len(y)
    return loss / samples, correct / samples
