"""Forest plot: how far each strategy's test accuracy lies from the first's, paired by seed."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.analysis import paired
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look
from mpdviz.figures.paper.study import Study
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import OUTLINE

LONG = 20
"""Characters of a name beyond which a column has no room for names, intervals and numbers."""


def lacking(study: Study) -> str | None:
    """Why there is nothing to show, if so."""
    if len(study.variants) < 2:
        return "one strategy alone, nothing to take a difference from"
    if numbers(study)["n"].eq(0).all():
        return f"no seed in common with {study.variants[0]}"
    return None


def numbers(study: Study) -> pd.DataFrame:
    """Differences in test accuracy from the first variant, as fractions.

    Returns:
        Columns `variant, against, n, seeds, difference, std, low, high, p, p_holm, detectable`: mean and
        sample standard deviation of the differences at the `n` seeds that both have, its 95 % confidence
        interval (Student's t), p of the paired t test alone and adjusted by Holm for all of them, and the
        smallest difference that would have been told with 80 % power; NaN where `n` < 2 or without spread.
    """
    table = study["accuracy"]
    by_seed = {
        str(variant): dict(zip(own["seed"], own["test_accuracy"], strict=True))
        for variant, own in table.groupby("variant", sort=False)
    }
    ordered = {variant: by_seed[variant] for variant in study.variants}
    table = paired.family(ordered, study.variants[0]).rename(columns={"arm": "variant"})
    return table.drop(columns="sentence")


def interval(low: float, high: float) -> str:
    """A confidence interval in percentage points."""
    return f"[{100 * low:+.1f}, {100 * high:+.1f}]".replace("-", "\N{MINUS SIGN}")


def differences(study: Study, look: Look) -> Figure:
    """Draw a row a strategy: its mean difference, the interval, and both in numbers on the right."""
    values, looks = numbers(study), study.looks
    long = max(len(own.label) for own in looks.values()) > LONG
    with look.settings():
        width = look.page if long else look.column
        figure = Figure(figsize=look.size(width, 0.24 * len(values) + 0.9), layout="constrained")
        axis = figure.subplots()
        axis.axvline(0, color=OUTLINE, lw=0.7 * look.scale)
        right = axis.get_yaxis_transform()
        for place, row in enumerate(values.to_dict("records")):
            own, mean = looks[row["variant"]], 100 * row["difference"]
            if pd.notna(row["low"]):
                axis.plot(
                    [100 * row["low"], 100 * row["high"]],
                    [place, place],
                    color=own.colour,
                    lw=1.2 * look.scale,
                )
            axis.plot([mean], [place], color=own.colour, marker=own.marker, ls="none", ms=4.5 * look.scale)
            axis.text(1.02, place, _told(row), transform=right, va="center", fontsize=look.small)
        axis.set_yticks(range(len(values)), [looks[variant].label for variant in values["variant"]])
        axis.set_ylim(len(values) - 0.4, -0.6)
        ends = np.append(100 * values[["difference", "low", "high"]].to_numpy(np.float64), 0)
        low, high = np.nanmin(ends), np.nanmax(ends)
        margin = 0.08 * (high - low) or 1
        axis.set_xlim(low - margin, high + margin)
        reference = f"from {looks[study.variants[0]].label} (points)"
        axis.set_xlabel(("\n" if long else " ").join(["difference in accuracy", reference]))
        look.finish(axis)
        axis.grid(visible=False)
        axis.tick_params(axis="y", length=0)
    return figure


def _told(row: Mapping[Hashable, Any]) -> str:
    """A difference in numbers, and at how many seeds."""
    if row["n"] == 0:
        return "no seed in common"
    mean = f"{100 * row['difference']:+.1f}".replace("-", "\N{MINUS SIGN}")
    known = interval(row["low"], row["high"]) if pd.notna(row["low"]) else "(no interval)"
    p = p_value(row["p_holm"])
    return f"{mean} {known}, n = {row['n']}" + (
        f", p {p}" if p.startswith("<") else f", p = {p}" if p else ""
    )


def p_value(p: float) -> str:
    """A p in two digits; nothing for none."""
    if pd.isna(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def detectable(difference: float) -> str:
    """The smallest difference that could have been told, in points; a dash for none."""
    if pd.isna(difference):
        return "--"
    return f"{100 * difference:.1f}" if difference <= 1 else "> 100"


def caption(study: Study) -> str:
    """What the figure shows."""
    more = len(study.variants) > 2
    return (
        "Test accuracy of the epoch that was best on validation: difference from "
        f"{study.looks[study.variants[0]].label} in percentage points, paired by seed. Markers: means; bars: "
        "95 % confidence intervals (Student's t), none for one seed or for differences without spread"
        f"{'; each by itself, not widened for their number' if more else ''}. p: of the paired t test"
        f"{', adjusted by Holm for the number of comparisons' if more else ''}. Error bars of single "
        f"strategies are in the table of accuracies. {study.describe()}"
    )


FIGURE = StudyFigure(
    "difference in test accuracy, paired by seed",
    differences,
    numbers,
    caption,
    needs=("accuracy",),
    lacking=lacking,
)
