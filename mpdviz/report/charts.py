"""The charts of a report, as Vega-Lite by Altair: tables in, charts out (no torch).

Colours are those of the figures. A chart is as wide as the page lets it be; whatever colour says, a position,
a shape or a label says too.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from mpdviz.figures.style import ABOVE, BELOW, INSIDE, UNKNOWN, appearances

Spec = dict[str, Any]
"""A chart as Vega-Lite."""

PREDICTED = "#222222"
SIDES = ("below", "available", "above")
MOST_LABELLED = 14
"""Timesteps beyond which the map's cells have no room for their numbers."""
STARVED = 0.1
"""Share from where on a number of the map is printed light on dark."""
ROW = 22
"""Height of a layer's row, in pixels."""


def _spec(chart: Any) -> Spec:
    made: Spec = chart.to_dict()
    return made


def _axis(title: str, **settings: Any) -> alt.Axis:
    return alt.Axis(title=title, grid=False, **settings)


def _layer_axis(rows: pd.DataFrame) -> alt.Y:
    """Layers from input, at the top, to output."""
    order = rows.drop_duplicates("layer").sort_values("layer")["label"].tolist()
    return alt.Y("label:N", sort=order, axis=_axis("", labelLimit=170, labelOverlap=False))


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `label`: a layer's number and name."""
    return table.assign(label=table["layer"].astype(str) + "  " + table["name"].astype(str))


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
        x=alt.X("timestep:O", axis=_axis("timestep", labelAngle=0, orient="top", labelOverlap=True)),
        y=_layer_axis(rows),
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
    return _spec(drawn.add_params(*chosen).properties(width="container", height=height))


def distribution() -> Spec:
    """Potentials of a layer and timestep with an interval around the threshold; the page fills the data in.

    Data sets `bars` (left, right, density, part), `predicted` (v, density), `band` (low, high), `marks` (v,
    what); the signals `x_low`, `x_high` are the ends of the axis.
    """
    scale = alt.Scale(domain=[alt.ExprRef("x_low"), alt.ExprRef("x_high")], nice=False, clamp=True)
    colours = alt.Scale(domain=["below", "inside", "above"], range=[BELOW, INSIDE, ABOVE])
    x = alt.X("left:Q", scale=scale, axis=_axis("membrane potential v before the reset"))
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
            y=alt.Y("density:Q", axis=_axis("density", format="~g", tickCount=4)),
            y2=alt.datum(0),
            color=alt.Color("part:N", scale=colours, legend=alt.Legend(title=None, orient="top")),
        )
    )
    predicted = (
        alt.Chart(alt.NamedData("predicted"))
        .mark_line(color=PREDICTED, strokeDash=[5, 3], strokeWidth=1.5, clip=True)
        .encode(x=alt.X("v:Q", scale=scale), y="density:Q")
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
        .add_params(alt.param(name="x_low", value=-1), alt.param(name="x_high", value=2))
        .properties(width="container", height=240)
    )
    # Rows to begin with: of no rows the axis would have no extent, which the browser's console complains of.
    return _spec(drawn) | {
        "datasets": {
            "bars": [{"left": 0, "right": 1, "density": 1, "part": "inside"}],
            "band": [{"low": 0, "high": 1}],
            "predicted": [{"v": 0, "density": 0}],
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
                "share:Q", scale=alt.Scale(domain=[0, 1]), axis=_axis("share of potentials", format=".0%")
            ),
            y=_layer_axis(long),
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
    return _spec(drawn)


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
    axis = alt.Axis(title=title, format=form, tickCount=4, gridOpacity=0.4)
    drawn = (
        alt.Chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=25), strokeWidth=1.2)
        .encode(
            x=alt.X("layer:O", axis=_axis("layer, from input to output", labelAngle=0, labelOverlap=True)),
            y=alt.Y(f"{column}:Q", scale=scale, axis=axis),
            color=_timesteps(),
            tooltip=["label:N", "timestep:O", alt.Tooltip(f"{column}:Q", format=".4g")],
        )
        .properties(width="container", height=220)
    )
    return _spec(drawn)


def over_training(table: pd.DataFrame) -> Spec:
    """The available share of every layer, mean over timesteps, epoch by epoch."""
    rows = labelled(table).groupby(["epoch", "layer", "label"])["available_ratio"].mean().reset_index()
    order = rows.drop_duplicates("layer").sort_values("layer")["label"].tolist()
    drawn = (
        alt.Chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=20), strokeWidth=1.2)
        .encode(
            x=alt.X("epoch:Q", axis=_axis("epoch", format="d", tickMinStep=1)),
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
    return _spec(drawn)


def widths(table: pd.DataFrame) -> Spec:
    """Surrogate widths by layer and timestep at an epoch, with a slider over the epochs."""
    rows = labelled(table[["epoch", "layer", "name", "timestep", "kappa"]]).dropna(subset=["kappa"])
    epochs = sorted(rows["epoch"].unique())
    slider = alt.param(
        name="epoch",
        value=int(epochs[-1]),
        bind=alt.binding_range(min=int(epochs[0]), max=int(epochs[-1]), step=1, name="epoch "),
    )
    drawn = (
        alt.Chart(rows)
        .transform_filter("datum.epoch == epoch")
        .mark_line(point=alt.OverlayMarkDef(size=25), strokeWidth=1.2)
        .encode(
            x=alt.X("layer:O", axis=_axis("layer, from input to output", labelAngle=0, labelOverlap=True)),
            y=alt.Y(
                "kappa:Q",
                scale=alt.Scale(domain=[0, float(rows["kappa"].max()) * 1.05 or 1.0]),
                axis=alt.Axis(title="width kappa, unit of potential", gridOpacity=0.4, tickCount=5),
            ),
            color=alt.Color(
                "timestep:O", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(title="timestep")
            ),
            tooltip=["label:N", "timestep:O", alt.Tooltip("kappa:Q", format=".4g")],
        )
        .add_params(slider)
        .properties(width="container", height=220)
    )
    return _spec(drawn)


def curves(metrics: pd.DataFrame, names: Sequence[str], title: str, *, percent: bool = False) -> Spec:
    """Training and validation over epochs, apart: columns `names` of the metrics by `variant`."""
    rows = metrics.melt(["variant", "epoch"], list(names), "of", "value").dropna(subset=["value"])
    rows = rows.groupby(["variant", "epoch", "of"], sort=False)["value"].mean().reset_index()
    rows["of"] = rows["of"].map(lambda name: "training" if name.startswith("train") else "validation")
    rows, colour, _ = _by_variant(rows)
    drawn = (
        alt.Chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=16), strokeWidth=1.4)
        .encode(
            x=alt.X("epoch:Q", axis=_axis("epoch", format="d", tickMinStep=1)),
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
    return _spec(drawn)


def forest(rows: pd.DataFrame, title: str, *, zero: bool) -> Spec:
    """A value a strategy with its interval: `variant, mean, low, high, n` in percent or points.

    Args:
        rows: NaN ends are no interval.
        title: of the axis.
        zero: mark zero, which of differences is none.
    """
    rows, colour, order = _by_variant(rows, legend=False)
    rows["said"] = [f"{mean:.2f}" for mean in rows["mean"]]
    y = alt.Y("variant:N", sort=order, axis=_axis("", labelLimit=220))
    base = alt.Chart(rows).encode(y=y)
    tooltip = ["variant:N", alt.Tooltip("mean:Q", format=".3f"), "low:Q", "high:Q", "n:Q"]
    x = alt.X("mean:Q", scale=alt.Scale(zero=zero), axis=alt.Axis(title=title, gridOpacity=0.4))
    parts: list[Any] = [
        base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", color=colour),
        base.mark_point(filled=True, size=80, opacity=1).encode(x=x, color=colour, tooltip=tooltip),
        base.mark_text(dy=-11, fontSize=10).encode(x=x, text="said:N"),
    ]
    if zero:
        line = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[2, 3]).encode(x="zero:Q")
        parts.insert(0, line)
    return _spec(alt.layer(*parts).properties(width="container", height=34 * len(rows) + 10))


def by_strategy(table: pd.DataFrame) -> Spec:
    """The available share by layer, one line a strategy: mean over timesteps and seeds."""
    keys = ["variant", "layer", "label"]
    means = labelled(table).groupby(keys, sort=False)["available_ratio"].mean().reset_index()
    means, colour, order = _by_variant(means)
    drawn = (
        alt.Chart(means)
        .mark_line(point=alt.OverlayMarkDef(size=45), strokeWidth=1.4)
        .encode(
            x=alt.X("layer:O", axis=_axis("layer, from input to output", labelAngle=0, labelOverlap=True)),
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
    return _spec(drawn)


def _timesteps() -> alt.Color:
    legend = alt.Legend(title="timestep", symbolLimit=12)
    return alt.Color("timestep:O", scale=alt.Scale(scheme="viridis"), legend=legend)


def _by_variant(rows: pd.DataFrame, *, legend: bool = True) -> tuple[pd.DataFrame, alt.Color, list[str]]:
    """The rows with strategies spelled as in the figures, their colours, and their order."""
    looks = appearances(list(dict.fromkeys(rows["variant"])))
    labels = [look.label for look in looks.values()]
    colour = alt.Color(
        "variant:N",
        scale=alt.Scale(domain=labels, range=[look.colour for look in looks.values()]),
        sort=labels,
        legend=alt.Legend(title=None, labelLimit=240) if legend else None,
    )
    return rows.assign(variant=rows["variant"].map(lambda name: looks[name].label)), colour, labels
