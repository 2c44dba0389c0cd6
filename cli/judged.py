"""What `mpdviz check` shows: the layers that fail, worst first, what was measured, what may help."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mpdviz.analysis import summary
from mpdviz.analysis.limits import Limits
from mpdviz.analysis.verdicts import FAILED, NOT_MEASURED, OK, Verdict

from .output import console, spelled, wrapped
from .output import show as say
from .select import ranges

if TYPE_CHECKING:
    from mpdviz.api import Recording

MARKS = {FAILED: ("FAIL", "bold red"), OK: ("ok", "green"), NOT_MEASURED: ("not measured", "yellow")}
INDENT, NARROWEST = 2, 20


def show(
    recording: "Recording", verdicts: Sequence[Verdict], limits: Limits, *, verbose: bool = False
) -> None:
    """Print how many layers fail, then each of them.

    Args:
        recording: what was judged.
        verdicts: every check of every layer.
        limits: what still passes.
        verbose: every check, not only those that fail.
    """
    say(_answer(verdicts), "bold")
    for number in _worst_first(recording, limits, verdicts):
        of_layer = [verdict for verdict in verdicts if verdict.layer == number]
        shown = [verdict for verdict in of_layer if verbose or verdict.outcome == FAILED]
        if not shown:
            continue
        print()
        say(f"layer {number} ({of_layer[0].name})", "bold")
        for verdict in shown:
            mark, style = MARKS[verdict.outcome]
            _hang(mark, style, f"{verdict.check}: {spelled(verdict.measured)}{_limit(verdict)}")
            if verdict.remedy:
                _hang(" " * len(mark), "", spelled(verdict.remedy))
    if not verbose:
        _say_unknown([verdict for verdict in verdicts if verdict.outcome == NOT_MEASURED])


def _answer(verdicts: Sequence[Verdict]) -> str:
    failed = [verdict for verdict in verdicts if verdict.outcome == FAILED]
    unknown = sum(verdict.outcome == NOT_MEASURED for verdict in verdicts)
    layers, bad = ({verdict.layer for verdict in some} for some in (verdicts, failed))
    measured = len(verdicts) - unknown
    of = f"{len(layers)} layer{'s' * (len(layers) != 1)}"
    passed = f"{measured - len(failed)} of {measured} checks passed"
    fails = f"{len(bad)} of {of} fail{'s' * (len(bad) == 1)}" if bad else f"None of {of} fails"
    return f"{fails}: {passed}" + (f", {unknown} not measured." if unknown else ".")


def _worst_first(recording: "Recording", limits: Limits, verdicts: Sequence[Verdict]) -> list[int]:
    """Layers with what is not finite first, then by their lowest available share."""
    broken = {v.layer for v in verdicts if v.outcome == FAILED and v.check.startswith("nonfinite")}
    rows = summary.by_layer(recording.layers, limits).set_index("layer")["lowest_ratio"].fillna(2)
    return sorted(rows.index, key=lambda number: (number not in broken, rows[number], number))


def _limit(verdict: Verdict) -> str:
    return f" (limit {verdict.limit:g})" if verdict.outcome == FAILED else ""


def _hang(mark: str, style: str, text: str) -> None:
    """A line behind its mark; what does not fit goes on below it, in line."""
    screen = console()
    start = " " * INDENT + mark + "  "
    lines = wrapped(Text(text), max(screen.width - len(start), NARROWEST))
    for number, line in enumerate(lines):
        head = Text(start if number == 0 else " " * len(start), style)
        screen.print(head + line, no_wrap=True, overflow="ignore", crop=False)


def _say_unknown(verdicts: Sequence[Verdict]) -> None:
    """What was not measured, once a check and reason, with the layers that it is about."""
    alike: dict[tuple[str, str], list[int]] = {}
    for verdict in verdicts:
        alike.setdefault((verdict.check, verdict.sentence), []).append(verdict.layer)
    if alike:
        print()
    for (check, why), layers in alike.items():
        say(f"not measured: {check} of layer{'s' * (len(layers) > 1)} {ranges(layers)}: {why}")
