"""Advice: remedies for the layers that fail a check, and how they are told (no torch)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.analysis.cases import Effect, Remedy
from mpdviz.analysis.verdicts import Verdict
from mpdviz.analysis.words import percent


@dataclass(frozen=True, eq=False)
class Advice:
    """What may be done about each layer that fails a check."""

    remedies: Sequence[Remedy]
    """Layer by layer, the worst first; of each layer what helps most first."""
    failed: Sequence[Verdict]
    """The checks that failed, of the layers in the same order."""
    layers: int
    """How many layers were judged."""
    target: float
    """Available ratio that was to be reached."""

    @property
    def order(self) -> tuple[int, ...]:
        """Numbers of the layers that fail, the one to begin with first."""
        return tuple(dict.fromkeys(verdict.layer for verdict in self.failed))

    def of(self, layer: int, *, all_: bool = False) -> list[Remedy]:
        """Remedies of one layer, by its number: those that help, or all."""
        return [remedy for remedy in self.remedies if remedy.layer == layer and (all_ or remedy.helps)]

    def answer(self) -> str:
        """In a sentence or two: how many layers need something, and what to begin with."""
        counted = f"{self.layers} layer{'s' * (self.layers != 1)}"
        if not self.layers:
            return "Nothing was recorded."
        if not self.order:
            return f"None of {counted} needs a remedy: every check that could be measured passed."
        number = self.order[0]
        needs = f"{len(self.order)} of {counted} need{'s' * (len(self.order) == 1)} a remedy"
        first = next(iter(self.of(number)), None)
        called = f"layer {number} ({next(v.name for v in self.failed if v.layer == number)})"
        if first is None:
            return f"{needs}. Nothing that is known here helps {called}."
        if first.after is None:
            return f"{needs}. Begin with {called}: {first.action}."
        return f"{needs}. Begin with {called}: {first.action}; lowest available share {effect(first)}."

    def table(self) -> pd.DataFrame:
        """A row a remedy and timestep, also of those that do not help; numbers are NaN where there are none.

        Returns:
            `layer`, `name`, `finding`, `rank` (from 1), `remedy`, `timestep`, `kappa`, `available_ratio`,
            `available_ratio_low`, `available_ratio_high` (after), `mean_gain`, `mean_gain_low`,
            `mean_gain_high` (after), `how` (`exact`, `bounds`, `predicted`, `words`), `helps`, `action`,
            `settings` (of a run), `source`.
        """
        rows: list[dict[str, Any]] = []
        for number in self.order:
            for rank, remedy in enumerate(self.of(number, all_=True), start=1):
                rows += _rows(remedy, rank)
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"layer": "int64", "rank": "int64"})

    def __repr__(self) -> str:
        lines = [self.answer()]
        for number in self.order:
            lines += [f"  layer {number}: {remedy.remedy}: {effect(remedy)}" for remedy in self.of(number)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = ("layer", "finding", "remedy", "lowest available share", "what to do")
        head = "".join(f"<th>{escape(cell)}</th>" for cell in cells)
        rows = ""
        for remedy in chain.from_iterable(map(self.of, self.order)):
            values = str(remedy.layer), remedy.finding, remedy.remedy, effect(remedy), remedy.action
            rows += f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
        body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        return f"<p><b>{escape(self.answer())}</b></p>{body}"


COLUMNS = (
    *("layer", "name", "finding", "rank", "remedy", "timestep", "kappa"),
    *("available_ratio", "available_ratio_low", "available_ratio_high"),
    *("mean_gain", "mean_gain_low", "mean_gain_high", "how", "helps", "action", "settings", "source"),
)


def mean_gain(of: Effect) -> tuple[float, float]:
    """Bounds of the mean gain, averaged over the timesteps where it is known; NaN where it is at none."""
    low, high = (gain[np.isfinite(gain)] for gain in (of.gain_low, of.gain_high))
    return (float(low.mean()), float(high.mean())) if low.size and high.size else (math.nan, math.nan)


def effect(remedy: Remedy) -> str:
    """The lowest available share over the timesteps, before and after, in words."""
    if remedy.after is None:
        return remedy.action
    word = "" if remedy.how in ("exact", "bounds") else f" ({remedy.how})"
    return f"{bounds(*remedy.before.lowest)} -> {bounds(*remedy.after.lowest)}{word}"


def bounds(low: float, high: float) -> str:
    """Bounds of a share in words: one number where they are written alike."""
    if math.isinf(low):
        return "not measured"
    one, other = percent(low), percent(high)
    return one if one == other else f"{one.removesuffix(' %')}-{other}"


def _rows(remedy: Remedy, rank: int) -> list[dict[str, Any]]:
    same = {
        "layer": remedy.layer,
        "name": remedy.name,
        "finding": remedy.finding,
        "rank": rank,
        "remedy": remedy.remedy,
        "how": remedy.how,
        "helps": remedy.helps,
        "action": remedy.action,
        "settings": ", ".join(f"{name}={value}" for name, value in remedy.settings.items()),
        "source": remedy.source,
    }
    before, after = remedy.before, remedy.after
    rows = []
    for t, (ratio, gain) in enumerate(zip(before.ratio_low, before.gain_low, strict=True)):
        row = same | {"timestep": t + 1, "available_ratio": ratio, "mean_gain": gain}
        row["kappa"] = remedy.kappa[t] if remedy.kappa else np.nan
        for end in ("low", "high"):
            row[f"available_ratio_{end}"] = np.nan if after is None else getattr(after, f"ratio_{end}")[t]
            row[f"mean_gain_{end}"] = np.nan if after is None else getattr(after, f"gain_{end}")[t]
        rows.append(row)
    return rows
