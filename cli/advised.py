"""What `mpdviz advise` shows: the answer, then of each layer that fails a table of remedies and words."""

from collections.abc import Sequence
from itertools import chain

from rich.text import Text

from mpdviz.analysis.advice import Advice, bounds, mean_gain
from mpdviz.analysis.cases import Remedy
from mpdviz.analysis.remedies import spanned

from .fitted import Column, print_table
from .formats import print_markdown
from .output import aside, console, spelled, wrapped
from .output import show as say

NOTHING = "nothing that is known here helps"
MARK, NARROWEST = "- ", 20


def show(advice: Advice, *, markdown: bool = False, verbose: bool = False) -> None:
    """Print it.

    Args:
        advice: what to show.
        markdown: for an issue or a pull request, in one table.
        verbose: also the remedies that do not help.
    """
    if markdown:
        print(advice.answer())
        found = list(chain.from_iterable(advice.of(number, all_=verbose) for number in advice.order))
        if found:
            print()
            of = Column("layer", [f"{one.layer} ({one.name})" for one in found])
            print_markdown([of, *_columns(found, verbose=verbose)])
        return
    say(advice.answer(), "bold")
    dropped: list[str] = []
    for number in advice.order:
        failed = [verdict for verdict in advice.failed if verdict.layer == number]
        print()
        say(f"layer {number} ({failed[0].name})", "bold")
        for verdict in failed:
            _hang(f"{verdict.check}: {spelled(verdict.measured)} (limit {verdict.limit:g})")
        found = advice.of(number, all_=verbose)
        counted = [remedy for remedy in found if remedy.after is not None]
        if counted:
            dropped += print_table(
                _columns(counted, verbose=verbose), ["" if one.helps else "dim" for one in counted]
            )
        for remedy in found:
            if remedy.after is None:
                _hang(remedy.action)
        if not found:
            _hang(NOTHING)
    if dropped:
        columns = ", ".join(dict.fromkeys(dropped))
        aside(f"no room for {columns}: a wider terminal has them, --format csv everything")


def _columns(remedies: Sequence[Remedy], *, verbose: bool) -> list[Column]:
    columns = [
        Column("remedy", [one.remedy if one.after else one.action for one in remedies], "text"),
        Column("lowest available", [_share(one) for one in remedies], "text"),
        Column("mean gain", [_gain(one) for one in remedies], "text"),
        Column("kappa", [_kappa(one) for one in remedies], "text", keep=1),
    ]
    if verbose:
        columns.append(Column("helps", ["yes" if one.helps else "no" for one in remedies], "text"))
    return columns


def _share(remedy: Remedy) -> str:
    after = "-" if remedy.after is None else bounds(*remedy.after.lowest)
    return f"{bounds(*remedy.before.lowest)} -> {'about ' * (remedy.how == 'predicted')}{after}"


def _gain(remedy: Remedy) -> str:
    before, _ = mean_gain(remedy.before)
    after = ["-"] if remedy.after is None else list(dict.fromkeys(map(_number, mean_gain(remedy.after))))
    return f"{_number(before)} -> {'-'.join(after)}"


def _number(value: float) -> str:
    return "not measured" if value != value else f"{value:.3f}"


def _kappa(remedy: Remedy) -> str:
    import numpy as np

    return spanned(np.array(remedy.kappa)) if remedy.kappa else "-"


def _hang(text: str) -> None:
    """A line behind a mark; what does not fit goes on below it, in line."""
    screen = console()
    for number, line in enumerate(wrapped(Text(text), max(screen.width - len(MARK), NARROWEST))):
        head = Text(" " * len(MARK) if number else MARK)
        screen.print(head + line, no_wrap=True, overflow="ignore", crop=False)
