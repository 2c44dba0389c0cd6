"""Checkpoints and recordings over the same data: labels, what must be alike, and each under all widths."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mpdviz import checkpoint
from mpdviz.analysis.sides import check_alike, cross, sides
from mpdviz.api import Recording, load_recording
from mpdviz.errors import BadInput
from mpdviz.figures import origin
from mpdviz.figures.compared import caption, compared, numbers
from mpdviz.figures.style import save
from mpdviz.inspection import Options, prepare
from mpdviz.inspection.options import OF_RELEASED
from mpdviz.system.files import write_text
from mpdviz.system.places import BEST, SAMPLE, best_checkpoint
from mpdviz.system.team import team

Facts = dict[str, object]
"""What must be the same of all networks."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Networks beside each other."""

    recordings: Mapping[str, Recording]
    """By label; the first is the one to compare with."""
    layers: pd.DataFrame
    """One row a layer and network, with differences from the first; columns of `analysis.sides.sides`."""
    cross: pd.DataFrame
    """Each network's potentials under each one's widths; columns of `analysis.sides.cross`."""
    notes: tuple[str, ...]
    """What was recorded over what, in words."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """The same of each network, by its label, for captions."""

    def write(self, folder: Path, figure_format: str = "png") -> Iterator[Path]:
        """Write the tables and the figure with its numbers and caption; yield each path once written."""
        points = numbers(self.layers, self.cross)
        for name, table in {"layers": self.layers, "cross": self.cross, "compared": points}.items():
            write_text(folder / f"{name}.csv", table.to_csv(index=False))
            yield folder / f"{name}.csv"
        write_text(folder / "compared.txt", caption(self.layers, self.cross, self.origins) + "\n")
        yield folder / "compared.txt"
        own = {label: origin.strategies(recording.contents) for label, recording in self.recordings.items()}
        strategies = {label: names[0] for label, names in own.items() if len(names) == 1}
        yield save(compared(self.layers, self.cross, strategies), folder / f"compared.{figure_format}")


def side_by_side(
    paths: Sequence[Path], ready: Callable[[], object] | None, given: Mapping[str, Any]
) -> Sides | None:
    """Record every network counting the widths of all; arguments, result and errors of `checkpoints`."""
    labels = _labels(paths)
    if all(path.suffix == ".npz" for path in paths):
        Options(**given).refuse_all("with recordings, which hold what was recorded", "leave it out")
    facts: dict[str, Facts] = {}
    kappas: dict[float, None] = {}
    for label, path in zip(labels, paths, strict=True):
        facts[label], found = _of_recording(path) if path.suffix == ".npz" else _of_checkpoint(path, given)
        kappas |= dict.fromkeys(found)
    # A recording knows its potentials, not what the network takes and gives.
    known = set.intersection(*(set(fact) for fact in facts.values()))
    check_alike(
        {label: {what: fact[what] for what in fact if what in known} for label, fact in facts.items()}
    )
    options = Options(**{"gradients": True, "what_if": tuple(kappas), **given})
    recordings: dict[str, Recording] = {}
    notes: list[str] = []
    origins: dict[str, str] = {}
    with team():  # one for all: what is started again and again may meet what is left of the last
        for label, path in zip(labels, paths, strict=True):
            inspection = prepare(path, Options() if path.suffix == ".npz" else options)
            if ready is not None:
                ready()
            recording = inspection.run()
            if recording is not None:
                recordings[label] = recording
                notes += inspection.notes
                origins[label] = origin.of(recording.contents).removeprefix("Recorded: ")
    if not recordings:
        return None
    layers = {label: recording.layers for label, recording in recordings.items()}
    return Sides(recordings, sides(layers), cross(layers), tuple(notes), origins)


def _labels(paths: Sequence[Path]) -> list[str]:
    """The last parts of each path, as few as tell all from one another."""
    if len(paths) < 2 or len(set(paths)) < len(paths):
        raise BadInput("fewer than two different checkpoints", "give two or more to compare")
    named = [_named(path) for path in paths]
    for parts in range(1, max(len(path.parts) for path in named) + 1):
        labels = ["/".join(path.parts[-parts:]) for path in named]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in paths]


def _named(path: Path) -> Path:
    """What stands for a file: its run folder if it is the best checkpoint of one, else it without suffix."""
    if path.parts[-2:] == BEST.parts and len(path.parts) > len(BEST.parts):
        return path.parents[1]
    if os.path.isdir(path):  # noqa: PTH112 - false, not an error, where looking is refused
        return path
    return path.with_name(path.stem.removeprefix(SAMPLE))


def _of_recording(path: Path) -> tuple[Facts, list[float]]:
    """What must be the same of a recording, and its widths."""
    layers = load_recording(path).layers.values()
    facts: Facts = {"the number of layers": len(layers), "T": max(layer.info.timesteps for layer in layers)}
    return facts, [kappa for layer in layers for kappa in layer.info.kappa]


def _of_checkpoint(path: Path, given: Mapping[str, Any]) -> tuple[Facts, list[float]]:
    """What must be the same of a checkpoint's network, and its widths."""
    try:
        loaded = checkpoint.load(best_checkpoint(path), **{name: given.get(name) for name in OF_RELEASED})
    except checkpoint.OfOwnNetwork as error:
        remedy = "compare recordings (.npz), which `mpdviz inspect --model ... --save FILE` makes of each"
        raise BadInput(error.problem, remedy) from None
    network = loaded.network
    facts: Facts = {
        "the number of layers": len(list(network.spiking_layers())),
        "T": network.timesteps,
        "the shape of a sample": network.sample_shape,
        "the number of classes": loaded.architecture.num_classes,
    }
    if given.get("data") is None and loaded.config is not None:
        facts["their data (see `data`)"] = loaded.config.data
    return facts, [row["kappa"] for row in network.widths()]
