"""A bar for work that takes a while: downloads, files read for the first time, recording, training."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from mpdviz.system.rank import rank


class Bar:
    """Work done so far, in the form of a progress bar that pooch asks for."""

    def __init__(self, progress: Progress, label: str, total: float) -> None:
        """Start at 0 of `total`; what `progress` counts in is its own affair."""
        self._progress, self._task = progress, progress.add_task(label, total=total, note="")
        self._total = total

    @property
    def total(self) -> float:
        """All that is to be done."""
        return self._total

    @total.setter
    def total(self, value: float) -> None:
        self._total = value
        self._progress.update(self._task, total=value)

    def update(self, done: float = 1) -> None:
        """So much more is done."""
        self._progress.advance(self._task, done)

    def show(self, done: float, total: float, note: str) -> None:
        """So much is done in all, out of `total`; `note` says what that has come to."""
        self._progress.update(self._task, completed=done, total=total, note=note)

    def print(self, line: str) -> None:
        """A line on stderr that stays, over the bar."""
        self._progress.console.print(line, markup=False)

    def reset(self) -> None:
        """Back to nothing done."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """No more work; the bar ends with the block that shows it."""


@contextmanager
def bar(label: str, total: float = 0, *, as_bytes: bool = False) -> Iterator[Bar]:
    """A bar on stderr inside the block; nothing is drawn unless stderr is a terminal, or by a second rank.

    Args:
        label: what is being done.
        total: how much there is to do; may be set later.
        as_bytes: show amounts as bytes, else as `done/total`.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    amount = DownloadColumn() if as_bytes else MofNCompleteColumn()
    columns = ("{task.description}", BarColumn(), amount, "{task.fields[note]}", TimeRemainingColumn())
    hidden = rank() > 0 or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield Bar(progress, label, total)
