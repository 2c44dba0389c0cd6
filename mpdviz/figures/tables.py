"""The tables that figures are drawn from, together."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import pandas as pd

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import decomposition, metrics, whatif
from mpdviz.errors import BadInput


@dataclass(frozen=True, eq=False)
class Tables:
    """Everything a figure may need of one recording."""

    table: pd.DataFrame
    """The main table."""
    histograms: pd.DataFrame
    """`metrics.histogram` of its layers, one after the other."""
    curves: pd.DataFrame
    """`whatif.curve` of its layers, one after the other."""
    spread: pd.DataFrame
    """`decomposition.spread_error` of its layers."""

    @classmethod
    def of(cls, layers: Mapping[int, LayerAccumulation], table: pd.DataFrame | None = None) -> Self:
        """The tables of a recording's `.layers`.

        Args:
            layers: accumulations by layer number.
            table: rows of the main table to show, where not all are.

        Raises:
            BadInput: there is nothing to show.
        """
        table = metrics.table(layers) if table is None else table
        if table.empty:
            raise BadInput("nothing was recorded to draw", "run the model inside `with mpdviz.record(...)`")
        wanted = [(number, layers[number]) for number in sorted(table["layer"].unique())]
        histograms = pd.concat([metrics.histogram(*layer) for layer in wanted], ignore_index=True)
        curves = pd.concat([whatif.curve(*layer) for layer in wanted], ignore_index=True)
        rows = table[["layer", "timestep"]]
        spread = decomposition.spread_error(dict(wanted))
        return cls(table, histograms.merge(rows), curves.merge(rows), spread.merge(rows))

    def layer(self, number: int) -> Self:
        """The same of one layer; empty tables where there is no such layer."""
        tables = (getattr(self, part.name) for part in fields(self))
        return type(self)(*(frame[frame["layer"] == number] for frame in tables))
