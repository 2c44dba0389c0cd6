"""A recording at a glance: a row a layer, what is the matter with it, and the answer in words (no torch)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis.frames import share
from mpdviz.analysis.limits import Limits
from mpdviz.analysis.words import percent

OK, NOT_MEASURED, NAN = "ok", "not measured", "NaN"
BELOW, ABOVE, SILENT_INPUT, TOO_WIDE = "below", "above", "silent input", "too wide"
REASONS = {
    NAN: "its potentials are in part NaN or infinite",
    SILENT_INPUT: "its input is silent",
    BELOW: "its potentials lie below the interval",
    ABOVE: "its potentials lie above the interval",
    TOO_WIDE: "its interval is too wide to tell potentials apart",
    NOT_MEASURED: "its available share was not measured",
    OK: "",
}
"""What may be the matter with a layer, the gravest first, and in words; `by_layer` has the former."""


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


def by_layer(layers: Mapping[int, LayerAccumulation], limits: Limits | None = None) -> pd.DataFrame:
    """A row a layer, in execution order.

    Args:
        layers: a recording.
        limits: from where on a layer is starved, saturated, its interval too wide; None takes the defaults.

    Returns:
        `layer`, `name`, `available_ratio` (share over all timesteps together), `by_timestep` (a tuple of the
        shares at each), `lowest_ratio`, `at_timestep` (the timestep of the lowest, from 1), `firing_rate`
        (spikes per neuron and timestep), `starved` (whether the lowest is under the limit), `why` (what is
        the matter with it: one of `REASONS`). NaN, or missing, is not measured.
    """
    limits = limits or Limits()
    rows = [_row(number, layer, limits) for number, layer in sorted(layers.items())]
    names = [
        *("layer", "name", "available_ratio", "by_timestep", "lowest_ratio", "at_timestep"),
        *("firing_rate", "starved", "why"),
    ]
    table = pd.DataFrame(rows, columns=names)
    return table.astype({"at_timestep": "Int64", "available_ratio": float, "lowest_ratio": float})


def _row(number: int, layer: LayerAccumulation, limits: Limits) -> tuple[object, ...]:
    sums, placed = layer.statistics, layer.placed
    ratio = share(sums.available, placed)
    known = bool(np.isfinite(ratio).any())
    t = int(np.nanargmin(ratio)) if known else 0
    lowest = float(ratio[t]) if known else np.nan
    starved = lowest < limits.starved
    overall = sums.available.sum() / placed.sum() if known else np.nan
    count = sums.count.sum()
    rate = sums.spikes.sum() / count if count and "firing_rate" not in layer.info.not_measured else np.nan
    why = _why(layer, limits, t if known else None, starved)
    name, timestep = layer.info.name, t + 1 if known else pd.NA
    return number, name, overall, tuple(map(float, ratio)), lowest, timestep, rate, starved, why


def _why(layer: LayerAccumulation, limits: Limits, t: int | None, starved: bool) -> str:
    """What is the matter with a layer, given the timestep (from 0) of its lowest available share."""
    sums, info = layer.statistics, layer.info
    if (share(sums.nonfinite, sums.count) > limits.nonfinite).any():
        return NAN
    if t is None:
        return NOT_MEASURED
    census = layer.census
    known = census is not None and "silent_input" not in info.not_measured
    if known and census is not None and census.undriven.mean() > limits.silent_input:
        return SILENT_INPUT
    below, above = (share(side, layer.placed) for side in (sums.below, sums.above))
    if starved:
        return BELOW if below[t] >= above[t] else ABOVE
    # A share that is not known is over no limit.
    if (below > limits.degenerate).any():
        return BELOW
    if (above > limits.saturated).any():
        return ABOVE
    spread = np.sqrt(share(sums.m2, sums.finite))
    half = (np.array(info.upper) - np.array(info.lower)) / 2
    if (half[spread > 0] > limits.too_wide * spread[spread > 0]).any():
        return TOO_WIDE
    return OK


def answer(table: pd.DataFrame) -> str:
    """Whether the neurons still get a gradient, in a sentence or two, from `by_layer`'s rows."""
    if table.empty:
        return "Nothing was recorded."
    of = f"of {_counted(len(table), 'layer')}"
    unknown = table[table["lowest_ratio"].isna()]
    known, starved = table.drop(unknown.index), table[table["starved"]]
    parts = []
    if len(known):
        worst = known.loc[_worst(known)]
        if len(starved):
            counted = f"{len(starved)} {of} {'is' if len(starved) == 1 else 'are'} starved"
            where = f"{_called(worst)} gets {percent(worst['lowest_ratio'])} {_when(worst)}"
            parts.append(f"{counted}: {where}, {REASONS[worst['why']]}.")
        else:
            nobody = f"None {of} is" if len(table) > 1 else "The one layer is not"
            parts.append(
                f"{nobody} starved: the lowest available share is {percent(worst['lowest_ratio'])}, in "
                f"{_called(worst)} at t={worst['at_timestep']}."
            )
    told = set(starved.index) | set(unknown.index)
    for why in (NAN, SILENT_INPUT, ABOVE, BELOW, TOO_WIDE):
        others = table[(table["why"] == why) & ~table.index.isin(told)]
        if len(others):
            parts.append(_said(others, why))
    if len(unknown):
        parts.append(_said(unknown, NOT_MEASURED))
    return " ".join(parts)


def neediest(layers: Mapping[int, LayerAccumulation]) -> int:
    """Number of the layer with the lowest available share; the first one where none is known."""
    table = by_layer(layers)
    return int(table["layer"].loc[_worst(table)])


def _worst(table: pd.DataFrame) -> Any:
    """Label of the row with the lowest share; of equals, of that which gets least over all timesteps."""
    return (
        table[["lowest_ratio", "available_ratio"]]
        .fillna(2)
        .sort_values(["lowest_ratio", "available_ratio"], kind="stable")
        .index[0]
    )


def one_line(layers: Mapping[int, LayerAccumulation]) -> str:
    """What there is, and where the least share of potentials gets its spike gradient."""
    if not layers:
        return "nothing recorded"
    timesteps = max(layer.info.timesteps for layer in layers.values())
    parts = [_counted(len(layers), "layer"), f"T={timesteps}"]
    seen = samples(layers)
    if seen is not None:
        parts.append(_counted(seen, "sample"))
    table = by_layer(layers)
    worst = table[table["layer"] == neediest(layers)].iloc[0]
    lowest = f"; lowest available share {percent(worst['lowest_ratio'])} in {_called(worst)} {_when(worst)}"
    return ", ".join(parts) + (lowest if np.isfinite(worst["lowest_ratio"]) else "")


def _when(row: pd.Series) -> str:
    """When a layer's share is lowest."""
    never = len(row["by_timestep"]) > 1 and not any(row["by_timestep"])
    return "at every timestep" if never else f"at t={row['at_timestep']}"


def _said(rows: pd.DataFrame, why: str) -> str:
    reason = REASONS[why] if len(rows) == 1 else REASONS[why].replace("its ", "their ")
    return f"{_listed(rows)}: {reason}."


def _called(row: pd.Series) -> str:
    return f"layer {row['layer']} ({row['name']})"


def _listed(rows: pd.DataFrame, most: int = 6) -> str:
    """Layers by number, the first few where they are many."""
    numbers = [str(number) for number in rows["layer"]]
    shown = ", ".join(numbers[:most]) + (f" and {len(numbers) - most} more" if len(numbers) > most else "")
    return f"Layer{'s' * (len(numbers) > 1)} {shown}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
