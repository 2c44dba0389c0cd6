"""Where a recording comes from: a checkpoint run over a data set, or recordings saved before."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpdviz.errors import BadInput, unknown_name

from .observe import observe
from .output import say

if TYPE_CHECKING:
    from torch import Tensor

    from mpdviz.api import Recording
    from mpdviz.checkpoint import Checkpoint
    from mpdviz.data import Dataset
    from mpdviz.system.team import Team

MODES = ("eval", "train")
OWN = "Your own network (SpikingJelly, snnTorch, Norse)"


@dataclass(frozen=True)
class Source:
    """What to record, and how."""

    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CKPT", help="checkpoint, or recordings (.npz) to read and merge"),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            help="your own network: runs that function of yours; without CKPT with fresh weights",
            metavar="MODULE:FUNCTION",
            rich_help_panel=OWN,
        ),
    ] = None
    model_args: Annotated[
        list[str] | None,
        typer.Option(help="argument of the function; may be repeated", metavar="K=V", rich_help_panel=OWN),
    ] = None
    time_axis: Annotated[
        int | None,
        typer.Option(
            help="axis on which it takes whole sequences (default: 0, or a call a timestep if stepped)",
            metavar="0|1",
            rich_help_panel=OWN,
        ),
    ] = None
    repeat_input: Annotated[
        int | None,
        typer.Option(
            help="show it each image T times (default: it repeats images itself)",
            metavar="T",
            rich_help_panel=OWN,
        ),
    ] = None
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
    paths = source.paths or []
    if any(path.suffix == ".npz" for path in paths):
        return _read(paths, ready) if team.leads else None
    if len(paths) > 1:
        raise BadInput(f"{len(paths)} checkpoints", "give one, or recordings (.npz) to merge")
    if source.model is not None:
        from .own import run

        return run(source, team, ready)
    for name in ("model_args", "time_axis", "repeat_input"):
        if getattr(source, name) is not None:
            raise BadInput(f"--{name.replace('_', '-')} without --model", "give --model, or leave it out")
    if not paths:
        raise BadInput("no checkpoint", "give one, or --model MODULE:FUNCTION; see `mpdviz --help`")
    return _run(source, paths[0], team, ready)


def _read(paths: list[Path], ready: Ready) -> "Recording":
    from mpdviz.api import load_recording

    first, *others = paths
    recording = load_recording(first)
    for path in others:
        recording = recording.merged(load_recording(path))
    names = {number: layer.info.name for number, layer in recording.layers.items()}
    ready(names, max(layer.info.timesteps for layer in recording.layers.values()))
    return recording


def _run(source: Source, path: Path, team: "Team", ready: Ready) -> "Recording | None":
    from mpdviz import checkpoint

    loaded = checkpoint.load(
        path,
        strategy=source.strategy,
        timesteps=source.timesteps,
        decay=source.decay,
        v_th=source.v_th,
    )
    dataset = _load_data(loaded, source)
    split = source.split or ("all" if dataset.name.startswith("npz:") else "test")
    if not len(dataset.split(split)):
        raise BadInput(f"the {split} split of {dataset.name} is empty", "choose another --split, e.g. all")
    names = dict(enumerate((name for name, _ in loaded.network.spiking_layers()), start=1))

    def forward(x: "Tensor") -> "Tensor":
        logits: Tensor = loaded.network(x)
        return logits.mean(0)

    def check() -> None:
        ready(names, loaded.network.timesteps)

    recording, result = observe(loaded.network, forward, dataset, split, source, team, check)
    if recording is not None:
        _tell(loaded, dataset, split, source, result)
    return recording


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
