"""What can go wrong on the user's side: one line saying what, where and the remedy, and an exit code.

Settings and arguments are named in backticks, `batch_size`; the command line spells them --batch-size.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MpdvizError(Exception):
    """Something only the user can mend; the message is one line and names the remedy.

    The command line prints the message and exits with `exit_code`; the library lets it propagate.
    """

    exit_code = 2

    def __init__(self, problem: str, remedy: str) -> None:
        """Join what is wrong (and where) with what to do about it into one line."""
        super().__init__(" ".join(f"{problem}; {remedy}".split()))
        self.problem = problem


class BadInput(MpdvizError):
    """A file, setting or name that cannot be used as it is."""


class NotFinite(MpdvizError):
    """Numbers that are NaN or infinite where only finite ones make sense: a check that failed."""

    exit_code = 1


class Diverged(MpdvizError):
    """Training whose loss or gradient stopped being finite."""


class Interrupted(MpdvizError):
    """Work stopped by a signal, its state saved."""

    exit_code = 130


class TeamLost(MpdvizError):
    """Work of several processes of which one ended before the others."""

    exit_code = 1


class MpdvizWarning(UserWarning):
    """A result that holds, but not the way the user may expect; said once."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that no registry knows, with the closest known one suggested."""
    names = sorted(known)
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return BadInput(f"unknown {kind} {name!r}", f"{hint}choose one of: {', '.join(names)}")
