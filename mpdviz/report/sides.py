"""The section that lays recordings of several networks beside each other (no torch)."""

from collections.abc import Mapping

import pandas as pd

from mpdviz.accumulations.contents import Contents
from mpdviz.analysis import metrics
from mpdviz.analysis import sides as analysis
from mpdviz.errors import BadInput
from mpdviz.report import charts
from mpdviz.report.blocks import Picture, Section, Table, Text


def section(recordings: Mapping[str, Contents]) -> Section:
    """Layer by layer, each network's shares and their differences from the first; why not, where they differ.

    Args:
        recordings: by label; the first is the one to compare with.
    """
    title = "Side by side"
    layers = {label: contents.layers for label, contents in recordings.items()}
    try:
        table = analysis.sides(layers)
    except BadInput as error:
        return Section(title, [Text(f"Not laid beside each other: {error}")])
    rows = pd.concat([metrics.main_columns(part).assign(variant=label) for label, part in layers.items()])
    caption = "Mean over timesteps, of the same data through each."
    picture = Picture("Available share by layer", caption, charts.by_strategy(rows))
    first = next(iter(recordings))
    told = table.dropna(axis="columns", how="all")
    return Section(title, [picture, Table("Layers", told, caption=f"Differences are from {first}.")])
