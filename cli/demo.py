"""`mpdviz demo`: all of it once, on data that need no download; what `make demo` runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mpdviz.errors import BadInput

from .compared import print_sides
from .output import note, say, show

if TYPE_CHECKING:
    from mpdviz.compare.side_by_side import Sides

HELP = """Train a fixed-surrogate and an MPD-AGL network on scikit-learn's handwritten digits (about 15
seconds each on two cores), inspect both, compare them and write a report.

Everything lies in --out. Give the same command again to go on after an interruption."""

STRATEGIES = ("fixed", "mpd-agl")
REPORT = "report.html"
LATER = 160
"""Steps of all that comes behind the trainings, by and large: for the bar."""


def demo(
    out: Annotated[Path, typer.Option(help="folder for what comes out", metavar="DIR")] = Path("demo"),
    epochs: Annotated[int | None, typer.Option(help="of each training (default: 30)")] = None,
) -> None:
    """Train, inspect, compare, report."""
    from mpdviz.report import check_place
    from mpdviz.system.outputs import claim
    from mpdviz.system.progress import whole
    from mpdviz.system.rank import world_size

    if world_size() > 1:
        raise BadInput("`mpdviz demo` in several processes", "start it once, without torchrun")
    claim(out, "demo")
    check_place(out / REPORT)
    settings = {} if epochs is None else {"epochs": epochs}
    with whole(parts=len(STRATEGIES), later=LATER):
        trained = [_train(strategy, out / strategy, settings) for strategy in STRATEGIES]
        inspected = [_inspect(out / strategy) for strategy in STRATEGIES]
        sides = _compare(out)
        report = _report(out)
    for line in trained:
        say(escape(line))
    print_sides(sides.layers)
    for line in sides.notes:
        note("", line)
    show(f"tables and figures: {', '.join(map(str, [*inspected, out / 'compare']))}")
    show(f"report: {report}; open it in a browser")


def _train(strategy: str, folder: Path, settings: dict[str, int]) -> str:
    """Train, or go on; the result in a line."""
    from mpdviz.system.progress import bar
    from mpdviz.training import lines, prepare

    run = prepare({"strategy": strategy, **settings}, out=folder, resume=True)
    with bar(f"training {strategy}") as progress:
        result = run.fit(on_step=lambda now: progress.show(now.done, now.of, lines.step_note(now)))
    return lines.last_line(run.config, result)


def _inspect(folder: Path) -> Path:
    """Tables and figures of a run; the folder that they are in."""
    from mpdviz.inspection import inspect
    from mpdviz.system.outputs import claim

    from .inspect import write

    out = claim(folder / "inspect", "inspect")
    recording = inspect(folder)
    if recording is not None:
        write(recording, recording.table(), out, "png")
    return out


def _compare(out: Path) -> "Sides":
    """The two runs side by side, their tables and the figure written."""
    from mpdviz.compare import checkpoints
    from mpdviz.system.outputs import claim

    folder = claim(out / "compare", "compare")
    sides = checkpoints([out / strategy for strategy in STRATEGIES])
    if sides is None:  # of a process that does not lead; there is but one
        raise BadInput("nothing was compared", "start it once, without torchrun")
    list(sides.write(folder))
    return sides


def _report(out: Path) -> Path:
    """The report on both runs; where it lies."""
    from mpdviz import report
    from mpdviz.inspection.reports import PreparedReport

    path = out / REPORT
    made = PreparedReport([out / strategy for strategy in STRATEGIES]).sections(f"mpdviz demo --out {out}")
    report.write(path, "mpdviz demo: a fixed surrogate and MPD-AGL", made or [])
    return path
