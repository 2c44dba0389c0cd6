"""Checkpoints and recordings over the same data: labels, what must be alike, and each under all widths."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mpdviz import checkpoint
from mpdviz.analysis.sides import check_alike, cross, sides
from mpdviz.api import Recording, load_recording
from mpdviz.errors import BadInput
from mpdviz.figures.compared import compared, numbers
from mpdviz.figures.style import save
from mpdviz.system.files import write_text
from mpdviz.system.team import team

OF_RELEASED = ("strategy", "timesteps", "decay", "v_th")
"""Options that say what a released file does not."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Networks beside each other."""

    recordings: Mapping[str, Recording]
    """By label; the first is the one to compare with."""
    layers: pd.DataFrame
    """One row a layer and network, with differences from the first; see `analysis.sides.sides`."""
    cross: pd.DataFrame
    """Each network's potentials under each one's widths; see `analysis.sides.cross`."""

    def write(self, folder: Path, figure_format: str = "png") -> Iterator[Path]:
        """Write layers.csv, cross.csv, compared.csv and the figure, and yield each path once written."""
        tables = {
            "layers": self.layers,
            "cross": self.cross,
            "compared": numbers(self.layers, self.cross),
        }
        for name, table in tables.items():
            write_text(folder / f"{name}.csv", table.to_csv(index=False))
            yield folder / f"{name}.csv"
        yield save(compared(self.layers, self.cross), folder / f"compared.{figure_format}")


def lay(
    paths: Sequence[Path], ready: Callable[[], object] | None, options: Mapping[str, Any]
) -> Sides | None:
    """Record each network, counting the widths of all, and lay them side by side; see `compare.checkpoints`."""
    from mpdviz.inspection import inspect

    labels = _labels(paths)
    facts: dict[str, dict[str, object]] = {}
    recordings: dict[str, Recording] = {}
    kappas: dict[float, None] = {}
    for label, path in zip(labels, paths, strict=True):
        if path.suffix == ".npz":
            recordings[label] = load_recording(path)
            facts[label], found = _of_recording(recordings[label])
        else:
            facts[label], found = _of_checkpoint(path, options)
        kappas |= dict.fromkeys(found)
    # A recording knows its potentials, not what the network takes and gives.
    known = set.intersection(*(set(fact) for fact in facts.values()))
    check_alike(
        {label: {what: fact[what] for what in fact if what in known} for label, fact in facts.items()}
    )
    if ready is not None:
        ready()
    with team() as here:
        for label, path in zip(labels, paths, strict=True):
            if label not in recordings:
                recording = inspect(path, gradients=True, what_if=tuple(kappas), **options)
                if recording is not None:
                    recordings[label] = recording
        if not here.leads:
            return None
    recordings = {label: recordings[label] for label in labels}
    layers = {label: recording.layers for label, recording in recordings.items()}
    return Sides(recordings, sides(layers), cross(layers))


def _labels(paths: Sequence[Path]) -> list[str]:
    labels = [path.stem for path in paths]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in paths]
    if len(paths) < 2 or len(set(labels)) < len(labels):
        raise BadInput("fewer than two different checkpoints", "give two or more to compare")
    return labels


def _of_recording(recording: Recording) -> tuple[dict[str, object], list[float]]:
    """What must be the same of a recording, and its widths."""
    layers = recording.layers
    facts = {
        "the number of layers": len(layers),
        "T": max(layer.info.timesteps for layer in layers.values()),
    }
    return facts, [kappa for layer in layers.values() for kappa in layer.info.kappa]


def _of_checkpoint(path: Path, options: Mapping[str, Any]) -> tuple[dict[str, object], list[float]]:
    """What must be the same of a checkpoint's network, and its widths."""
    loaded = checkpoint.load(path, **{name: options.get(name) for name in OF_RELEASED})
    network = loaded.network
    facts: dict[str, object] = {
        "the number of layers": len(list(network.spiking_layers())),
        "T": network.timesteps,
        "the input's channels": network.in_channels,
        "the number of classes": loaded.build["num_classes"],
    }
    if options.get("data") is None and loaded.config is not None:
        facts["their data (see `data`)"] = loaded.config.data
    return facts, [row["kappa"] for row in network.widths()]
