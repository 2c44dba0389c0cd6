"""Recordings on disk: one `.npz` of plain arrays and a JSON header; nothing is ever unpickled."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from mpdviz.accumulations.census import Census
from mpdviz.accumulations.contents import Contents
from mpdviz.accumulations.gradients import GradientFlow
from mpdviz.accumulations.histogram import PER_UNIT, REACH
from mpdviz.accumulations.layer import LayerAccumulation, LayerInfo, LayerStatistics
from mpdviz.errors import BadInput
from mpdviz.system.files import write_atomically

FORMAT, VERSION = "mpdviz recording", 1
ADDED_LATER = {
    "statistics.gain_nonfinite": np.int64,
    "flow.nonfinite": np.int64,
    "flow.spike_passes": np.int64,
    "flow.spike_count": np.int64,
    "flow.spike_zeros": np.int64,
    "flow.spike_squares": np.float64,
}
"""Arrays that older files do not have, with their types; all zeros say that nothing was counted."""


def save(path: Path, contents: Contents) -> None:
    """Write a recording, atomically.

    Raises:
        BadInput: the file cannot be written; an older one stays as it was.
    """
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "edges": [REACH, PER_UNIT],
        "left_out": dict(contents.left_out),
        "network": dict(contents.network),
        "parts": sorted(contents.parts),
        "layers": {},
    }
    arrays: dict[str, Any] = {}
    for number, layer in contents.layers.items():
        header["layers"][number] = {
            "info": asdict(layer.info),
            "census": layer.census is not None,
            "flow": layer.flow is not None,
        }
        parts = {"statistics": layer.statistics, "census": layer.census, "flow": layer.flow}
        for part, sums in parts.items():
            if sums is not None:
                for name, array in vars(sums).items():
                    arrays[f"{number}.{part}.{name}"] = array
    write_atomically(path, lambda file: np.savez_compressed(file, header=json.dumps(header), **arrays))


def load(path: Path) -> Contents:
    """A recording written by `save`; older files do not know what was left out, nor of which network.

    Raises:
        BadInput: missing, damaged, or not a recording.
    """
    try:
        # Opened here, for numpy leaves a damaged archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            if header["format"] != FORMAT or header["version"] != VERSION:
                raise BadInput(f"{path} has another format version", "make the recording again")
            if header["edges"] != [REACH, PER_UNIT]:
                raise BadInput(f"{path} has other histogram edges", "make the recording again")
            layers = {
                int(number): _layer(number, described, archive)
                for number, described in header["layers"].items()
            }
            left_out, network = (dict(header.get(name, {})) for name in ("left_out", "network"))
            return Contents(layers, left_out, network, frozenset(header.get("parts", ())))
    except OSError as error:
        raise BadInput(f"recording {path}: {error.strerror or error}", "check the path") from None
    except BadInput:
        raise
    except Exception:  # numpy, zipfile and json answer damage with a dozen unrelated exceptions
        raise BadInput(f"{path} is no recording, or damaged", "record again and `save` it") from None


def _layer(number: str, described: dict[str, Any], archive: Mapping[str, Any]) -> LayerAccumulation:
    info: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in described["info"].items()
    }

    def read(kind: type) -> Any:
        part = {LayerStatistics: "statistics", Census: "census", GradientFlow: "flow"}[kind]
        values = {}
        for field in fields(kind):
            name = f"{part}.{field.name}"
            if name in ADDED_LATER and f"{number}.{name}" not in archive:
                values[field.name] = np.zeros(len(archive[f"{number}.{part}.count"]), ADDED_LATER[name])
            else:
                values[field.name] = archive[f"{number}.{name}"]
        return kind(**{name: value if value.ndim else value.item() for name, value in values.items()})

    census = read(Census) if described.get("census", True) else None
    layer = LayerAccumulation(LayerInfo(**info), read(LayerStatistics), census)
    if described["flow"]:
        layer.flow = read(GradientFlow)
    empty = LayerStatistics.empty(layer.info.timesteps, len(layer.info.what_if))
    for field in fields(empty):
        expected, found = getattr(empty, field.name), getattr(layer.statistics, field.name)
        if (expected.shape, expected.dtype) != (found.shape, found.dtype):
            raise ValueError(field.name)
    return layer
