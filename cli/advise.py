"""`mpdviz advise`: what to do about layers that fail a check, and what that would do to their potentials."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpdviz.errors import unknown_name

from .check import LimitOptions
from .completion import names
from .formats import EXPORTS
from .options import takes
from .output import hint, note, say, wrote
from .source import Source, prepared, record, told

if TYPE_CHECKING:
    from mpdviz.analysis.advice import Advice
    from mpdviz.api import Recording
    from mpdviz.config import RunConfig

HELP = """Say what to do about layers that are starved, or whose interval is too wide: another width,
shape, strategy, threshold or batch-norm scale, each with the available share and the mean gain that the
recorded potentials would have then, before -> after.

CKPT is what `mpdviz inspect` takes. A layer needs a remedy where it fails a check of `mpdviz check`, whose
limits can be set. --out writes the remedies as arms for `mpdviz compare --arms`, which trains them against
the network as it was."""

FORMATS = ("table", *EXPORTS, "markdown")


@takes(LimitOptions, "limits")
@takes(Source, "source")
def advise(
    source: Source,
    target_ratio: Annotated[float, typer.Option(help="available ratio to reach", metavar="X")] = 0.5,
    verbose: Annotated[bool, typer.Option("--verbose", help="also remedies that do not help")] = False,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="table, json, csv, parquet, latex or markdown",
            metavar="NAME",
            autocompletion=names(FORMATS),
        ),
    ] = "table",
    out: Annotated[
        Path | None, typer.Option(help="write arms for mpdviz compare --arms (.toml)", metavar="FILE")
    ] = None,
    limits: Any = None,
) -> None:
    """Check everything, record, advise, write, print."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    from mpdviz.analysis.advisor import check_target
    from mpdviz.analysis.limits import Limits

    check_target(target_ratio)
    chosen = Limits(**vars(limits))
    if out is not None:
        from mpdviz.analysis.arms import check_place

        check_place(out)
    inspection = prepared(source)
    recording = record(source, inspection)
    if recording is None:
        return
    advice = recording.advice(target_ratio, chosen, epsilon=source.epsilon)
    written = None if out is None else _write(out, advice, recording, inspection.config)
    if format_ in EXPORTS:
        EXPORTS[format_](advice.table())
    else:
        from . import advised

        advised.show(advice, markdown=format_ == "markdown", verbose=verbose)
    if out is not None and written:
        wrote(written, out.parent, verbose=verbose)
        say(f"mpdviz compare --arms {out} --seeds 0-4 --out DIR trains them side by side")
    elif out is not None:
        why = "no remedy is a setting of a run" if inspection.config is not None else _foreign(source)
        note("note:", f"no arms were written: {why}")
    for line in told(source, inspection):
        note("", line)
    if format_ == "table" and out is None and advice.order and inspection.config is not None:
        hint("--out advice.toml: arms that mpdviz compare --arms trains")


def _foreign(source: Source) -> str:
    remedy = "give its checkpoint" if source.model is None else "set the remedy in your own code"
    return f"a run's settings are known of checkpoints of mpdviz train alone; {remedy}"


def _write(out: Path, advice: "Advice", recording: "Recording", config: "RunConfig | None") -> list[Path]:
    """The files of arms that were written; none where the settings of the run are not known."""
    from mpdviz.analysis import arms
    from mpdviz.system.files import make_folder

    if config is None or not advice.order:
        return []
    make_folder(out.parent)
    return arms.write(out, advice, recording.layers, config)
