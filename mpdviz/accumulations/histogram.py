"""The histogram's fixed edges, in a layer's unit, so that any two histograms can be added (no torch).

Where a strategy moves the threshold over time, the edges move with it: the threshold in force is always the
edge at one unit. The unit is the threshold that the neurons were made with, where that is positive.

A value lying exactly on an edge has a cell of its own between its two neighbours, because under the strict
inequality of the available interval it belongs to neither side: a silent input gives v = 0 exactly, and 0
is the lower end of kappa = 1 at v_th = 0.5. Cell layout, with E edges e_0 < ... < e_{E-1}:

    0: below e_0 | 1: on e_0 | 2: between e_0 and e_1 | 3: on e_1 | ... | 2E-1: on e_{E-1} | 2E: above
"""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

REACH, PER_UNIT = 8, 64
EDGES: Floats = np.arange(-REACH * PER_UNIT, REACH * PER_UNIT + 1) / PER_UNIT
"""Edges in units: from -8 to 8 in steps of 1/64, all exact in binary."""
CELLS = 2 * len(EDGES) + 1


def cell_edges(unit: float) -> tuple[Floats, Floats]:
    """Lower and upper end of each cell `[CELLS]`, as potentials where nothing shifts; equal on an edge."""
    edges = EDGES * unit
    lower = np.concatenate([[-np.inf], np.repeat(edges, 2)])
    upper = np.concatenate([np.repeat(edges, 2), [np.inf]])
    return lower, upper


def bins(cells: Counts) -> Counts:
    """Half-open bins `[e_i, e_i+1)` `[T, E - 1]` from the cells `[T, CELLS]`, for drawing."""
    return cells[:, 1:-2:2] + cells[:, 2:-1:2]
