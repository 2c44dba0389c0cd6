"""Judging a recording: what is wrong with which layer, in words (no torch); `checks` holds the checks."""

import math
from dataclasses import dataclass
from typing import Literal

from mpdviz.analysis import metrics
from mpdviz.analysis.checks import CHECKS, Subject, remedy_of
from mpdviz.analysis.limits import Limits

OK: Literal["ok"] = "ok"
FAILED: Literal["failed"] = "failed"
NOT_MEASURED: Literal["not measured"] = "not measured"
PREDICTIONS = ("paper", "correlated")
"""Those that a check holds against the potentials."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check of one layer."""

    layer: int
    name: str
    check: str
    outcome: Literal["ok", "failed", "not measured"]
    value: float
    """What was measured, at the worst timestep; NaN where nothing was."""
    limit: float
    sentence: str
    """In words: the number, the timestep, what it means, and `remedy` where it failed; or why nothing was
    measured."""
    remedy: str = ""
    """What may help, where it failed."""

    @property
    def passed(self) -> bool:
        """False only where the check failed: True says nothing of what was not measured."""
        return self.outcome != FAILED

    @property
    def measured(self) -> str:
        """`sentence` without the remedy."""
        return self.sentence.removesuffix(f"; {self.remedy}")


def judge(layers: metrics.Layers, limits: Limits | None = None) -> list[Verdict]:
    """Every check of every layer, in order.

    Args:
        layers: a recording.
        limits: what still passes; None takes the defaults.
    """
    limits = limits or Limits()
    table = metrics.table(layers, PREDICTIONS, compared=False)
    verdicts = []
    for row in metrics.layer_table(layers).to_dict("records"):
        number, name = row["layer"], row["name"]
        subject = Subject(table[table["layer"] == number], row, layers[number])
        for check, measure in CHECKS.items():
            limit = getattr(limits, check)
            value, passes, sentence = measure(subject, limit)
            outcome = NOT_MEASURED if math.isnan(value) else OK if passes else FAILED
            remedy = remedy_of(check, subject) if outcome == FAILED else ""
            sentence = f"{sentence}; {remedy}" if remedy else sentence
            verdicts.append(Verdict(number, name, check, outcome, value, limit, sentence, remedy))
    return verdicts
