"""Checkpoints: ours, and the reference implementation's released format.

Ours is a zip archive written by `torch.save` of one plain dict (no classes, so `weights_only=True` loads it):

    format    "mpdviz"
    version   1
    config    the run's settings (`RunConfig`, JSON types); empty for a converted released file
    network   arguments of `networks.build` that rebuild the network
    state     its state dict
    neurons   name -> kind, decay, v_th of every neuron layer, in execution order, as saved
    metrics   e.g. val_accuracy, test_accuracy (fractions), epoch
    training  optimizer, scheduler and position, in `last.pt` only

The released format is a dict with the state dict under `net`; see `networks.released` for its names.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz import networks
from mpdviz.config import RunConfig, validate
from mpdviz.errors import BadInput, NotFinite
from mpdviz.files import read_bytes, write_atomically
from mpdviz.networks import released
from mpdviz.networks.base import SpikingNetwork

FORMAT, VERSION = "mpdviz", 1
DEFAULTS: dict[str, Any] = {"strategy": "mpd-agl", "decay": 0.2, "v_th": 0.5}
"""What a released file does not hold, with the reference's values."""
RELEASED_TIMESTEPS = {"resnet19": 2, "vggsnn": 10}


@dataclass
class Checkpoint:
    """A loaded checkpoint: the network in evaluation mode, and where it comes from."""

    path: Path
    network: SpikingNetwork
    build: dict[str, Any]
    """Arguments of `networks.build` that made the network."""
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
    build: Mapping[str, Any],
    config: RunConfig | None,
    metrics: Mapping[str, float],
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint of `network` atomically.

    Args:
        path: file to write or replace.
        network: whose state is saved.
        build: arguments of `networks.build` that make such a network.
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
        "network": {key: list(value) if isinstance(value, tuple) else value for key, value in build.items()},
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
    }
    if training is not None:
        content["training"] = dict(training)
    # Into memory first: torch answers a full disk with an error of its own.
    archive = io.BytesIO()
    torch.save(content, archive)
    write_atomically(path, lambda file: file.write(archive.getbuffer()))


def load(
    path: str | Path,
    *,
    strategy: str | None = None,
    timesteps: int | None = None,
    decay: float | None = None,
    v_th: float | None = None,
) -> Checkpoint:
    """The network and its story from a checkpoint, ours or a released one.

    Nothing in the file is executed, and its checksums are verified first: torch itself would load a
    flipped bit in silence.

    Args:
        path: the file.
        strategy: width strategy of a released file (default mpd-agl); ours knows its own.
        timesteps: T to run at (default: what it was trained with; for a released file 2 for ResNet-19 and
            10 for VGGSNN).
        decay: decay of a released file's LIF neurons (default 0.2); a PLIF's is in the file.
        v_th: threshold of a released file's neurons (default 0.5).

    Raises:
        BadInput: missing, damaged, unsafe or unknown file, weights of another architecture, or an option
            that contradicts what the file holds.
        NotFinite: weights that are NaN or infinite.
    """
    path = Path(path)
    if timesteps is not None and timesteps < 1:
        raise BadInput(f"timesteps={timesteps}", "give at least 1")
    content = read_archive(path)
    given = {"strategy": strategy, "timesteps": timesteps, "decay": decay, "v_th": v_th}
    given = {option: value for option, value in given.items() if value is not None}
    if content.get("format") == FORMAT:
        return _load_ours(path, content, given)
    return _load_released(path, content, given)


def read_archive(path: Path) -> dict[str, Any]:
    """The dict that `torch.save` put into `path`, checksums verified, no code run.

    Raises:
        BadInput: not such a file, damaged, or holding anything but tensors and plain values.
    """
    raw = read_bytes(path, "checkpoint")
    damaged = BadInput(f"checkpoint {path} is damaged or cut short", "copy or make it again")
    if not raw.startswith(b"PK"):
        raise BadInput(
            f"{path} is not a checkpoint archive (and nothing in it was run)",
            "give a file written by mpdviz or by torch.save in its zip format",
        )
    # torch reads the archive's directory in its own way and verifies nothing (a flipped attribute bit makes
    # it leave a weight's memory as it was), so it is handed a fresh archive of the verified parts.
    clean = io.BytesIO()
    name = ""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive, zipfile.ZipFile(clean, "w") as copy:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise damaged
            for name in names:
                copy.writestr(name, archive.read(name))
    except Exception as error:  # zipfile answers damage with half a dozen unrelated exceptions
        if "CRC" in str(error):
            problem = f"checkpoint {path} is damaged: the checksum of {name} does not match"
            raise BadInput(problem, "copy or make it again") from None
        raise damaged from None
    try:
        content = torch.load(io.BytesIO(clean.getvalue()), map_location="cpu", weights_only=True)
    except Exception as error:  # torch wraps every reason, refused code included, in its own ways
        if "WeightsUnpickler" in str(error) or "Weights only" in str(error):
            raise BadInput(
                f"{path} holds Python objects, not only tensors (nothing in it was run)",
                "save a plain state dict, e.g. torch.save({'net': model.state_dict()}, path)",
            ) from None
        raise damaged from None
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds a {type(content).__name__}, not a checkpoint", "give a checkpoint")
    return content


def _load_ours(path: Path, content: dict[str, Any], given: dict[str, Any]) -> Checkpoint:
    if content.get("version") != VERSION:
        raise BadInput(
            f"checkpoint {path} has format version {content.get('version')}, this mpdviz reads {VERSION}",
            "update mpdviz",
        )
    fixed = [f"--{option.replace('_', '-')}" for option in given if option != "timesteps"]
    if fixed:
        raise BadInput(f"checkpoint {path} knows its own {fixed[0]}", f"leave {', '.join(fixed)} out")
    parts: dict[str, Any] = {part: content.get(part) for part in ("config", "network", "state", "metrics")}
    for part, value in parts.items():
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise BadInput(f"checkpoint {path} lacks its part {part!r}", "make it again")
    build, state, metrics = parts["network"], parts["state"], parts["metrics"]
    config = validate(parts["config"], f"checkpoint {path}") if parts["config"] else None
    network = _build(build, path)
    fill(network, state, path)
    network.timesteps = given.get("timesteps", network.timesteps)
    return Checkpoint(path, network, build, config, metrics, content.get("training"))


def _load_released(path: Path, content: dict[str, Any], given: dict[str, Any]) -> Checkpoint:
    state = content.get("net", content)
    if not (isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())):
        raise BadInput(
            f"{path} is neither a checkpoint of mpdviz nor a released one (a state dict under 'net')",
            f"it holds {', '.join(map(str, list(content)[:5]))}: give the file that holds the weights",
        )
    if not released.looks_released(state):
        first = next(iter(state.items()), ("nothing at all", torch.empty(0)))
        raise BadInput(
            f"{path} holds the state dict of another architecture: missing 'encode.0.layer.weight', "
            f"unexpected {first[0]!r} {list(first[1].shape)}",
            "give a released ResNet-19 or VGGSNN, or a checkpoint made by mpdviz train",
        )
    state = released.rename(state)
    try:
        known = released.infer(state)
    except KeyError as error:
        raise BadInput(
            f"{path}: missing {error} of the released networks", "give the whole state dict"
        ) from None
    except (IndexError, TypeError, ZeroDivisionError):
        raise BadInput(
            f"{path}: tensors of the released networks' names but other shapes", "give a released checkpoint"
        ) from None
    best = content.get("best_acc")
    assumed = DEFAULTS | {"timesteps": RELEASED_TIMESTEPS[known["name"]]}
    if known["neuron"] == "plif":
        if "decay" in given:
            raise BadInput(f"{path} holds learned decays (PLIF)", "leave --decay out")
        del assumed["decay"]
    build = assumed | known | given
    network = _build(build, path)
    fill(network, state, path)
    return Checkpoint(
        path,
        network,
        build,
        None,
        {"test_accuracy": best / 100} if isinstance(best, int | float) else {},
        assumed={option: value for option, value in assumed.items() if option not in given},
    )


def _build(build: Mapping[str, Any], path: Path) -> SpikingNetwork:
    with torch.random.fork_rng(devices=[]):
        try:
            return networks.build(**build)
        except (BadInput, TypeError, ValueError, AttributeError, RuntimeError, LookupError) as error:
            raise BadInput(f"{path} describes no network: {error}", "make it again") from None


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load `state` into `network` and put it into evaluation mode.

    Raises:
        BadInput: names or shapes that are not the network's.
        NotFinite: values that are NaN or infinite.
    """
    own = network.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise BadInput(f"{path}: {name!r} is no tensor", "make it again")
    missing = [f"missing {name!r} {list(own[name].shape)}" for name in own if name not in state]
    unexpected = [f"unexpected {name!r} {list(state[name].shape)}" for name in state if name not in own]
    reshaped = [
        f"{name!r} is {list(state[name].shape)} where {list(own[name].shape)} is expected"
        for name in own
        # Empty: what a strategy keeps and sizes once it has seen data.
        if name in state and state[name].shape != own[name].shape and own[name].numel()
    ]
    problems = [found[0] for found in (missing, unexpected, reshaped) if found]
    if problems:
        raise BadInput(
            f"{path} holds the state dict of another architecture: {', '.join(problems)}",
            "give a checkpoint of this architecture",
        )
    for name, tensor in state.items():
        bad = int((~tensor.isfinite()).sum())
        if bad:
            raise NotFinite(
                f"{path}: {bad} of {tensor.numel()} values of {name!r} are NaN or infinite",
                "use an earlier checkpoint of that run; a lower --lr may keep the next one finite",
            )
    network.load_state_dict(dict(state))
    network.eval()
