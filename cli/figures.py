"""`mpdviz figures`: the figures and tables of a paper from run folders and checkpoints."""

from pathlib import Path
from typing import Annotated

import typer

from .output import tell

HELP = """Draw what a paper on surrogate widths shows: potentials and intervals, available ratio by layer and
over training, widths, loss and accuracy, predicted spread, gradient by depth, paired differences, accuracy
against kappa; and LaTeX tables.

RUNS are folders of `mpdviz train --out`, of `mpdviz compare --strategies ... --out`, folders that hold such
folders, and checkpoints (.pt), on one data set, e.g. several strategies with several seeds each. Every figure
comes with its numbers (.csv) and its caption (.txt)."""


def figures(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS", help="run folders and checkpoints")],
    out: Annotated[Path, typer.Option(help="folder for figures and tables", metavar="DIR")],
    format_: Annotated[
        str, typer.Option("--format", help="pdf, svg, png or several: pdf,svg", metavar="F,F,...")
    ] = "pdf",
    style: Annotated[str, typer.Option(help="ijcai, neurips or talk")] = "ijcai",
    layer: Annotated[
        str | None,
        typer.Option(help="number or name for the potentials (default: lowest available ratio)", metavar="L"),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(help="whose potentials to draw, at most four (default: the first)", metavar="S,S,..."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="record only the first N samples", metavar="N")] = None,
    batch_size: Annotated[int, typer.Option(help="samples a forward pass")] = 64,
    device: Annotated[str, typer.Option(help="cpu, cuda, ... or auto")] = "auto",
    model: Annotated[
        str | None,
        typer.Option(help="of networks of your own: the function that runs name", metavar="MODULE:FUNCTION"),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="name every file that is written")] = False,
) -> None:
    """Check everything, record the best checkpoints, write."""
    from mpdviz.figures import paper
    from mpdviz.figures.paper import look
    from mpdviz.figures.style import check_format
    from mpdviz.inspection.study import LATER, study
    from mpdviz.system import outputs
    from mpdviz.system.progress import bar, whole

    formats = list(dict.fromkeys(format_.split(",")))
    for name in formats:
        check_format(name)
    look.get(style)
    outputs.check(out, "figures")
    rows = None if strategies is None else strategies.split(",")
    written = []
    with whole():
        made = study(
            runs,
            layer=layer,
            strategies=rows,
            limit=limit,
            batch_size=batch_size,
            device=device,
            model=model,
        )
        if made is None:
            return
        outputs.claim(out, "figures")
        with bar("drawing", LATER) as progress:
            for path in paper.write(made, out, formats, style):  # all, whoever reads their names
                written.append(path)
                progress.update()
    for name, reason in paper.skipped(made).items():
        tell("", f"skipped {name}: {reason}")
    for path in written if verbose else ():
        print(path)
    print(f"wrote {len(written)} files to {out}")
