"""From values by column name to a table with the columns that are declared (no torch)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mpdviz.accumulations.histogram import Counts, Floats
from mpdviz.accumulations.info import LayerInfo
from mpdviz.analysis.columns import LAYER, MAIN, Column

CANNOT_LACK = {column.name for column in (*MAIN, *LAYER) if column.dtype in ("int64", "bool", "str")}
"""Columns whose type has no value for what was not measured."""


def frame(blocks: Sequence[Mapping[str, Any]], wanted: Sequence[Column]) -> pd.DataFrame:
    """One block of rows after the other, each value spread over the rows of its block.

    What a block does not have, such as the gradients of a layer without any, is missing in its rows.
    """
    rows = [max((np.size(value) for value in block.values()), default=0) for block in blocks]
    values = {
        column.name: [
            value
            for block, count in zip(blocks, rows, strict=True)
            for value in np.broadcast_to(np.asarray(block.get(column.name, np.nan), object), count)
        ]
        for column in wanted
    }
    return pd.DataFrame(
        {column.name: pd.Series(values[column.name], dtype=column.dtype) for column in wanted}
    )


def measured(block: Mapping[str, Any], info: LayerInfo) -> dict[str, Any]:
    """The block without the columns that the layer's description says were not measured."""
    return {
        name: value
        for name, value in block.items()
        if name in CANNOT_LACK or name.removesuffix("_channel") not in info.not_measured
    }


def share(part: Counts | Floats, whole: Counts) -> Floats:
    """Part by whole `[T]`; a share of nothing is not a number, said without numpy's warning."""
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def counts(values: Counts, known: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Counts `[T]` for a nullable column, missing where they are not known."""
    found = values.astype(object)
    found[~known] = pd.NA
    return found
