"""The `mpdviz` command: its subcommands, and what becomes of errors."""

import warnings
from collections.abc import Callable
from typing import Any, TextIO

import typer
from rich.markup import escape

from mpdviz.errors import BadInput, MpdvizError, MpdvizWarning
from mpdviz.system.rank import check_environment, rank

from . import (
    advise,
    bench,
    check,
    claims,
    compare,
    convert,
    demo,
    figures,
    inspect,
    listing,
    report,
    rerun,
    train,
    watch,
)
from .app import Command, app
from .output import begin, note, say, tell

COMMANDS: dict[str, tuple[Callable[..., Any], str]] = {
    "demo": (demo.demo, demo.HELP),
    "inspect": (inspect.inspect, inspect.HELP),
    "check": (check.check, check.HELP),
    "advise": (advise.advise, advise.HELP),
    "report": (report.report, report.HELP),
    "compare": (compare.compare, compare.HELP),
    "train": (train.train, train.HELP),
    "watch": (watch.watch, watch.HELP),
    "rerun": (rerun.rerun, rerun.HELP),
    "claims": (claims.claims, claims.HELP),
    "figures": (figures.figures, figures.HELP),
    "convert": (convert.convert, convert.HELP),
    "bench": (bench.bench, bench.HELP),
    "list": (listing.list_, listing.HELP),
}
"""By name, in the order of the help."""

for _name, (_run, _help) in COMMANDS.items():
    # A terminal breaks the lines of a paragraph where it ends itself.
    _paragraphs = (" ".join(paragraph.split()) for paragraph in _help.split("\n\n"))
    app.command(_name, cls=Command, help="\n\n".join(_paragraphs))(_run)

# Some releases of Typer bring their own Click, others use the installed one.
UsageError: Any = typer.BadParameter.__base__


def command() -> int:
    """Run the command line; a user's mistake becomes one line on stderr and an exit code.

    Raises:
        BaseException: whatever else happens; `entry` answers for it.
    """
    warnings.simplefilter("once", MpdvizWarning)
    warnings.showwarning = _show_warning
    begin()
    try:
        check_environment()
        return app(standalone_mode=False) or 0
    except MpdvizError as error:
        # What ends a run ends it in every process of it; bad input may be one process's alone.
        if isinstance(error, BadInput) or rank() == 0:
            tell("[red]mpdviz:[/]", str(error))
        return error.exit_code
    except UsageError as error:
        if error.format_message():  # empty where no command was given: the help is on the screen then
            say(f"[red]mpdviz:[/] {escape(error.format_message().rstrip('.'))}; see `mpdviz --help`")
        return 2
    except typer.Abort as error:
        # Click takes the end of a file for Ctrl-C.
        raise error.__context__ or KeyboardInterrupt from None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, MpdvizWarning):  # libraries' own warnings are for us, not for users
        note("[yellow]mpdviz:[/]", str(message))
