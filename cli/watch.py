"""`mpdviz watch`: look on while a run trains, from another terminal or another machine."""

import time
from collections.abc import Sequence
from dataclasses import fields
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.text import Text

from .output import console, say, show, spelled

if TYPE_CHECKING:
    from mpdviz.runs.following import Follower, Seen

HELP = """Look on while a run trains: loss, speed, time left, and every layer's available share.

RUN is a run folder, or the folder of a comparison or of runs, of which each gets a line. Only files are read,
so it may lie on a disk that another machine writes to. It ends with the run: 0 if that is finished, 1 if it
has stopped before."""
PAUSE = 1.0
"""Seconds between two looks."""
TALL = 10_000
"""Lines where nothing limits them."""


def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="folder of a run, a comparison or runs")],
    once: Annotated[bool, typer.Option("--once", help="print how it stands now, and end")] = False,
) -> int:
    """Look on; 1 if a run has stopped before its end."""
    from mpdviz.runs.following import followed

    from . import screen

    followers, several = followed(run)
    if once:
        seen = [follower.look() for follower in followers]
        width = console().width
        _print(_lines(seen, several, run, width, TALL), seen, several)
        return _code(seen)
    if not screen.can_draw("a line for every change is printed"):
        return _in_lines(followers, several, run)
    with screen.drawing() as view:
        while True:
            seen = [follower.look() for follower in followers]
            looked = seen
            view.draw(lambda size: _lines(looked, several, run, size.width, size.height))  # noqa: B023 - at once
            if _is_over(seen):
                break
            time.sleep(PAUSE)
    _print([], seen, several)
    return _code(seen)


def _in_lines(followers: "Sequence[Follower]", several: bool, run: Path) -> int:
    """Follow without a terminal: what each run says whenever it goes into another epoch or state."""
    from mpdviz.runs.following import news

    from . import view

    told: dict[Path, tuple[object, ...]] = {}
    while True:
        seen = [follower.look() for follower in followers]
        for one in seen:
            epoch = None if one.status is None else one.status.epoch
            key = (one.phase, epoch)
            if told.get(one.folder.path) != key:
                told[one.folder.path] = key
                words = spelled(news(one)) or "runs"
                say(escape(view.one_line(_name(one, run, several), one.status, words)))
        if _is_over(seen):
            break
        time.sleep(PAUSE)
    _print([], seen, several)
    return _code(seen)


def _lines(seen: "Sequence[Seen]", several: bool, run: Path, width: int, height: int) -> list[Text]:
    from mpdviz.runs.following import news

    from . import view

    if not several:
        (one,) = seen
        said = "" if one.phase == "finished" else spelled(news(one))  # its result stands below
        return view.of_run(_title(one), one.status, said, width, height)
    lines = [Text(_counted(seen), "bold")]
    # What changes first, where not all of them fit.
    order = ("runs", "stopped", "waits", "finished")
    shown = seen if len(seen) < height else sorted(seen, key=lambda one: order.index(one.phase))[: height - 2]
    longest = max(len(_name(one, run, several)) for one in shown)
    for one in shown:
        name = f"{_name(one, run, several):{longest}}"
        line = view.one_line(name, one.status, spelled(news(one)) or "runs", width)
        lines.append(Text(line, "yellow" if one.phase == "stopped" else ""))
    if len(shown) < len(seen):
        lines.append(Text(f"and {len(seen) - len(shown)} more", "dim"))
    return lines


def _title(one: "Seen") -> str:
    from mpdviz.errors import BadInput
    from mpdviz.runs.reading import read_config
    from mpdviz.training.lines import first_line

    try:
        return first_line(read_config(one.folder), one.folder.path)
    except BadInput:  # of a run that is about to begin, or about to be removed
        return str(one.folder.path)


def _name(one: "Seen", run: Path, several: bool) -> str:
    path = one.folder.path
    return path.relative_to(run).as_posix().removeprefix("runs/") if several else str(path)


def _counted(seen: "Sequence[Seen]") -> str:
    phases = [one.phase for one in seen]
    counts = {"finished": "finished", "runs": "running", "stopped": "stopped", "waits": "not begun"}
    said = [f"{phases.count(phase)} {word}" for phase, word in counts.items() if phase in phases]
    return f"{len(seen)} run{'s' * (len(seen) != 1)}: {', '.join(said)}"


def _print(lines: Sequence[Text], seen: "Sequence[Seen]", several: bool) -> None:
    """What is left on stdout: the lines, and the results of finished runs."""
    for line in lines:
        console().print(line, no_wrap=True, overflow="ignore", crop=False)
    for one in seen:
        if one.phase == "finished" and not several:
            show(_result(one))


def _result(one: "Seen") -> str:
    from mpdviz.runs.reading import read_config, read_result
    from mpdviz.runs.state import Result
    from mpdviz.training.lines import last_line

    reached, config = read_result(one.folder), read_config(one.folder)
    # A run of an older version noted fewer of these.
    defaults: dict[str, Any] = {field.name: nan for field in fields(Result)}
    defaults |= {"folder": one.folder.path, "epoch": 0, "epochs": config.epochs}
    return last_line(config, Result(**{name: reached.get(name, value) for name, value in defaults.items()}))


def _is_over(seen: "Sequence[Seen]") -> bool:
    """Whether nothing more is to be expected: of a study, runs that wait are begun by whoever runs it."""
    return all(one.phase in ("finished", "stopped") for one in seen)


def _code(seen: "Sequence[Seen]") -> int:
    return int(any(one.phase == "stopped" for one in seen))
