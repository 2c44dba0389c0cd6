"""`mpdviz claims`: what MPD-AGL says of available shares, held against runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpdviz.errors import unknown_name

from .compared import arms, number
from .completion import names
from .fitted import Column, print_table
from .formats import EXPORTS
from .output import aside, show, wrote

if TYPE_CHECKING:
    import pandas as pd

HELP = """Hold available shares of runs, in evaluation and in training, against what the MPD-AGL paper says.

Each run's best checkpoint is recorded twice: as evaluation runs it, and with the batch statistics that
training sees. Beside the shares stand the closed form of Theorems 1 and 2 and the prediction with the reset
and the currents' correlation over time. Strategies are compared where all other settings are the same.

RUNS are folders of `mpdviz train --out` and of `mpdviz compare`, and checkpoints (.pt), of one network and
data set."""

FORMATS = ("table", *EXPORTS)


def claims(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS", help="run folders and checkpoints")],
    split: Annotated[str, typer.Option(help="train, val, test or all", metavar="NAME")] = "test",
    limit: Annotated[int | None, typer.Option(help="only the first N samples", metavar="N")] = None,
    batch_size: Annotated[int, typer.Option(help="samples a forward pass", metavar="N")] = 64,
    device: Annotated[str, typer.Option(help="cpu, cuda, ... or auto", metavar="NAME")] = "auto",
    full: Annotated[bool, typer.Option("--full", help="a row for each layer and timestep")] = False,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="table, json, csv, parquet or latex",
            metavar="NAME",
            autocompletion=names(FORMATS),
        ),
    ] = "table",
    out: Annotated[Path | None, typer.Option(help="folder for tables and a figure", metavar="DIR")] = None,
    figure_format: Annotated[
        str, typer.Option(help="of the figure in --out: png, pdf or svg", metavar="NAME")
    ] = "png",
    verbose: Annotated[bool, typer.Option("--verbose", help="name every file that is written")] = False,
) -> None:
    """Check everything, record every run twice, write, print."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    from mpdviz.inspection.claims import claims as held
    from mpdviz.system import outputs
    from mpdviz.system.progress import whole

    if out is not None:
        from mpdviz.figures import closed_form
        from mpdviz.figures.style import check_format

        check_format(figure_format)
        outputs.check(out, "claims")
    with whole():
        found = held(runs, split=split, limit=limit, batch_size=batch_size, device=device)
    if found is None:
        return
    written = []
    if out is not None:
        outputs.claim(out, "claims")
        written = list(closed_form.write(found, out, figure_format))
    if format_ in EXPORTS:
        EXPORTS[format_](found.layers if full else found.steps)
    else:
        for told in found.sentences:
            show(f"{told}.", "bold")
        print()
        _print(found.layers if full else found.steps, full=full)
    if out is not None:
        wrote(written, out, verbose=verbose)


def _print(table: "pd.DataFrame", *, full: bool) -> None:
    """Shares in percent, observed and predicted, a group a variant."""
    variants = table["variant"].tolist()
    starts = [row for row in range(1, len(variants)) if variants[row] != variants[row - 1]]
    once = [name if row in {0, *starts} else "" for row, name in enumerate(variants)]
    spread = [f"± {number(100 * std, '.1f')}" for std in table["available_std"]]
    columns = [arms("runs", once, variants), Column("mode", table["mode"].tolist(), "text")]
    if full:
        layers = [f"{n} {name}" for n, name in zip(table["layer"], table["name"], strict=True)]
        columns.append(Column("layer", layers, "name"))
    columns += [
        Column("t", [str(t) for t in table["timestep" if full else "step"]]),
        Column("n", [str(n) for n in table["n"]], keep=2),
        Column("available", [number(share, "share") for share in table["available"]]),
        Column("± std", spread, keep=1),
        Column("closed form", [number(share, "share") for share in table["closed_form"]]),
        Column("correlated", [number(share, "share") for share in table["correlated"]], keep=3),
    ]
    dropped = print_table(columns, breaks=starts)
    if dropped:
        aside(f"no room for {', '.join(dropped)}: --format csv has everything")
