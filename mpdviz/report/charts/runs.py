"""Charts of training runs and of strategies over seeds (no torch)."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from mpdviz.report.charts.parts import Spec, axis, by_variant, depth, epochs, labelled, lines, spec, timesteps


def over_training(table: pd.DataFrame) -> Spec:
    """The available share of every layer, mean over timesteps, epoch by epoch."""
    rows = labelled(table).groupby(["epoch", "layer", "label"])["available_ratio"].mean().reset_index()
    order = rows.drop_duplicates("layer").sort_values("layer")["label"].tolist()
    drawn = (
        lines(rows, 20)
        .encode(
            x=epochs(),
            y=alt.Y(
                "available_ratio:Q",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(title="available, mean over timesteps", format=".0%", gridOpacity=0.4),
            ),
            color=alt.Color(
                "label:N", sort=order, scale=alt.Scale(scheme="viridis"), legend=alt.Legend(title="layer")
            ),
            tooltip=["label:N", "epoch:Q", alt.Tooltip("available_ratio:Q", format=".1%")],
        )
        .properties(width="container", height=240)
    )
    return spec(drawn)


def widths(table: pd.DataFrame) -> Spec:
    """Surrogate widths by layer and timestep at an epoch, with a slider over the epochs."""
    rows = labelled(table[["epoch", "layer", "name", "timestep", "kappa"]]).dropna(subset=["kappa"])
    there = sorted(rows["epoch"].unique())
    slider = alt.param(
        name="epoch",
        value=int(there[-1]),
        bind=alt.binding_range(min=int(there[0]), max=int(there[-1]), step=1, name="epoch "),
    )
    drawn = (
        lines(rows)
        .transform_filter("datum.epoch == epoch")
        .encode(
            x=depth(),
            y=alt.Y(
                "kappa:Q",
                scale=alt.Scale(domain=[0, float(rows["kappa"].max()) * 1.05 or 1.0]),
                axis=alt.Axis(title="width kappa, unit of potential", gridOpacity=0.4, tickCount=5),
            ),
            color=timesteps(),
            tooltip=["label:N", "timestep:O", alt.Tooltip("kappa:Q", format=".4g")],
        )
        .add_params(slider)
        .properties(width="container", height=220)
    )
    return spec(drawn)


def curves(metrics: pd.DataFrame, names: Sequence[str], title: str, *, percent: bool = False) -> Spec:
    """Training and validation over epochs, apart: columns `names` of the metrics by `variant`."""
    rows = metrics.melt(["variant", "epoch"], list(names), "of", "value").dropna(subset=["value"])
    rows = rows.groupby(["variant", "epoch", "of"], sort=False)["value"].mean().reset_index()
    rows["of"] = rows["of"].map(lambda name: "training" if name.startswith("train") else "validation")
    rows, colour, _ = by_variant(rows)
    drawn = (
        lines(rows, 16)
        .encode(
            x=epochs(),
            y=alt.Y(
                "value:Q",
                scale=alt.Scale(zero=False),
                axis=alt.Axis(title=title, format=".0%" if percent else "~g", tickCount=5, gridOpacity=0.4),
            ),
            color=colour,
            strokeDash=alt.StrokeDash("of:N", legend=alt.Legend(title=None, symbolType="stroke")),
            tooltip=["variant:N", "of:N", "epoch:Q", alt.Tooltip("value:Q", format=".4g")],
        )
        .properties(width="container", height=220)
    )
    return spec(drawn)


def forest(rows: pd.DataFrame, title: str, *, of: Sequence[str], zero: bool) -> Spec:
    """A value a strategy with its interval: `variant, mean, low, high, n` in percent or points.

    Args:
        rows: NaN ends are no interval.
        title: of the axis.
        of: all variants of the study.
        zero: mark zero, which of differences is none.
    """
    rows, colour, order = by_variant(rows, of=of, legend=False)
    rows["said"] = [f"{mean:.2f}" for mean in rows["mean"]]
    y = alt.Y("variant:N", sort=order, axis=axis("", labelLimit=220))
    base = alt.Chart(rows).encode(y=y)
    tooltip = ["variant:N", alt.Tooltip("mean:Q", format=".3f"), "low:Q", "high:Q", "n:Q"]
    x = alt.X("mean:Q", scale=alt.Scale(zero=zero), axis=alt.Axis(title=title, gridOpacity=0.4))
    parts: list[Any] = [
        base.mark_point(filled=True, size=80, opacity=1).encode(x=x, color=colour, tooltip=tooltip),
        base.mark_text(dy=-11, fontSize=10).encode(x=x, text="said:N"),
    ]
    if rows["low"].notna().any():  # of no interval the axis would have no extent
        parts.insert(0, base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", color=colour))
    if zero:
        line = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[2, 3]).encode(x="zero:Q")
        parts.insert(0, line)
    return spec(alt.layer(*parts).properties(width="container", height=34 * len(rows) + 10))


def by_strategy(table: pd.DataFrame) -> Spec:
    """The available share by layer, one line a strategy: mean over timesteps and seeds."""
    keys = ["variant", "layer", "label"]
    means = labelled(table).groupby(keys, sort=False)["available_ratio"].mean().reset_index()
    means, colour, order = by_variant(means)
    drawn = (
        lines(means, 45)
        .encode(
            x=depth(),
            y=alt.Y(
                "available_ratio:Q",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(title="available, mean over timesteps", format=".0%", gridOpacity=0.4),
            ),
            color=colour,
            shape=alt.Shape("variant:N", sort=order, legend=None),
            tooltip=["variant:N", "label:N", alt.Tooltip("available_ratio:Q", format=".1%")],
        )
        .properties(width="container", height=240)
    )
    return spec(drawn)
