"""`mpdviz inspect`: record a checkpoint's membrane potentials over a data set; table and figures."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mpdviz.errors import BadInput, unknown_name

from . import shown
from .completion import names
from .formats import EXPORTS, as_json
from .options import takes
from .output import hint, note, say, wrote
from .select import layer_numbers, timestep_numbers
from .source import Source, prepared, record, told

if TYPE_CHECKING:
    import pandas as pd

    from mpdviz.api import Recording

HELP = """Record the membrane potentials of a trained network: which share gets its spike gradient, by layer
and timestep.

CKPT is a checkpoint of `mpdviz train` or its run folder, a released one of the MPD-AGL reference (give --data
then), a sample (sample:mpd_agl), one or more recordings written with --save, or, with --model, the weights of
your own network."""

FORMATS = ("table", *EXPORTS, "markdown")
FIGURE_FORMATS = ("png", "pdf", "svg")
NETWORK_FIGURES = 6
"""Figures of a network as a whole; that of each layer comes on top."""
FILES = 3
"""Files of a figure: itself, its numbers, its caption."""


@takes(Source, "source")
def inspect(
    source: Source,
    layer: Annotated[
        str | None,
        typer.Option(help="only these: numbers, ranges, names; one layer is sketched", metavar="L"),
    ] = None,
    timestep: Annotated[
        str | None, typer.Option(help="only these: numbers, ranges; a row for each", metavar="T")
    ] = None,
    target_ratio: Annotated[
        float | None, typer.Option(help="also the narrowest kappa that reaches this available ratio")
    ] = None,
    what_if_surrogate: Annotated[
        str | None,
        typer.Option(
            help="also ratio and gain under this surrogate shape",
            metavar="NAME",
            autocompletion=names("surrogates"),
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="a row for each layer and timestep")] = False,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="table, json, csv, parquet, latex or markdown",
            metavar="NAME",
            autocompletion=names(FORMATS),
        ),
    ] = "table",
    save: Annotated[Path | None, typer.Option(help="write the recording (.npz)", metavar="FILE")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for tables and figures", metavar="DIR")] = None,
    figure_format: Annotated[
        str | None,
        typer.Option(
            help="of the figures in --out: png (default), pdf or svg",
            metavar="NAME",
            autocompletion=names(FIGURE_FORMATS),
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="name every file that is written")] = False,
) -> None:
    """Check everything, record, write, print."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    if figure_format not in (None, *FIGURE_FORMATS):
        raise unknown_name("figure format", str(figure_format), FIGURE_FORMATS)
    if figure_format is not None and out is None:
        raise BadInput("--figure-format without --out", "give --out too, or leave it out")
    if save is not None and save.suffix != ".npz":
        raise BadInput(f"--save {save}", "give a name that ends in .npz")

    inspection = prepared(source)
    _check_what_ifs(target_ratio, what_if_surrogate)
    if layer is not None:
        layer_numbers(layer, inspection.names)
    if timestep is not None:
        timestep_numbers(timestep, inspection.timesteps)
    _make_folders(out, save, _inputs(source))
    from mpdviz.system.progress import whole

    # By and large: what can be drawn shows when there is something to draw.
    with whole(later=FILES * (NETWORK_FIGURES + len(inspection.names))) if out is not None else nullcontext():
        recording = record(source, inspection)
        if recording is None:
            return
        every = full or timestep is not None
        # What is predicted takes longer than all the rest, and the short table shows nothing of it.
        whole_table = out is not None or format_ in EXPORTS
        table = recording.table() if whole_table else _shown(recording, predicted=every)
        table = _select(_with_what_ifs(table, recording, target_ratio, what_if_surrogate), layer, timestep)
        # Files first: whoever reads the table may leave before its end.
        if save is not None:
            recording.save(save)
        written = [] if out is None else write(recording, table, out, figure_format or "png")
    if format_ == "json":
        as_json(table, recording.left_out)
    elif format_ in EXPORTS:
        EXPORTS[format_](table)
    else:
        shown.table(recording, table, markdown=format_ == "markdown", full=every, one=layer is not None)
    if save is not None:
        say(f"wrote {escape(str(save))}")
    if out is not None:
        wrote(written, out, verbose=verbose)
    for line in told(source, inspection):
        note("", line)
    shown.notes(recording, predicted=full or format_ in EXPORTS)
    if format_ == "table" and out is None and not full:
        hint("--full: a row for each timestep; --out DIR: tables and figures")


def _shown(recording: "Recording", *, predicted: bool) -> "pd.DataFrame":
    """The columns of the main table that a terminal may show."""
    from mpdviz.analysis import metrics

    return metrics.table(recording.layers, (metrics.PAPER,) if predicted else (), compared=False)


def _with_what_ifs(
    table: "pd.DataFrame", recording: "Recording", ratio: float | None, surrogate: str | None
) -> "pd.DataFrame":
    if ratio is not None:
        wanted = recording.kappa_for(ratio)[["layer", "timestep", "kappa"]]
        table = table.merge(
            wanted.rename(columns={"kappa": f"kappa_for_{ratio:g}"}), on=["layer", "timestep"]
        )
    if surrogate is not None:
        bounds = recording.what_if(surrogate).drop(columns="name").set_index(["layer", "timestep"])
        table = table.merge(bounds.add_suffix(f"_{surrogate}"), on=["layer", "timestep"])
    return table


def _check_what_ifs(ratio: float | None, surrogate: str | None) -> None:
    from mpdviz import surrogates

    if ratio is not None and not 0 < ratio < 1:
        raise BadInput(f"--target-ratio {ratio:g}", "give a share between 0 and 1, e.g. 0.5")
    if surrogate is not None and isinstance(surrogates.get(surrogate), surrogates.Rectangular):
        raise BadInput("--what-if-surrogate rectangular", "give its widths with --what-if")


def _select(table: "pd.DataFrame", layer: str | None, timestep: str | None) -> "pd.DataFrame":
    if layer is not None:
        names = dict(zip(table["layer"], table["name"], strict=True))
        table = table[table["layer"].isin(layer_numbers(layer, names))]
    if timestep is not None:
        table = table[table["timestep"].isin(timestep_numbers(timestep, int(table["timestep"].max())))]
    return table


def _make_folders(out: Path | None, save: Path | None, inputs: list[Path]) -> None:
    from mpdviz.accumulations.storage import check_place
    from mpdviz.system.files import exists, make_folder
    from mpdviz.system.outputs import claim

    if save is not None:
        for path in inputs:
            if exists(save) and exists(path) and save.samefile(path):
                raise BadInput(f"--save {save} is a file that is read", "choose another name")
        check_place(save)
    if out is not None:
        from mpdviz.figures import style  # noqa: F401 - whether there can be figures is known before the work

        claim(out, "inspect")
    if save is not None:
        make_folder(save.parent)


def _inputs(source: Source) -> list[Path]:
    """The files that are read."""
    data = source.data or ""
    own = [Path(data.removeprefix("npz:"))] if data.startswith("npz:") else []
    return [*(source.paths or []), *own]


def write(recording: "Recording", table: "pd.DataFrame", out: Path, figure_format: str) -> list[Path]:
    """Write tables and figures into a folder that exists; every file that was written."""
    from mpdviz import figures
    from mpdviz.figures import origin
    from mpdviz.figures.tables import Tables
    from mpdviz.system.files import write_text
    from mpdviz.system.progress import bar

    written = []
    for name, frame in (("table", table), ("layers", recording.layer_table())):
        write_text(out / f"{name}.csv", frame.to_csv(index=False))
        written.append(out / f"{name}.csv")
    tables = Tables.of(recording.layers, table)
    each = [figures.FIGURES[name].each_layer for name in figures.supported(tables)]
    with bar(
        "drawing", FILES * sum(table["layer"].nunique() if layers else 1 for layers in each)
    ) as progress:
        for path in figures.write(tables, out, figure_format, origin=origin.of(recording.contents)):
            written.append(path)
            progress.update()
    return written
