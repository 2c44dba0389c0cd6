"""One bar for all the work of a command: downloads, recording, training, figures.

Whoever works opens a `bar`. Inside a block that has one already it is a part of that: the bar on the screen
goes on, and counts the part's steps among its own, so that it runs from left to right once.

    with whole():
        with bar("recording", 6) as progress: ...
        with bar("drawing", 24) as progress: ...
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text
from typing_extensions import override

from mpdviz.system.rank import rank


class _Amount(ProgressColumn):
    """`done/total`, in bytes where the work is a download; nothing while the total is not known."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn()

    @override
    def render(self, task: Task) -> Text:
        """The amount of one bar."""
        if task.fields["as_bytes"]:
            return self._bytes.render(task)
        return Text("" if task.total is None else f"{int(task.completed)}/{int(task.total)}")


class Bar:
    """Work done so far, in the form of a progress bar that pooch asks for."""

    def __init__(self, whole: "_Whole", label: str, total: float) -> None:
        """Start at 0 of `total`; what it counts in is its own affair."""
        self._whole, self._label, self._total, self._done, self._note = whole, label, total, 0.0, ""
        self._shown()

    @property
    def total(self) -> float:
        """All that is to be done."""
        return self._total

    @total.setter
    def total(self, value: float) -> None:
        self._total = value
        self._shown()

    def update(self, done: float = 1) -> None:
        """So much more is done."""
        self._done += done
        if not self._whole.as_bytes:  # steps that nobody foresaw
            self._total = max(self._total, self._done)
        self._shown()

    def show(self, done: float, total: float, note: str) -> None:
        """So much is done in all, out of `total`; `note` says what that has come to."""
        self._done, self._total, self._note = done, total, note
        self._shown()

    def print(self, line: str) -> None:
        """A line on stderr that stays, over the bar."""
        self._whole.progress.console.print(line, markup=False)

    def reset(self) -> None:
        """Back to nothing done."""
        self._done = 0.0
        self._shown()

    def close(self) -> None:
        """No more work; the bar ends with the block that shows it."""

    def _shown(self) -> None:
        self._whole.show(self._label, self._done, self._total, self._note)


class _Whole:
    """The bar on the screen, and what is known of the work that it stands for."""

    def __init__(self, progress: Progress, *, as_bytes: bool) -> None:
        self.progress, self.as_bytes = progress, as_bytes
        self._task = progress.add_task("", total=None, visible=False, note="", as_bytes=as_bytes)
        self._finished, self._parts, self._later = 0.0, 1, 0.0

    def expect(self, parts: int, later: float) -> None:
        """So many parts as large as the first, and so many steps behind them."""
        self._parts, self._later = parts, later

    def show(self, label: str, done: float, total: float, note: str) -> None:
        """The part under way has done so much of `total`."""
        whole = self._finished + total * max(self._parts, 1) + (self._later if self._parts else 0)
        if not self._parts:  # behind the parts: what was expected of it gives way to what it has
            whole = self._finished + max(total, self._later)
        self.progress.update(
            self._task,
            description=label,
            completed=self._finished + done,
            total=whole if total else None,
            note=note,
            visible=True,
        )

    def remove(self) -> None:
        """Take it off the screen."""
        self.progress.remove_task(self._task)

    def finish(self, total: float) -> None:
        """A part is through."""
        self._finished += total
        if self._parts:
            self._parts -= 1
        else:
            self._later = max(self._later - total, 0)


_open: list[_Whole] = []
"""The bar of this process, where one is on the screen."""


@contextmanager
def bar(label: str, total: float = 0, *, as_bytes: bool = False) -> Iterator[Bar]:
    """A bar on stderr inside the block; nothing is drawn unless stderr is a terminal, or by a second rank.

    Args:
        label: what is being done.
        total: how much there is to do; may be set later.
        as_bytes: show amounts as bytes, else as `done/total`.
    """
    if not _open:
        with _on_screen(as_bytes=as_bytes) as shown:
            yield Bar(shown, label, total)
    elif as_bytes:  # bytes and steps do not add up: a line under the bar, for as long as it takes
        shown = _Whole(_open[-1].progress, as_bytes=True)
        yield Bar(shown, label, total)
        shown.remove()
    else:
        part = Bar(_open[-1], label, total)
        yield part
        _open[-1].finish(part.total)


@contextmanager
def whole(parts: int = 1, later: float = 0) -> Iterator[None]:
    """One bar for all the bars inside the block.

    Args:
        parts: how many bars of about the size of the first one there will be; see `expect`.
        later: how many steps there will be behind them.
    """
    with _on_screen(as_bytes=False) as shown:
        shown.expect(parts, later)
        yield


def expect(parts: int = 1, later: float = 0) -> None:
    """Say what is still to come to the bar that is on the screen, if any; arguments as of `whole`."""
    if _open:
        _open[-1].expect(parts, later)


@contextmanager
def _on_screen(*, as_bytes: bool) -> Iterator[_Whole]:
    console = Console(stderr=True, highlight=False, emoji=False)
    if not console.is_terminal:
        console.soft_wrap = True  # lines stay whole
    columns = ("{task.description}", BarColumn(), _Amount(), "{task.fields[note]}", TimeRemainingColumn())
    # A terminal that cannot move its cursor would get a line for every step.
    hidden = rank() > 0 or not console.is_terminal or console.is_dumb_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        shown = _Whole(progress, as_bytes=as_bytes)
        _open.append(shown)
        try:
            yield shown
        finally:
            _open.pop()
