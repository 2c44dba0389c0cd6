"""`mpdviz train`: train a network and leave a run folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .settings import takes_settings

if TYPE_CHECKING:
    from mpdviz.runs.state import Result
    from mpdviz.training.run import Run

HELP = """Train a spiking network and leave a run folder (config, metrics, widths, checkpoints).

Without options: MPD-AGL on scikit-learn's handwritten digits, about a quarter of a minute on two cores.
Ctrl-C finishes the step under way and saves; --resume goes on from there. `mpdviz watch RUN` looks on from
elsewhere."""


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
    live: Annotated[
        bool, typer.Option("--live", help="show the loss and every layer's available share as they change")
    ] = False,
) -> None:
    """Train, with a bar, a line an epoch and the result."""
    from mpdviz.training import lines, prepare

    from . import screen

    run = prepare(settings, out=out, resume=resume, recipe=recipe)
    shown = live and run.team.leads and screen.can_draw("a line an epoch is printed")
    result = _in_a_view(run) if shown else in_lines(run)
    if run.team.leads:
        print(lines.last_line(run.config, result))


def in_lines(run: "Run") -> "Result":
    """Train with a bar and a line an epoch."""
    from mpdviz.system.progress import bar
    from mpdviz.training import lines

    with bar("training") as progress:

        def say(line: str) -> None:
            if run.team.leads:
                progress.print(line)

        say(lines.first_line(run.config, run.folder.path))
        return run.fit(
            on_step=lambda now: progress.show(now.done, now.of, lines.step_note(now)),
            on_epoch=lambda row: say(lines.epoch_line(row)),
        )


def _in_a_view(run: "Run") -> "Result":
    """Train with a view that changes, and stays as it is in the end."""
    from mpdviz.training import lines

    from . import screen, view

    title = lines.first_line(run.config, run.folder.path)
    with screen.drawing() as screen_:

        def show(*, at_once: bool) -> None:
            screen_.draw(
                lambda size: view.of_run(title, run.news.status(), "", size.width, size.height),
                at_once=at_once,
            )

        show(at_once=True)
        result = run.fit(
            on_step=lambda _: show(at_once=False),
            on_epoch=lambda _: show(at_once=True),
        )
        show(at_once=True)
        return result
