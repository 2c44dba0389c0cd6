"""A recording in a line and in a short table (no torch)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis.frames import share

LOWEST = "lowest available ratio"


def samples(layers: Mapping[int, LayerAccumulation]) -> int | None:
    """How many samples were recorded: most at any timestep, of the layer that saw fewest.

    None where no layer's number of neurons is known.
    """
    if not layers:
        return 0
    seen = [
        layer.statistics.count.max(initial=0) // layer.census.seen.size
        for layer in layers.values()
        if layer.census is not None
    ]
    return int(min(seen)) if seen else None


def by_layer(layers: Mapping[int, LayerAccumulation]) -> pd.DataFrame:
    """A row a layer, the neediest first: its lowest available ratio over time, when, and its firing rate."""
    rows = []
    for number, layer in sorted(layers.items()):
        sums, ratio = layer.statistics, share(layer.statistics.available, layer.placed)
        known = bool(np.isfinite(ratio).any())
        t = int(np.nanargmin(ratio)) if known else 0
        rate = sums.spikes.sum() / max(sums.count.sum(), 1)
        rows.append((number, layer.info.name, ratio[t], t + 1 if known else pd.NA, rate))
    table = pd.DataFrame(rows, columns=["layer", "name", LOWEST, "at timestep", "firing rate"])
    return table.sort_values(LOWEST, kind="stable", ignore_index=True)


def one_line(layers: Mapping[int, LayerAccumulation]) -> str:
    """What there is, and where the least share of potentials gets its spike gradient."""
    if not layers:
        return "nothing recorded"
    timesteps = max(layer.info.timesteps for layer in layers.values())
    parts = [_counted(len(layers), "layer"), f"T={timesteps}"]
    seen = samples(layers)
    if seen is not None:
        parts.append(_counted(seen, "sample"))
    number, name, ratio, t, _ = by_layer(layers).iloc[0]
    lowest = f"; lowest available share {100 * ratio:.1f} % in layer {number} ({name}) at t={t}"
    return ", ".join(parts) + (lowest if np.isfinite(ratio) else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
