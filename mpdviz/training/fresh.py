"""The network that a run starts from, and how much work it will be."""

from dataclasses import replace

import torch

from mpdviz import data
from mpdviz.config import RunConfig
from mpdviz.data import Dataset
from mpdviz.errors import BadInput
from mpdviz.networks import NetworkConfig, SpikingNetwork


def architecture(config: RunConfig, dataset: Dataset) -> NetworkConfig:
    """What makes the network of a run: its settings, and the sizes of the data."""
    sizes = {
        "num_classes": dataset.classes,
        "in_channels": dataset.channels,
        "image_size": dataset.image_size,
    }
    return NetworkConfig.of({"name": config.model} | sizes | config.network_options())


def fresh_network(
    made_by: NetworkConfig, seed: int, device: torch.device, *, placed: bool = True
) -> SpikingNetwork:
    """The network of this architecture, its weights drawn from `seed` alone; `placed` as of its `build`.

    Raises:
        BadInput: settings that do not go together, or a network too large for the memory.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return made_by.build(placed=placed).to(device).channels_last()
        except RuntimeError as error:
            problem = f"cannot build the network: {error}"
            raise BadInput(problem, "lower `encode_channels` or `planes`") from None


def cautions(network: SpikingNetwork) -> list[str]:
    """What the strategies have to say before this network is trained, each once."""
    said = (
        layer.strategy.caution(layer.situation(network.timesteps)) for _, layer in network.spiking_layers()
    )
    return list(dict.fromkeys(caution for caution in said if caution is not None))


def count_potentials(network: SpikingNetwork, dataset: Dataset, epochs: int) -> int:
    """Membrane potentials that training on `dataset` for so many epochs will compute."""
    one = dataset.train.take(torch.zeros(1, dtype=torch.long, device=dataset.train.y.device))
    x, _ = next(data.batches(replace(dataset, train=one), "train", 1))
    return network.count_potentials(x) * network.timesteps * len(dataset.train) * epochs
