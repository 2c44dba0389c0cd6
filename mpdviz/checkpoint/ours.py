"""Checkpoints of mpdviz: a zip archive written by `torch.save` of one plain dict.

No classes are in it, so `weights_only=True` loads it:

    format    "mpdviz"
    version   1
    config    the run's settings (`RunConfig`, JSON types); empty for a converted released file
    network   `NetworkConfig.to_dict()` of the network
    state     its state dict
    neurons   name -> kind, decay, v_th of every neuron layer, in execution order, as saved
    metrics   e.g. val_accuracy, test_accuracy (fractions), epoch
    stage     epochs finished and share of all steps done, which strategies may ask for
    training  optimizer, scheduler and position, in `last.pt` only
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mpdviz.checkpoint.archive import check_state, fill
from mpdviz.config import RunConfig, validate
from mpdviz.errors import BadInput
from mpdviz.networks import NetworkConfig, SpikingNetwork
from mpdviz.system.files import write_atomically

FORMAT, VERSION = "mpdviz", 1


class OfOwnNetwork(BadInput):
    """A checkpoint of a network of the user's own, whose code is none of a file's to name."""


@dataclass
class Checkpoint:
    """A loaded checkpoint: the network in evaluation mode, and where it comes from."""

    path: Path
    network: SpikingNetwork
    architecture: NetworkConfig
    """What made the network."""
    config: RunConfig | None
    """Settings of the run that trained it; a released file does not know them."""
    metrics: dict[str, float]
    training: dict[str, Any] | None = None
    assumed: dict[str, Any] = field(default_factory=dict)
    """What the file does not hold and was taken from the defaults."""


def save(
    path: Path,
    network: SpikingNetwork,
    *,
    architecture: NetworkConfig,
    config: RunConfig | None,
    metrics: Mapping[str, float],
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint of `network` atomically.

    Args:
        path: file to write or replace.
        network: whose state is saved.
        architecture: what makes such a network.
        config: settings of the run; None of a network that was trained elsewhere.
        metrics: plain numbers to keep with it.
        training: optimizer state and position, for a checkpoint to resume from.

    Raises:
        BadInput: the file cannot be written; an older one stays as it was.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "config": {} if config is None else config.model_dump(mode="json"),
        "network": architecture.to_dict(),
        "state": network.state_dict(),
        "neurons": {
            name: {
                "kind": layer.neuron.kind,
                "decay": layer.neuron.decay_value,
                "v_th": layer.neuron.v_th,
            }
            for name, layer in network.spiking_layers()
        },
        "metrics": dict(metrics),
        "stage": list(network.stage),
    }
    if training is not None:
        content["training"] = dict(training)
    # Into memory first: torch answers a full disk with an error of its own.
    archive = io.BytesIO()
    torch.save(content, archive)
    write_atomically(path, lambda file: file.write(archive.getbuffer()))


def restore(
    path: Path,
    content: dict[str, Any],
    given: dict[str, Any],
    into: Callable[[RunConfig | None], SpikingNetwork] | None = None,
) -> Checkpoint:
    """The checkpoint in the `content` of an archive; `given` are the options of `checkpoint.load`.

    Raises:
        BadInput: another version, a missing part, or an option that the file itself knows.
        OfOwnNetwork: nothing to fill, and a network of the user's own.
    """
    parts, config = read(path, content, given)
    if into is not None:
        network = into(config)
        architecture = _architecture(parts["network"], path)
    elif config is not None and config.own_model:
        raise OfOwnNetwork(
            f"{path} holds the weights of a network of your own, {config.model}",
            f"name its function: `model` {config.model}",
        )
    else:
        architecture, network = build_network(parts["network"], parts["state"], path)
    fill(network, parts["state"], path)
    network.stage = _stage(content.get("stage", [0, 0.0]), path)
    network.timesteps = given.get("timesteps", network.timesteps)
    return Checkpoint(path, network, architecture, config, parts["metrics"], content.get("training"))


def read(
    path: Path, content: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], RunConfig | None]:
    """The parts `network`, `state`, ... of the `content` of an archive, and the settings of its run.

    Raises:
        BadInput: another version, a missing part, or an option that the file itself knows.
    """
    version = content.get("version")
    if not isinstance(version, int):
        raise BadInput(f"checkpoint {path} lacks its format version", "make it again")
    if version != VERSION:
        raise BadInput(
            f"checkpoint {path} has format version {version}, this mpdviz reads {VERSION}", "update mpdviz"
        )
    fixed = [f"`{option}`" for option in given if option != "timesteps"]
    if fixed:
        raise BadInput(f"checkpoint {path} knows its own {fixed[0]}", f"leave {', '.join(fixed)} out")
    parts: dict[str, Any] = {part: content.get(part) for part in ("config", "network", "state", "metrics")}
    for part, value in parts.items():
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise BadInput(f"checkpoint {path} lacks its part {part!r}", "make it again")
    for name, value in parts["metrics"].items():
        if not isinstance(value, int | float):
            raise BadInput(f"checkpoint {path}: its metric {name!r} is no number", "make it again")
    return parts, validate(parts["config"], f"checkpoint {path}") if parts["config"] else None


def build_network(
    settings: Mapping[str, Any], state: Mapping[str, Any], path: Path
) -> tuple[NetworkConfig, SpikingNetwork]:
    """The network that the file at `path` describes by `settings`, whatever torch's random numbers are.

    It is built without memory first: a small file may describe a network that would fill the machine.

    Raises:
        BadInput: it describes none, or one that the weights in `state` are not of.
    """
    with torch.random.fork_rng(devices=[]):
        architecture = _architecture(settings, path)
        try:
            with torch.device("meta"):
                sketch = architecture.build(placed=False)
        except Exception as error:  # any type of value may stand in a file
            raise _no_network(path, error) from None
        check_state(sketch, state, path)
        return architecture, architecture.build(placed=False)


def _architecture(settings: Mapping[str, Any], path: Path) -> NetworkConfig:
    try:
        return NetworkConfig.of(settings)
    except TypeError as error:
        raise _no_network(path, error) from None


def _no_network(path: Path, error: Exception) -> BadInput:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return BadInput(f"{path} describes no network: {reason}", "make it again")


def _stage(stage: Any, path: Path) -> tuple[int, float]:
    match stage:
        case [int(epoch), float(progress)] if epoch >= 0 and 0 <= progress <= 1:
            return epoch, progress
    raise BadInput(f"checkpoint {path}: stage {stage!r}", "make it again")
