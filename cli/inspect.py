"""`mpdviz inspect`: record a checkpoint's membrane potentials over a data set; table and figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpdviz.errors import BadInput, unknown_name

from .output import FORMATS, console, print_table, say

if TYPE_CHECKING:
    import pandas as pd

    from mpdviz.api import Recording
    from mpdviz.checkpoint import Checkpoint
    from mpdviz.data import Dataset

HELP = """Record the membrane potentials of a trained network: which share gets its spike gradient, by layer
and timestep.

CKPT is a checkpoint of `mpdviz train` or a released one of the MPD-AGL reference (give --data then)."""


def inspect(
    ckpt: Annotated[Path, typer.Argument(metavar="CKPT", help="checkpoint file")],
    layer: Annotated[
        int | None, typer.Option(help="only this layer, from 1, with a sketch", metavar="N")
    ] = None,
    data: Annotated[str | None, typer.Option(help="data set or npz:FILE (default: the checkpoint's)")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where the data set's files lie")] = None,
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all (default: test; npz: all)")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="samples a forward pass")] = 64,
    timesteps: Annotated[int | None, typer.Option(help="T (default: the checkpoint's)")] = None,
    strategy: Annotated[str | None, typer.Option(help="of a released file (default: mpd-agl)")] = None,
    decay: Annotated[float | None, typer.Option(help="of a released file's LIF (default: 0.2)")] = None,
    v_th: Annotated[float | None, typer.Option(help="of a released file (default: 0.5)")] = None,
    epsilon: Annotated[
        float, typer.Option(help="available where h >= epsilon * max h, for surrogates of infinite support")
    ] = 0.1,
    device: Annotated[str, typer.Option(help="cpu, cuda, ... or auto")] = "auto",
    format_: Annotated[str, typer.Option("--format", help="table, json, csv or markdown")] = "table",
    out: Annotated[
        Path | None, typer.Option(help="folder for the table (CSV) and a figure a layer", metavar="DIR")
    ] = None,
    figure_format: Annotated[str, typer.Option(help="png, pdf or svg")] = "png",
) -> None:
    """Check everything, record, print, write."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    _check_figure_format(figure_format)

    from mpdviz import checkpoint

    loaded = checkpoint.load(ckpt, strategy=strategy, timesteps=timesteps, decay=decay, v_th=v_th)
    dataset = _load_data(loaded, data, data_dir, timesteps)
    if layer is not None:
        from mpdviz.api import check_layer

        check_layer(layer, range(1, 1 + len(list(loaded.network.spiking_layers()))))
    if out is not None:
        from mpdviz.files import make_folder

        make_folder(out)
    split = split or ("all" if dataset.name.startswith("npz:") else "test")
    recording, accuracy = _record(loaded, dataset, split, batch_size, device, epsilon)
    _tell(loaded, dataset, split, accuracy)

    table = recording.table()
    if layer is not None:
        table = table[table["layer"] == layer]
    print_table(table, format_)
    if layer is not None and format_ == "table":
        from .sketch import sketch

        console().print(sketch(table, recording.histogram(layer)))
    if out is not None:
        _write(recording, table, out, figure_format)


def _check_figure_format(name: str) -> None:
    # Told before any work; figures.style knows the formats, but importing it takes a second.
    if name not in ("png", "pdf", "svg"):
        raise unknown_name("figure format", name, ("png", "pdf", "svg"))


def _load_data(
    loaded: "Checkpoint", name: str | None, data_dir: Path | None, timesteps: int | None
) -> "Dataset":
    from mpdviz import data

    network = loaded.network
    if loaded.config is not None:
        name, data_dir = name or loaded.config.data, data_dir or loaded.config.data_dir
    if name is None:
        raise BadInput(
            f"{loaded.path} does not say what it was trained on", "give --data, e.g. --data npz:FILE"
        )
    # An own file has its own number of frames; made-up frames come as many as the network had.
    wanted = timesteps if name.startswith("npz:") else network.timesteps
    dataset = data.load(name, timesteps=wanted, data_dir=data_dir)
    if dataset.channels != network.in_channels:
        raise BadInput(
            f"{name} has {dataset.channels} channels where {loaded.path} expects {network.in_channels}",
            "give the data it was trained on",
        )
    size = network.image_size
    if size not in (None, dataset.image_size):
        raise BadInput(
            f"{name} is {dataset.image_size}x{dataset.image_size} where {loaded.path} expects {size}x{size}",
            "give the data it was trained on",
        )
    if dataset.classes > loaded.build["num_classes"]:
        raise BadInput(
            f"labels of {name} go up to {dataset.classes - 1}, but {loaded.path} has "
            f"{loaded.build['num_classes']} classes",
            "give the data it was trained on",
        )
    if dataset.timesteps is not None and dataset.timesteps != network.timesteps:
        network.timesteps = dataset.timesteps
        loaded.assumed.pop("timesteps", None)
    return dataset


def _record(
    loaded: "Checkpoint", dataset: "Dataset", split: str, batch_size: int, device_name: str, epsilon: float
) -> "tuple[Recording, float]":
    import torch
    from rich.progress import track

    import mpdviz
    from mpdviz import data
    from mpdviz.devices import pick_device

    device = pick_device(device_name)
    batches = data.batches(dataset, split, batch_size)
    samples = len(dataset.split(split))
    if not samples:
        raise BadInput(f"the {split} split of {dataset.name} is empty", "choose another --split, e.g. all")
    network = loaded.network.to(device)
    correct = 0
    shown = track(
        batches,
        "recording",
        total=-(-samples // batch_size),
        console=console(stderr=True),
        transient=True,
        disable=not console(stderr=True).is_terminal,
    )
    with torch.no_grad(), mpdviz.record(network, epsilon=epsilon) as recording:
        for x, y in shown:
            logits = network(x.to(device)).mean(0)
            correct += int((logits.argmax(1).cpu() == y).sum())
    return recording, correct / samples


def _tell(loaded: "Checkpoint", dataset: "Dataset", split: str, accuracy: float) -> None:
    if loaded.assumed:
        taken = ", ".join(f"--{name.replace('_', '-')} {value}" for name, value in loaded.assumed.items())
        say(f"{loaded.path} is a released checkpoint and does not hold everything; taken: {taken}")
    build = loaded.build
    say(
        f"{build['name']}, {build['strategy']}, T={loaded.network.timesteps}; {dataset.name} {split}, "
        f"{len(dataset.split(split))} samples, accuracy {accuracy:.2%}"
    )


def _write(recording: "Recording", table: "pd.DataFrame", out: Path, figure_format: str) -> None:
    from mpdviz.figures import style
    from mpdviz.figures.distribution import distribution
    from mpdviz.files import write_text

    written = [out / "table.csv"]
    write_text(written[0], table.to_csv(index=False))
    for number, rows in table.groupby("layer"):
        histogram = recording.histogram(int(str(number)))
        stem = f"distribution_layer{number:02d}"
        write_text(out / f"{stem}.csv", histogram.to_csv(index=False))
        written += [
            out / f"{stem}.csv",
            style.save(distribution(rows, histogram), out / f"{stem}.{figure_format}"),
        ]
    for path in written:
        say(f"wrote {path}")
