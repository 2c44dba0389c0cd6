"""The network that a run starts from, and how much work it will be."""

from dataclasses import replace
from typing import Any

import torch

from mpdviz import data, networks
from mpdviz.config import RunConfig
from mpdviz.data import Dataset
from mpdviz.errors import BadInput
from mpdviz.networks.base import SpikingNetwork


def build_arguments(config: RunConfig, dataset: Dataset) -> dict[str, Any]:
    """Arguments of `networks.build`, `name` among them: what the settings fix, and the sizes of the data."""
    return {
        "name": config.model,
        "num_classes": dataset.classes,
        "in_channels": dataset.channels,
        "image_size": dataset.image_size,
        **config.network_options(),
    }


def fresh_network(build: dict[str, Any], seed: int, device: torch.device) -> SpikingNetwork:
    """The network of these arguments, its weights drawn from `seed` alone.

    Raises:
        BadInput: arguments that do not go together, or a network too large for the memory.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return networks.build(**build).to(device).channels_last()
        except RuntimeError as error:
            problem = f"cannot build the network: {error}"
            raise BadInput(problem, "lower `encode_channels` or `planes`") from None


def count_potentials(network: SpikingNetwork, dataset: Dataset, epochs: int) -> int:
    """Membrane potentials that training on `dataset` for so many epochs will compute."""
    one = dataset.train.take(torch.zeros(1, dtype=torch.long, device=dataset.train.y.device))
    x, _ = next(data.batches(replace(dataset, train=one), "train", 1))
    return network.count_potentials(x) * len(dataset.train) * epochs
