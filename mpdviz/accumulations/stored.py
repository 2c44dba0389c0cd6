"""What a stored recording must be: its header, and the arrays that belong to it (no torch)."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mpdviz.accumulations.census import Census
from mpdviz.accumulations.currents import OF_CURRENTS, CurrentSums
from mpdviz.accumulations.gradients import GradientFlow
from mpdviz.accumulations.histogram import CELLS, PER_UNIT, REACH
from mpdviz.accumulations.info import LayerInfo
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.accumulations.statistics import LayerStatistics

FORMAT, VERSION = "mpdviz recording", 1
ADDED_LATER = {
    "statistics.gain_nonfinite",
    "flow.nonfinite",
    "flow.spike_passes",
    "flow.spike_count",
    "flow.spike_zeros",
    "flow.spike_squares",
}
"""Arrays that older files do not have; all zeros say that nothing was counted."""
MOST = 2**53
"""Potentials beyond which none can have been counted."""
OLDER = "the recording was made by an older mpdviz, which did not sum currents"
EVENTS = 16
"""Above every byte of a census."""


class Described(BaseModel):
    """What the header says of a layer."""

    info: LayerInfo
    census: bool = True
    flow: bool
    currents: bool | None = None
    """None in files of versions that did not sum them."""

    @field_validator("info")
    @classmethod
    def _check(cls, info: LayerInfo) -> LayerInfo:
        spans = {len(info.kappa), len(info.lower), len(info.upper), len(info.thresholds) or info.timesteps}
        if len(spans) > 1 or not info.timesteps:
            raise ValueError("widths, ends and thresholds are not one a timestep")
        if not (np.isfinite(info.v_th) and np.isfinite(info.thresholds).all()):
            raise ValueError("a threshold is not finite")
        if not 0 < info.unit < np.inf:
            raise ValueError("the unit is not positive")
        if info.epsilon is not None and not 0 < info.epsilon < 1:
            raise ValueError("epsilon is not between 0 and 1")
        if info.floor is not None and not np.isfinite(info.floor):
            raise ValueError("the floor is not finite")
        if not all(0 < width < np.inf for width in info.what_if):
            raise ValueError("a what-if width is not positive")
        return info


class Header(BaseModel):
    """The header of a file."""

    model_config = ConfigDict(extra="ignore")

    format: Literal["mpdviz recording"]
    version: Literal[1]
    edges: tuple[int, int]
    layers: dict[Annotated[int, Field(ge=1)], Described]
    left_out: dict[str, str] = {}
    network: dict[str, str] = {}
    origin: dict[str, str] = {}
    parts: list[str] = []

    @model_validator(mode="after")
    def _check(self) -> "Header":
        if self.edges != (REACH, PER_UNIT):
            raise ValueError("it has other histogram edges")
        if not (self.layers or self.left_out):
            raise ValueError("it holds no layers")
        return self


def layer(number: int, described: Described, arrays: Mapping[str, np.ndarray]) -> LayerAccumulation:
    """A layer from its part of the header and of the file's arrays.

    Raises:
        ValueError: an array is missing, or is none of such a layer; says which.
    """
    info = described.info
    shapes = {"cells": (info.timesteps, CELLS), "what_if": (info.timesteps, len(info.what_if))}
    sums = _part("statistics", number, LayerStatistics, arrays, info.timesteps, shapes)
    statistics = LayerStatistics(**sums)
    _check_sums(statistics, f"{number}.statistics")
    census = None
    if described.census:
        census = Census(_array(f"{number}.census.seen", arrays))
        if census.seen.dtype != np.uint8 or not census.seen.ndim or (census.seen >= EVENTS).any():
            raise ValueError(f"{number}.census.seen")
    flow = None
    if described.flow:
        scalars: dict[str, tuple[int, ...]] = {"weight_passes": (), "weight_squares": ()}
        values = _part("flow", number, GradientFlow, arrays, info.timesteps, scalars)
        plain: dict[str, Any] = {name: v if v.ndim else v.item() for name, v in values.items()}
        flow = GradientFlow(**plain)
    currents = None
    if described.currents:
        channels = (*_array(f"{number}.currents.sums", arrays).shape, 0)[0]
        square = {"count": (), "sums": (channels, info.timesteps)}
        square["products"] = (*square["sums"], info.timesteps)
        found = _part("currents", number, CurrentSums, arrays, info.timesteps, square)
        if found["count"] < 1 or not channels:
            raise ValueError(f"{number}.currents.count")
        currents = CurrentSums(int(found["count"]), found["sums"], found["products"])
    elif described.currents is None and OF_CURRENTS[0] not in info.not_measured:
        info = info.without(OF_CURRENTS, OLDER)
    return LayerAccumulation(info, statistics, census, flow, currents)


def _part(
    part: str,
    number: int,
    kind: type,
    arrays: Mapping[str, np.ndarray],
    timesteps: int,
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, np.ndarray]:
    values = {}
    for field in fields(kind):
        name = f"{part}.{field.name}"
        real = "float" in str(field.type) or "Floats" in str(field.type)
        dtype, shape = np.dtype(np.float64 if real else np.int64), shapes.get(field.name, (timesteps,))
        if name in ADDED_LATER and f"{number}.{name}" not in arrays:
            values[field.name] = np.zeros(shape, dtype)
            continue
        value = values[field.name] = _array(f"{number}.{name}", arrays)
        if (value.dtype, value.shape) != (dtype, shape):
            raise ValueError(f"{number}.{name}")
        if not real and not ((value >= 0) & (value < MOST)).all():
            raise ValueError(f"{number}.{name}")
    return values


def _array(name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    return arrays[name]


def _check_sums(sums: LayerStatistics, what: str) -> None:
    """What was counted of the same potentials must go together."""
    known = sums.available + sums.below + sums.above
    consistent = (
        (sums.nonfinite <= sums.count)
        & (sums.spikes <= sums.count)
        & (sums.reach <= sums.count)
        & (sums.gain_nonfinite <= sums.finite)
        & (known <= sums.finite)
        & (sums.cells.sum(1) == sums.finite)
        & (sums.what_if <= sums.count[:, None]).all(1)
    )
    if not consistent.all():
        raise ValueError(f"{what}: counts that contradict one another")
