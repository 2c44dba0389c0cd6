"""What the charts of a report share: axes, colours, labels (no torch).

Colours are those of the figures. A chart is as wide as the page lets it be; whatever colour says, a position,
a shape or a label says too.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from mpdviz.figures.style import appearances

Spec = dict[str, Any]
"""A chart as Vega-Lite."""
ROW = 22
"""Height of a layer's row, in pixels."""


def spec(chart: Any) -> Spec:
    """The chart as plain data."""
    made: Spec = chart.to_dict()
    return made


def axis(title: str, **settings: Any) -> alt.Axis:
    """An axis without a grid."""
    return alt.Axis(title=title, grid=False, **settings)


def layer_axis(rows: pd.DataFrame) -> alt.Y:
    """Layers from input, at the top, to output."""
    order = rows.drop_duplicates("layer").sort_values("layer")["label"].tolist()
    return alt.Y("label:N", sort=order, axis=axis("", labelLimit=170, labelOverlap=False))


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `label`: a layer's number and name."""
    return table.assign(label=table["layer"].astype(str) + "  " + table["name"].astype(str))


def timesteps() -> alt.Color:
    """A colour for each timestep, dark to light."""
    legend = alt.Legend(title="timestep", symbolLimit=12)
    return alt.Color("timestep:O", scale=alt.Scale(scheme="viridis"), legend=legend)


def by_variant(
    rows: pd.DataFrame, *, of: Sequence[str] = (), legend: bool = True
) -> tuple[pd.DataFrame, alt.Color, list[str]]:
    """The rows with strategies spelled as in the figures, their colours, and their order.

    Args:
        rows: with a column `variant`.
        of: all variants of the study, where the rows may lack some: they keep their colours.
        legend: whether to show one.
    """
    looks = appearances(list(of) or list(dict.fromkeys(rows["variant"])))
    labels = [look.label for look in looks.values()]
    colour = alt.Color(
        "variant:N",
        scale=alt.Scale(domain=labels, range=[look.colour for look in looks.values()]),
        sort=labels,
        legend=alt.Legend(title=None, labelLimit=240) if legend else None,
    )
    return rows.assign(variant=rows["variant"].map(lambda name: looks[name].label)), colour, labels


def epochs() -> alt.X:
    """An axis of epochs."""
    return alt.X("epoch:Q", axis=axis("epoch", format="d", tickMinStep=1))


def depth() -> alt.X:
    """An axis of layers by number."""
    return alt.X("layer:O", axis=axis("layer, from input to output", labelAngle=0, labelOverlap=True))


def lines(rows: pd.DataFrame, size: int = 25) -> alt.Chart:
    """Thin lines with a point, of so many square pixels, for each value."""
    drawn: alt.Chart = alt.Chart(rows).mark_line(point=alt.OverlayMarkDef(size=size), strokeWidth=1.3)
    return drawn
