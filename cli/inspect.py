"""`mpdviz inspect`: record a checkpoint's membrane potentials over a data set; table and figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpdviz.errors import BadInput, unknown_name

from .options import takes
from .output import FORMATS, console, print_table, say, tell
from .select import layer_numbers, timestep_numbers
from .source import Source, prepared, record

if TYPE_CHECKING:
    import pandas as pd

    from mpdviz.api import Recording

HELP = """Record the membrane potentials of a trained network: which share gets its spike gradient, by layer
and timestep.

CKPT is a checkpoint of `mpdviz train`, a released one of the MPD-AGL reference (give --data then), one or
more recordings written with --save, or, with --model, the weights of your own network."""

FIGURE_FORMATS = ("png", "pdf", "svg")


@takes(Source, "source")
def inspect(
    source: Source,
    layer: Annotated[
        str | None,
        typer.Option(help="only these: numbers, ranges, names; one layer is sketched", metavar="L"),
    ] = None,
    timestep: Annotated[str | None, typer.Option(help="only these: numbers, ranges", metavar="T")] = None,
    target_ratio: Annotated[
        float | None, typer.Option(help="also the narrowest kappa that reaches this available ratio")
    ] = None,
    what_if_surrogate: Annotated[
        str | None, typer.Option(help="also ratio and gain under this surrogate shape", metavar="NAME")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="every row and column on the terminal")] = False,
    format_: Annotated[
        str, typer.Option("--format", help="table, json, csv, parquet, latex or markdown")
    ] = "table",
    save: Annotated[Path | None, typer.Option(help="write the recording (.npz)", metavar="FILE")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for tables and figures", metavar="DIR")] = None,
    figure_format: Annotated[
        str | None, typer.Option(help="of the figures in --out: png (default), pdf or svg")
    ] = None,
) -> None:
    """Check everything, record, print, write."""
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
    recording = record(source, inspection)
    if recording is None:
        return
    table = _select(_with_what_ifs(recording, target_ratio, what_if_surrogate), layer, timestep)
    # Files first: whoever reads the table may leave before its end.
    if save is not None:
        recording.save(save)
        say(f"wrote {save}")
    if out is not None:
        named = [source.model] if source.model is not None else []
        _write(recording, table, out, figure_format or "png", [*named, *inspection.notes])
    print_table(table, format_, full=full, left_out=recording.left_out)
    chosen = table["layer"].unique()
    if layer is not None and len(chosen) == 1 and format_ == "table":
        from .sketch import sketch

        console().print(sketch(table, recording.histogram(int(chosen[0]))))
    _notes(recording)


def _with_what_ifs(recording: "Recording", ratio: float | None, surrogate: str | None) -> "pd.DataFrame":
    table = recording.table()
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


def _notes(recording: "Recording") -> None:
    """What the table does not hold, and what to know of what it does."""
    for name, why in recording.left_out.items():
        tell("left out:", f"{name}: {why}")
    for why, columns in _not_measured(recording).items():
        tell("not measured:", f"{columns}: {why}")
    for number, layer in recording.layers.items():
        if layer.repeated_input:
            say(
                f"note: layer {number} ({layer.info.name}) gets the same current at every timestep, so its "
                "spread grows with 1 + decay, not with sqrt(1 + decay^2) as the predictions take it"
            )


def _not_measured(recording: "Recording") -> dict[str, str]:
    """Columns, and the layers that lack them, by the reason."""
    found: dict[str, dict[str, list[str]]] = {}
    for number, columns in recording.not_measured.items():
        for column, why in columns.items():
            # Predictions say by their own absence that there is nothing to predict from.
            if not (column == "predicted_ratio" and not recording.layers[number].info.gamma):
                found.setdefault(why, {}).setdefault(column, []).append(str(number))
    everywhere = len(recording.layers)
    return {
        why: ", ".join(
            column if len(numbers) == everywhere else f"{column} of layer {', '.join(numbers)}"
            for column, numbers in columns.items()
        )
        for why, columns in found.items()
    }


def _write(
    recording: "Recording", table: "pd.DataFrame", out: Path, figure_format: str, notes: list[str]
) -> None:
    from mpdviz import figures
    from mpdviz.figures import origin
    from mpdviz.figures.tables import Tables
    from mpdviz.system.files import write_text

    for name, frame in (("table", table), ("layers", recording.layer_table())):
        write_text(out / f"{name}.csv", frame.to_csv(index=False))
        say(f"wrote {out / name}.csv")
    told = origin.of(recording.contents, notes)
    for path in figures.write(Tables.of(recording.layers, table), out, figure_format, origin=told):
        say(f"wrote {path}")
