"""Charts of a recording: its map, the potentials of a cell, and what each layer does (no torch)."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from mpdviz.figures.style import ABOVE, BELOW, INSIDE, PREDICTIONS, UNKNOWN
from mpdviz.report.charts.parts import ROW, Spec, axis, depth, labelled, layer_axis, lines, spec, timesteps

DASHES = ([6, 3], [2, 2], [8, 2, 2, 2], [1, 0], [4, 1])
SIDES = ("below", "available", "above")
MOST_LABELLED = 14
"""Timesteps beyond which the map's cells have no room for their numbers."""


def available_map(table: pd.DataFrame) -> Spec:
    """Layer x timestep: the available share on a scale from 0 to 100 % whatever the data.

    The signals `chosen_layer` and `chosen_timestep` mark a cell.

    Args:
        table: `layer, name, timestep, available_ratio`.
    """
    rows = labelled(table[["layer", "name", "timestep", "available_ratio"]])
    rows["said"] = [f"{100 * r:.1f}" if r == r else "not measured" for r in rows["available_ratio"]]
    chosen = [alt.param(name=name, value=0) for name in ("chosen_layer", "chosen_timestep")]
    marked = "datum.layer == chosen_layer && datum.timestep == chosen_timestep"
    base = alt.Chart(rows).encode(
        x=alt.X("timestep:O", axis=axis("timestep", labelAngle=0, orient="top", labelOverlap=True)),
        y=layer_axis(rows),
        tooltip=[
            alt.Tooltip("label:N", title="layer"),
            alt.Tooltip("timestep:O"),
            alt.Tooltip("said:N", title="available, %"),
        ],
    )
    cells = base.mark_rect(cursor="pointer", strokeWidth=3).encode(
        color=alt.condition(
            "isValid(datum.available_ratio)",
            alt.Color(
                "available_ratio:Q",
                scale=alt.Scale(domain=[0, 1], scheme="viridis"),
                legend=alt.Legend(
                    title="available",
                    format=".0%",
                    values=[0, 0.25, 0.5, 0.75, 1],
                    orient="bottom",
                    direction="horizontal",
                    gradientLength=220,
                ),
            ),
            alt.value(UNKNOWN),
        ),
        stroke=alt.condition(marked, alt.value("#D55E00"), alt.value(None)),
    )
    height = max(60, ROW * rows["layer"].nunique())
    drawn: Any = cells
    if rows["timestep"].nunique() <= MOST_LABELLED:
        text = base.mark_text(fontSize=10, cursor="pointer").encode(
            text="said:N",
            color=alt.condition(
                "isValid(datum.available_ratio) && datum.available_ratio < 0.6",
                alt.value("#FFFFFF"),
                alt.value("#000000"),
            ),
        )
        drawn = alt.layer(cells, text)
    return spec(drawn.add_params(*chosen).properties(width="container", height=height))


def distribution(sources: Sequence[str]) -> Spec:
    """Potentials of a layer and timestep with an interval around the threshold; the page fills the data in.

    Data sets `bars` (left, right, density, part), `predicted` (source, v, density), `band` (low, high),
    `marks` (v, what); the signals `x_low`, `x_high` are the ends of the axis.

    Args:
        sources: the predictions there are, by name.
    """
    scale = alt.Scale(domain=[alt.ExprRef("x_low"), alt.ExprRef("x_high")], nice=False, clamp=True)
    colours = alt.Scale(domain=["below", "inside", "above"], range=[BELOW, INSIDE, ABOVE])
    x = alt.X("left:Q", scale=scale, axis=axis("membrane potential v before the reset"))
    band = (
        alt.Chart(alt.NamedData("band"))
        .mark_rect(color=INSIDE, opacity=0.15, clip=True)
        .encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    )
    bars = (
        alt.Chart(alt.NamedData("bars"))
        .mark_rect(clip=True, stroke=None)
        .encode(
            x=x,
            x2="right:Q",
            y=alt.Y("density:Q", axis=axis("density", format="~g", tickCount=4)),
            y2=alt.datum(0),
            color=alt.Color("part:N", scale=colours, legend=alt.Legend(title=None, orient="top")),
        )
    )
    legend = alt.Legend(title="predicted", orient="top", columns=2, symbolType="stroke", symbolSize=300)
    told = legend if sources else None
    hues = alt.Scale(domain=sources, range=[PREDICTIONS[name][2] for name in sources])
    dashes = alt.Scale(domain=sources, range=DASHES[: len(sources)])
    predicted = (
        alt.Chart(alt.NamedData("predicted"))
        .mark_line(strokeWidth=1.5, clip=True)
        .encode(
            x=alt.X("v:Q", scale=scale),
            y="density:Q",
            stroke=alt.Stroke("source:N", scale=hues, legend=told),
            strokeDash=alt.StrokeDash("source:N", scale=dashes, legend=told),
        )
    )
    marks = (
        alt.Chart(alt.NamedData("marks"))
        .mark_rule(strokeWidth=2, clip=True)
        .encode(
            x=alt.X("v:Q", scale=scale),
            strokeDash=alt.StrokeDash(
                "what:N",
                scale=alt.Scale(domain=["threshold", "interval", "recorded"], range=[[2, 3], [1, 0], [6, 4]]),
                legend=alt.Legend(title=None, orient="bottom", symbolType="stroke", symbolSize=300),
            ),
        )
    )
    drawn = (
        alt.layer(band, bars, predicted, marks)
        .resolve_scale(stroke="independent", strokeDash="independent")
        .add_params(alt.param(name="x_low", value=-1), alt.param(name="x_high", value=2))
        .properties(width="container", height=240)
    )
    # Rows to begin with: of no rows the axis would have no extent, which the browser's console complains of.
    return spec(drawn) | {
        "datasets": {
            "bars": [{"left": 0, "right": 1, "density": 1, "part": "inside"}],
            "band": [{"low": 0, "high": 1}],
            "predicted": [{"source": "", "v": 0, "density": 0}],
            "marks": [{"v": 0.5, "what": "threshold"}],
        }
    }


def sides(table: pd.DataFrame) -> Spec:
    """Below, available and above as shares of a layer's potentials, all timesteps together."""
    columns = [f"{side}_ratio" for side in SIDES]
    weight = table["count"] - table["nonfinite"]
    weighted = labelled(table).assign(**{column: table[column] * weight for column in columns}, weight=weight)
    known = weighted[weighted["available_ratio"].notna()]
    sums = known.groupby(["layer", "label"], as_index=False)[[*columns, "weight"]].sum()
    for column in columns:
        sums[column] = sums[column] / sums["weight"]
    long = sums.melt(["layer", "label"], columns, "side", "share")
    long["side"] = long["side"].str.removesuffix("_ratio")
    long["order"] = long["side"].map({side: place for place, side in enumerate(SIDES)})
    drawn = (
        alt.Chart(long)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X(
                "share:Q", scale=alt.Scale(domain=[0, 1]), axis=axis("share of potentials", format=".0%")
            ),
            y=layer_axis(long),
            color=alt.Color(
                "side:N",
                scale=alt.Scale(domain=list(SIDES), range=[BELOW, INSIDE, ABOVE]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            order="order:Q",
            tooltip=["label:N", "side:N", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(width="container", height=max(60, ROW * long["layer"].nunique()))
    )
    return spec(drawn)


def by_depth(
    table: pd.DataFrame, column: str, title: str, *, log: bool = False, percent: bool = False
) -> Spec:
    """A column over layers, one line a timestep.

    Args:
        table: `layer, name, timestep` and the column.
        column: what to draw; rows without a value are left out.
        title: of its axis, with the unit.
        log: a logarithmic axis; what is not positive is left out.
        percent: values are shares.
    """
    rows = labelled(table[["layer", "name", "timestep", column]]).dropna(subset=[column])
    if log:
        rows = rows[rows[column] > 0]
    scale = alt.Scale(zero=True)
    if log and len(rows):
        ends = [float(rows[column].min()) / 1.3, float(rows[column].max()) * 1.3]
        scale = alt.Scale(type="log", domain=ends, nice=False)
    form = ".0%" if percent else "~g"
    values = alt.Axis(title=title, format=form, tickCount=4, gridOpacity=0.4)
    drawn = (
        lines(rows)
        .encode(
            x=depth(),
            y=alt.Y(f"{column}:Q", scale=scale, axis=values),
            color=timesteps(),
            tooltip=["label:N", "timestep:O", alt.Tooltip(f"{column}:Q", format=".4g")],
        )
        .properties(width="container", height=220)
    )
    return spec(drawn)
