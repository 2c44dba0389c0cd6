"""Where things are printed: results on stdout, everything else on stderr."""

import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from .app import app

WIDTH = 80
"""Characters a line where there is no terminal, and COLUMNS does not say."""

BARS, ASCII_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
"""Heights from nothing to the full line, for a stdout that can print them, and for one that cannot."""

_noted: set[str] = set()


def console(*, stderr: bool = False) -> Console:
    """The console for results (stdout) or for everything else (stderr)."""
    # Of a dumb terminal the width is taken only together with a height.
    made = Console(stderr=stderr, highlight=False, emoji=False, width=_width(stderr=stderr), height=WIDTH)
    # Who reads a file or a pipe line by line gets a message as one line.
    made.soft_wrap = stderr and not made.is_terminal
    return made


def _width(*, stderr: bool) -> int:
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size((sys.stderr if stderr else sys.stdout).fileno()).columns or WIDTH
    except (OSError, ValueError, AttributeError):
        return WIDTH


def printable(text: str) -> bool:
    """Whether stdout has all these characters."""
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # what a view on the screen stands in for
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def heights() -> str:
    """Characters of growing height that stdout can print."""
    return BARS if printable(BARS) else ASCII_BARS


def wrapped(text: Text, width: int) -> list[Text]:
    """`text` in lines of at most `width` characters; a longer word has a line to itself, whole."""
    offsets, start = [], 0
    for word in re.finditer(r"\S+", text.plain):
        if word.start() > start and cell_len(text.plain[start : word.end()]) > width:
            offsets.append(word.start())
            start = word.start()
    lines = list(text.divide(offsets))
    for line in lines:
        line.rstrip()
    return lines


def _print(text: Text, screen: Console) -> None:
    for line in [text] if screen.soft_wrap else wrapped(text, screen.width):
        screen.print(line, no_wrap=True, overflow="ignore", crop=False)


def show(text: str, style: str = "") -> None:
    """Words on stdout as they stand, wrapped between words."""
    _print(Text(text, style), console())


def say(text: str) -> None:
    """A line on stderr, rich markup allowed; on a terminal wrapped between words."""
    sys.stdout.flush()
    _print(Text.from_markup(text, emoji=False), console(stderr=True))


def tell(head: str, text: str) -> None:
    """A message of the library on stderr, behind `head` (rich markup), its settings spelled as options."""
    say(f"{head} {escape(spelled(text))}".lstrip())


def aside(text: str) -> None:
    """What to know of what was shown, on stderr."""
    sys.stdout.flush()
    _print(Text(text, "dim"), console(stderr=True))


def hint(text: str) -> None:
    """What else there is, to whoever reads at a terminal."""
    if console().is_terminal:
        aside(text)


def note(head: str, text: str) -> None:
    """What `tell` does, once for each text."""
    if text not in _noted:
        _noted.add(text)
        tell(head, text)


def begin() -> None:
    """Forget what was noted: another command begins."""
    _noted.clear()


def wrote(paths: Iterable[Path], folder: Path, *, verbose: bool) -> None:
    """Say how many files were written, and where; with `verbose` each of them too."""
    written = list(paths)
    if verbose:
        for path in written:
            say(f"wrote {escape(str(path))}")
    say(told(written, folder))


def told(written: list[Path], folder: Path) -> str:
    """How many files were written, and where, in rich markup."""
    return f"wrote {len(written)} file{'s' * (len(written) != 1)} to {escape(str(folder))}"


def spelled(text: str) -> str:
    """A message of the library with its settings as options: `batch_size` becomes --batch-size.

    What stands in backticks and is no option loses them.
    """
    return re.sub(r"`(\w+)`", lambda match: _options().get(match[1], match[1]), text)


@cache
def _options() -> dict[str, str]:
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        parameter.name: parameter.opts[0]
        for command in commands.values()
        for parameter in command.params
        if parameter.param_type_name == "option"
    }
