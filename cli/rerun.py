"""`mpdviz rerun`: train a run again, and say whether it came out the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from .output import show, tell

HELP = """Train a run again with the settings in its folder, into another one, and compare: versions, hardware
and git first, then initial weights, data order and metrics to the last digit.

Ends with 0 where everything is equal, and with 1 where anything differs."""


def rerun(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="folder of a run of `mpdviz train`")],
    out: Annotated[
        Path | None, typer.Option(help="new run folder (default: RUN-rerun)", metavar="DIR")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="of a network of your own: its function, as in the run", metavar="MODULE:FUNCTION"),
    ] = None,
) -> int:
    """Train, compare, say; 1 if anything differs."""
    from mpdviz.training import lines
    from mpdviz.training.again import Again

    from .train import in_lines

    again = Again(run, out, model=model)
    leads = again.run.team.leads
    if leads:
        _say_changes(run, again.changes())
    result = in_lines(again.run)
    if not leads:
        return 0
    compared = again.compared()
    print(lines.last_line(again.run.config, result))
    show(str(compared))
    return 0 if compared.equal else 1


def _say_changes(run: Path, changes: Mapping[str, tuple[str, str]] | None) -> None:
    if changes is None:
        tell("", f"what {run} was trained with was not noted: a version before this trained it")
        return
    if not changes:
        tell("", f"versions, hardware, threads and git are as they were for {run}")
        return
    tell("", f"not as it was for {run}:")
    for name, (then, now) in changes.items():
        tell("", f"  {name}: {then} then, {now} now")
    threads = changes.get("threads", ("", ""))[0]
    if threads.isdecimal():
        tell("", f"  (OMP_NUM_THREADS={threads} gives it as many threads again; results depend on them)")
