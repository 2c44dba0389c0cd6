"""`mpdviz train`: train a network and leave a run folder."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .settings import takes_settings

HELP = """Train a spiking network and leave a run folder (config, metrics, widths, checkpoints).

Without options: MPD-AGL on scikit-learn's handwritten digits, about a quarter of a minute on two cores.
Ctrl-C finishes the step under way and saves; --resume goes on from there."""


@takes_settings
def train(
    settings: dict[str, Any],
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of settings, or a name from `mpdviz list recipes`; options override it",
            metavar="FILE",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="run folder (default: runs/DATA-MODEL-STRATEGY-seedN)", metavar="DIR")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="continue the run in --out; its settings need not be repeated")
    ] = False,
) -> None:
    """Train, with a bar, a line an epoch and the result."""
    from mpdviz.system.progress import bar
    from mpdviz.training import lines, prepare

    run = prepare(settings, out=out, resume=resume, recipe=recipe)
    with bar("training") as progress:

        def say(line: str) -> None:
            if run.team.leads:
                progress.print(line)

        say(lines.first_line(run.config, run.folder.path))
        result = run.fit(
            on_step=lambda now: progress.show(now.done, now.of, lines.step_note(now)),
            on_epoch=lambda row: say(lines.epoch_line(row)),
        )
    if run.team.leads:
        print(lines.last_line(run.config, result))
