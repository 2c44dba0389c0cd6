"""Runs seen from outside, by their files alone: how each stands, and whether it goes on (no torch)."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.reading import is_finished
from mpdviz.runs.status import Status, last_known
from mpdviz.runs.studies import read_study, run_of_study
from mpdviz.system.files import exists
from mpdviz.system.places import COMPARISON, runs_below

QUIET = 60
"""Seconds without news after which that is said: an evaluation or a compilation gives none."""
Phase = Literal["waits", "runs", "finished", "stopped"]


@dataclass(frozen=True)
class Seen:
    """A run at a moment."""

    folder: RunFolder
    phase: Phase
    """`waits`: nothing of it is there yet; `stopped`: not finished, and nobody trains it any more."""
    status: Status | None
    """What it last said, if anything."""
    quiet: float | None = None
    """Seconds for which there has been no news of it, where it has said anything."""


class Follower:
    """Looks at one run again and again, and remembers what it saw when a file is damaged or not there."""

    def __init__(self, path: Path) -> None:
        """Follow the run in `path`; nothing is read yet."""
        self.folder = RunFolder(path)
        self._status: Status | None = None
        self._changed: float | None = None

    def look(self) -> Seen:
        """How the run stands now."""
        now = last_known(self.folder)
        if now is not None and now != self._status:
            # Another machine's clock is trusted no further than for the first look.
            first = self._status is None
            self._changed = time.monotonic() - (max(time.time() - now.written, 0.0) if first else 0.0)
            self._status = now
        quiet = None if self._changed is None else time.monotonic() - self._changed
        return Seen(self.folder, self._phase(), self._status, quiet)

    def _phase(self) -> Phase:
        if is_finished(self.folder):
            return "finished"
        if self._status is None:
            return "runs" if exists(self.folder.config) else "waits"
        gone = self._status.ended is not None or self._status.has_gone()
        return "stopped" if gone else "runs"


def followed(path: Path) -> tuple[list[Follower], bool]:
    """The run in a folder, or all those of a study or in a folder of runs, and whether it is the latter.

    Raises:
        BadInput: the folder holds none, or a damaged study.
    """
    if exists(path / COMPARISON):
        plan = read_study(path)
        return [
            Follower(run_of_study(path, arm.name, point, seed))
            for arm in plan.arms
            for point in plan.points()
            for seed in plan.seeds
        ], True
    folder = RunFolder(path)
    if exists(folder.config) or exists(folder.status):
        return [Follower(path)], False
    below = runs_below(path)
    if not below:
        what = "is not there" if not exists(path) else "holds no run"
        raise BadInput(f"{path} {what}", "give the folder of a run or a comparison (`mpdviz train --out`)")
    return [Follower(one) for one in below], True


def news(seen: Seen) -> str:
    """Whether a run goes on, in words; empty where it does, and says so."""
    status = seen.status
    if seen.phase == "finished":
        return "finished"
    if seen.phase == "waits":
        return "not begun"
    if status is None:
        return "it has said nothing yet"
    if status.ended is not None:
        return f"{status.ended} in epoch {status.epoch}; go on with `resume`"
    quiet = "" if seen.quiet is None else f"no news for {duration(seen.quiet)}"
    who = f"process {status.process}"
    if seen.phase == "stopped":
        return f"{quiet}; {who} on this host has gone; go on with `resume`"
    if seen.quiet is None or seen.quiet < QUIET:
        return ""
    if status.has_gone() is None:
        return f"{quiet}; {who} is one of {status.host}, whether it still runs cannot be told from here"
    return f"{quiet}; {who} on this host still runs"


def duration(seconds: float) -> str:
    """A time in words: `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, left = divmod(minutes, 60)
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {left} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
