"""Where a recording comes from: a checkpoint run over a data set, or recordings saved before."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpdviz.errors import BadInput, unknown_name

from .output import console, say

if TYPE_CHECKING:
    from mpdviz.api import Recording
    from mpdviz.checkpoint import Checkpoint
    from mpdviz.data import Dataset
    from mpdviz.distributed import Team

MODES = ("eval", "train")


@dataclass(frozen=True)
class Source:
    """What to record, and how."""

    paths: Annotated[
        list[Path], typer.Argument(metavar="CKPT", help="checkpoint, or recordings (.npz) to read and merge")
    ]
    data: Annotated[str | None, typer.Option(help="data set or npz:FILE (default: the checkpoint's)")] = None
    data_dir: Annotated[Path | None, typer.Option(help="where the data set's files lie")] = None
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all (default: test; of npz: all)")
    ] = None
    limit: Annotated[int | None, typer.Option(help="only the first N samples", metavar="N")] = None
    batch_size: Annotated[int, typer.Option(help="samples a forward pass")] = 64
    mode: Annotated[
        str, typer.Option(help="eval, or train: batch statistics, as training sees the potentials")
    ] = "eval"
    gradients: Annotated[
        bool, typer.Option("--gradients", help="also record the loss gradient at the potentials")
    ] = False
    what_if: Annotated[
        str | None, typer.Option(help="other widths to count exactly, e.g. 0.5,2", metavar="K,K,...")
    ] = None
    timesteps: Annotated[int | None, typer.Option(help="T (default: the checkpoint's)")] = None
    strategy: Annotated[str | None, typer.Option(help="of a released file (default: mpd-agl)")] = None
    decay: Annotated[float | None, typer.Option(help="of a released file's LIF (default: 0.2)")] = None
    v_th: Annotated[float | None, typer.Option(help="of a released file (default: 0.5)")] = None
    epsilon: Annotated[
        float, typer.Option(help="available where h >= epsilon * max h, for infinite supports")
    ] = 0.1
    device: Annotated[str, typer.Option(help="cpu, cuda, ... or auto")] = "auto"
    backend: Annotated[str, typer.Option(help="neuron kernels: eager, compiled or auto")] = "auto"


Ready = Callable[[dict[int, str], int], None]


def record(source: Source, team: "Team", ready: Ready) -> "Recording | None":
    """The recording that `source` describes; None for a process that does not lead its team.

    `ready` is called once everything about the source is known to fit and before the work starts, with the
    layers' names by number and T, so that a command can check its own options against them.

    Raises:
        BadInput: anything about the files, the data or the options that does not fit.
    """
    if source.mode not in MODES:
        raise unknown_name("mode", source.mode, MODES)
    if source.limit is not None and source.limit < 1:
        raise BadInput(f"--limit {source.limit}", "give at least 1")
    if any(path.suffix == ".npz" for path in source.paths):
        return _read(source.paths, ready) if team.leads else None
    if len(source.paths) > 1:
        raise BadInput(f"{len(source.paths)} checkpoints", "give one, or recordings (.npz) to merge")
    return _run(source, team, ready)


def _read(paths: list[Path], ready: Ready) -> "Recording":
    from mpdviz.api import load_recording

    first, *others = paths
    recording = load_recording(first)
    for path in others:
        recording = recording.merged(load_recording(path))
    names = {number: layer.info.name for number, layer in recording.layers.items()}
    ready(names, max(layer.info.timesteps for layer in recording.layers.values()))
    return recording


def _run(source: Source, team: "Team", ready: Ready) -> "Recording | None":
    from functools import reduce

    from mpdviz import checkpoint
    from mpdviz.api import Recording
    from mpdviz.recording.accumulation import merge

    loaded = checkpoint.load(
        source.paths[0],
        strategy=source.strategy,
        timesteps=source.timesteps,
        decay=source.decay,
        v_th=source.v_th,
    )
    dataset = _load_data(loaded, source)
    split = source.split or ("all" if dataset.name.startswith("npz:") else "test")
    if not len(dataset.split(split)):
        raise BadInput(f"the {split} split of {dataset.name} is empty", "choose another --split, e.g. all")
    recording, correct, samples = _observe(loaded, dataset, split, source, team, ready)
    gathered = team.gather((dict(recording.layers), correct, samples))
    if not team.leads:
        return None
    layers = reduce(merge, (part for part, _, _ in gathered if part))
    right, total = sum(part[1] for part in gathered), sum(part[2] for part in gathered)
    _tell(loaded, dataset, split, source, f"{total} samples, accuracy {right / total:.2%}")
    return Recording(layers)


def _load_data(loaded: "Checkpoint", source: Source) -> "Dataset":
    from mpdviz import data

    network, name, data_dir = loaded.network, source.data, source.data_dir
    if loaded.config is not None:
        name, data_dir = name or loaded.config.data, data_dir or loaded.config.data_dir
    if name is None:
        raise BadInput(
            f"{loaded.path} does not say what it was trained on", "give --data, e.g. --data npz:FILE"
        )
    # An own file has its own number of frames; made-up frames come as many as the network had.
    wanted = source.timesteps if name.startswith("npz:") else network.timesteps
    dataset = data.load(name, timesteps=wanted, data_dir=data_dir)
    size, side = network.image_size, dataset.image_size
    mismatches = {
        f"has {dataset.channels} channels, not {network.in_channels}": dataset.channels
        != network.in_channels,
        f"is {side}x{side}, not {size}x{size}": size not in (None, side),
        f"has labels up to {dataset.classes - 1}, more than the {loaded.build['num_classes']} classes": (
            dataset.classes > loaded.build["num_classes"]
        ),
    }
    for mismatch, found in mismatches.items():
        if found:
            raise BadInput(
                f"{name} does not fit {loaded.path}: it {mismatch}", "give the data it was trained on"
            )
    if dataset.timesteps is not None and dataset.timesteps != network.timesteps:
        network.timesteps = dataset.timesteps
        loaded.assumed.pop("timesteps", None)
    return dataset


def _observe(
    loaded: "Checkpoint", dataset: "Dataset", split: str, source: Source, team: "Team", ready: Ready
) -> "tuple[Recording, int, int]":
    import torch
    import torch.nn.functional as F
    from rich.progress import track

    import mpdviz
    from mpdviz import data
    from mpdviz.devices import pick_device
    from mpdviz.kernels.backend import using
    from mpdviz.norm import frozen_statistics

    mpdviz.keep_large_buffers()
    device = pick_device(source.device)
    order = torch.arange(len(dataset.split(split)))[: source.limit]
    batches = data.batches(dataset, split, source.batch_size, order=order)
    network = loaded.network.to(device).train(source.mode == "train")
    terminal = console(stderr=True)
    shown = track(
        enumerate(batches),
        "recording",
        total=-(-len(order) // source.batch_size),
        console=terminal,
        transient=True,
        disable=not (terminal.is_terminal and team.leads),
    )
    correct = samples = 0
    observing = mpdviz.record(
        network,
        gradients=source.gradients,
        what_if=widths(source.what_if),
        epsilon=source.epsilon,
    )
    with (
        using(source.backend),
        torch.set_grad_enabled(source.gradients),
        frozen_statistics(network),
        observing as recording,
    ):
        names = (name for name, _ in network.spiking_layers())
        ready(dict(enumerate(names, start=1)), network.timesteps)
        for number, (x, y) in shown:
            if not team.takes(number):
                continue
            logits = network(x.to(device)).mean(0)
            if source.gradients:
                F.cross_entropy(logits, y.to(device)).backward()
                network.zero_grad()
            correct += int((logits.argmax(1).cpu() == y).sum())
            samples += len(y)
    return recording, correct, samples


def widths(text: str | None) -> tuple[float, ...]:
    """Widths written as `0.5,1,2`.

    Raises:
        BadInput: not numbers.
    """
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise BadInput(f"--what-if {text}", "give widths like 0.5,1,2") from None


def _tell(loaded: "Checkpoint", dataset: "Dataset", split: str, source: Source, result: str) -> None:
    if loaded.assumed:
        taken = ", ".join(f"--{name.replace('_', '-')} {value}" for name, value in loaded.assumed.items())
        say(f"{loaded.path} is a released checkpoint and does not hold everything; taken: {taken}")
    build = loaded.build
    mode = ", batch statistics" if source.mode == "train" else ""
    say(
        f"{build['name']}, {build['strategy']}, T={loaded.network.timesteps}; "
        f"{dataset.name} {split}{mode}, {result}"
    )
