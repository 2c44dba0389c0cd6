"""`mpdviz report`: one HTML file about networks, runs and studies, for whoever has a browser."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mpdviz.errors import BadInput

from .options import takes
from .output import note, say, show
from .source import Source, options_of, prepared, record, told

HELP = """Write one HTML file that shows where neurons get their gradient: the answer in a sentence, findings
with remedies, a map of layers and timesteps, potentials under an interval that can be dragged.

CKPT is any number of checkpoints, run folders, folders of `mpdviz compare --strategies` and recordings
(.npz); with --model, the weights of your own network. The file holds all it needs: it opens in any browser,
and asks nobody for anything."""


@takes(Source, "source")
def report(
    source: Source,
    out: Annotated[Path, typer.Option(help="file to write", metavar="FILE")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="its heading (default: what it is of)")] = None,
) -> None:
    """Check everything, record, write."""
    from mpdviz import report as reports

    reports.check_place(out)
    command = shlex.join(["mpdviz", *sys.argv[1:]])
    paths = source.paths or []
    if source.model is not None:
        inspection = prepared(source)
        recording = record(source, inspection)
        if recording is None:
            return
        for line in told(source, inspection):
            note("", line)
        heading = title or source.model
        sections = [reports.of_recording(source.model, recording.contents), reports.of_making(command)]
    else:
        if not paths:
            raise BadInput("nothing to report on", "give a checkpoint, run folder, comparison or recording")
        from mpdviz.inspection.reports import PreparedReport

        heading = title or ", ".join(path.name or str(path) for path in paths)
        made = PreparedReport(paths, options_of(source)).sections(command)
        if made is None:
            return
        sections = made
    reports.write(out, heading, sections)
    for section in sections:
        for words in reports.answers(section):
            show(f"{section.title}: {words}")
    say(f"wrote {out}; open it in a browser")
