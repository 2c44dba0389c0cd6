"""The network that a run starts from, and how much work it will be."""

from dataclasses import replace

import torch
from torch import nn

from mpdviz import checkpoint, data
from mpdviz.config import RunConfig
from mpdviz.data import Dataset
from mpdviz.data.augment import with_augmentation
from mpdviz.errors import BadInput
from mpdviz.networks import NETWORKS, NetworkConfig, SpikingNetwork, parse
from mpdviz.system.memory import require_memory
from mpdviz.system.places import best_checkpoint

BYTES = 12
"""What a potential leaves for the backward pass at the least: its input, itself, its spike."""
SHOWN = 3
"""Weights that a message names."""


def architecture(config: RunConfig, dataset: Dataset) -> NetworkConfig:
    """What makes the network of a run: its settings, and the sizes of the data."""
    if config.own_model:
        return NetworkConfig(config.model, config.timesteps, dataset.classes, config.strategy)
    sizes = NETWORKS.find(parse(config.model)[0]).sizes_for(dataset.sample_shape)
    own = {"name": config.model, "num_classes": dataset.classes}
    return NetworkConfig.of(own | sizes | config.network_options())


def fresh_network(
    config: RunConfig,
    dataset: Dataset,
    device: torch.device,
    *,
    placed: bool = True,
) -> SpikingNetwork:
    """The network of a run, its weights drawn from its seed alone; `placed` as of `NetworkConfig.build`.

    Raises:
        BadInput: settings that do not go together, or a network too large for the memory.
    """
    if config.own_model:
        from mpdviz.training.own import OwnNetwork

        return OwnNetwork(config, dataset, device)
    made_by = architecture(config, dataset)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            return made_by.build(placed=placed).to(device).channels_last()
        except RuntimeError as error:
            problem = f"cannot build the network: {error}"
            raise BadInput(problem, f"choose smaller options of `model` {made_by.name}") from None


def cautions(network: SpikingNetwork, processes: int = 1) -> list[str]:
    """What there is to say before this network is trained by so many processes, each once."""
    said = (
        layer.strategy.caution(layer.situation(network.timesteps)) for _, layer in network.spiking_layers()
    )
    # Those of networks of the user's own; ours see every process's part.
    plain = any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, nn.SyncBatchNorm)
        for module in network.modules()
    )
    apart = ["every process's batch norms see its own part of a batch"] if processes > 1 and plain else []
    return list(dict.fromkeys([*(caution for caution in said if caution is not None), *apart]))


def count_potentials(network: SpikingNetwork, dataset: Dataset, epochs: int) -> int:
    """Membrane potentials that training on `dataset` for so many epochs will compute."""
    one = dataset.train.take(torch.zeros(1, dtype=torch.long, device=dataset.train.y.device))
    x, _ = next(data.batches(replace(dataset, train=one), "train", 1))
    return network.count_potentials(x) * network.timesteps * len(dataset.train) * epochs


def data_of(config: RunConfig) -> Dataset:
    """The data that a run names.

    Raises:
        BadInput: there are none, or they cannot be read.
    """
    return data.load(config.data, timesteps=config.timesteps, data_dir=config.data_dir)


def trainable(dataset: Dataset, config: RunConfig) -> Dataset:
    """The data as the run is to see them, limited and augmented.

    Raises:
        BadInput: too few samples, or an augmentation that is not for them.
    """
    if config.train_limit is not None:
        dataset = dataset.limited(config.train_limit)
    dataset.check_trainable(config.batch_size, config.timesteps)
    return with_augmentation(dataset, own=config.augment, auto=config.auto_augment, cutout=config.cutout)


def require_room(potentials: int, dataset: Dataset, config: RunConfig) -> None:
    """Refuse a batch that the memory cannot hold; every process of a team holds its part.

    Args:
        potentials: of the whole run.
        dataset: what it is trained on.
        config: its settings.

    Raises:
        BadInput: it cannot.
    """
    batch = potentials // (config.epochs * len(dataset.train)) * config.batch_size
    what = f"a batch of {config.batch_size} samples over {config.timesteps} timesteps"
    require_memory(batch * BYTES, what, "lower `batch_size` or `timesteps`")


def start_from(network: SpikingNetwork, config: RunConfig) -> str | None:
    """Fill a fresh network from the run's `init` as far as it fits; what is left fresh, in words.

    Raises:
        BadInput: nothing of it fits, or it is no checkpoint.
        NotFinite: weights that are NaN or infinite.
    """
    if config.init is None:
        return None
    left = checkpoint.fill_matching(network, best_checkpoint(config.init))
    shown = ", ".join(left[:SHOWN]) + (", ..." if len(left) > SHOWN else "")
    return f"{len(left)} weights are not in {config.init} and start fresh: {shown}" if left else None
