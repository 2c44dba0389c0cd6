"""Lines on a terminal that are drawn again and again in the same place."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.text import Text

from .output import note

PAUSE = 0.25
"""Seconds between two drawings."""
LEAST = ConsoleDimensions(20, 5)
"""What is drawn on, however small the terminal is."""


class Screen:
    """A view on stderr."""

    def __init__(self, live: Live) -> None:
        """Draw by means of `live`."""
        self._live, self._drawn = live, 0.0

    def draw(self, lines: Callable[[ConsoleDimensions], Sequence[Text]], *, at_once: bool = True) -> None:
        """Draw lines over what was there.

        Args:
            lines: gives them for a terminal of a size.
            at_once: even if something was drawn a moment ago.
        """
        if not at_once and time.monotonic() - self._drawn < PAUSE:
            return
        width, height = self._live.console.size
        # A line less: the cursor stands below the view.
        size = ConsoleDimensions(max(width, LEAST.width), max(height - 1, LEAST.height))
        self._live.update(Text("\n").join(lines(size)), refresh=True)
        self._drawn = time.monotonic()


def can_draw(instead: str) -> bool:
    """Whether stderr is a terminal that can be drawn on; if not, that is said, and what is done instead."""
    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        return True
    note("[yellow]mpdviz:[/]", f"stderr is no terminal that can be drawn on; {instead} instead")
    return False


@contextmanager
def drawing() -> Iterator[Screen]:
    """A view on stderr inside the block; what it showed last stays, lines that others print go above it."""
    console = Console(stderr=True, highlight=False, emoji=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield Screen(live)
