"""The folder of a study: its arms, where each run lies, and what an arm chose from a grid (no torch).

comparison.toml                  seeds, reference, settings of every run, grid, arms
runs/ARM/seed-N/                 a run folder for each arm and seed
runs/ARM/lr=0.1/seed-N/          with a grid: one for each of its points, too
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder, slug
from mpdviz.runs.reading import is_finished, read_result
from mpdviz.system.files import exists
from mpdviz.system.places import COMPARISON, CONFIG, runs_below
from mpdviz.system.reading import read_toml
from mpdviz.system.schema import checked

REMEDY = "give the folder of a comparison that trains"


class StoredArm(BaseModel):
    """An arm in `comparison.toml`."""

    model_config = ConfigDict(strict=True)

    name: Annotated[str, Field(min_length=1)]
    settings: dict[str, Any] = {}


class StoredStudy(BaseModel):
    """`comparison.toml`."""

    model_config = ConfigDict(strict=True)

    arms: list[StoredArm] = []
    strategies: list[str] = []
    """In place of arms, in folders that older versions wrote."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1)]
    settings: dict[str, Any]
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    grid_seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = []
    reference: str | None = None

    @model_validator(mode="after")
    def _has_arms(self) -> "StoredStudy":
        if bool(self.arms) == bool(self.strategies):
            raise ValueError("it has no arms")
        names = [arm.name for arm in self.arms] or self.strategies
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"its reference {self.reference!r} is none of its arms")
        if not set(self.grid_seeds) <= set(self.seeds):
            raise ValueError("its grid has seeds that are none of its own")
        return self


@dataclass(frozen=True)
class Arm:
    """One side of a study."""

    name: str
    settings: Mapping[str, Any]
    """What it is trained with, as JSON values; the rest is the study's."""


@dataclass(frozen=True)
class StudyPlan:
    """What a study is made of."""

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of every run."""
    grid: Mapping[str, list[Any]] = field(default_factory=dict)
    """Values by setting, of which every arm chooses its own on validation."""
    grid_seeds: tuple[int, ...] = ()
    """Those of the seeds at which the whole grid is tried; none: all of them."""
    reference: str = ""
    """The arm that the others are compared with."""

    def points(self) -> list[dict[str, Any]]:
        """Every combination of the grid's values; one, of nothing, where there is no grid."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]

    def choosing_seeds(self) -> tuple[int, ...]:
        """The seeds by whose validation accuracies the arms choose from the grid."""
        return self.grid_seeds or self.seeds


def read_study(folder: Path) -> StudyPlan:
    """What `comparison.toml` says.

    Raises:
        BadInput: there is none, or it is damaged.
    """
    path = folder / COMPARISON
    if not exists(path):
        raise BadInput(f"{folder} holds no comparison: it has no {path.name}", REMEDY)
    stored = checked(StoredStudy, read_toml(path, "comparison", REMEDY), f"comparison {path}", REMEDY)
    arms = [Arm(arm.name, arm.settings) for arm in stored.arms]
    arms = arms or [Arm(name, {"strategy": name}) for name in stored.strategies]
    reference = stored.reference or arms[0].name
    return StudyPlan(
        tuple(arms), tuple(stored.seeds), stored.settings, stored.grid, tuple(stored.grid_seeds), reference
    )


def point_name(point: Mapping[str, Any]) -> str:
    """A point of a grid in words, `lr=0.03`; nothing where there is no grid."""
    return ", ".join(f"{name}={said(value)}" for name, value in point.items())


def said(value: object) -> str:
    """A setting's value as a part of a name."""
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)


def run_of_study(folder: Path, arm: str, point: Mapping[str, Any], seed: int) -> Path:
    """Where the run of an arm, a point of the grid and a seed lies in the folder of its study."""
    own = folder / "runs" / slug(arm)
    return (own / slug(point_name(point)) if point else own) / f"seed-{seed}"


def chosen(folder: Path, plan: StudyPlan) -> dict[str, dict[str, Any] | None]:
    """The point of the grid that each arm does best with; None while runs of its grid are missing.

    Best is the highest validation accuracy, averaged over the seeds at which the grid is tried; of equal ones
    the first.
    """
    if not plan.grid:
        return {arm.name: {} for arm in plan.arms}
    best: dict[str, dict[str, Any] | None] = {}
    seeds = plan.choosing_seeds()
    for arm in plan.arms:
        means: list[float] = []
        for point in plan.points():
            runs = [RunFolder(run_of_study(folder, arm.name, point, seed)) for seed in seeds]
            values = [read_result(run).get("val_accuracy") for run in runs if is_finished(run)]
            known = [value for value in values if value is not None]
            means.append(sum(known) / len(known) if len(known) == len(seeds) else -1.0)
        there = min(means) >= 0
        best[arm.name] = plan.points()[means.index(max(means))] if there else None
    return best


def run_folders(path: Path) -> list[Path]:
    """The run folders of a study, or in a folder of runs, that hold results; of a grid the chosen ones.

    None where `path` is another kind of path: a run folder itself, or a file. The reference comes first, as
    figures compare with the first.

    Raises:
        BadInput: a study without such runs, or a damaged one.
    """
    if not exists(path / COMPARISON):
        below = [] if exists(path / CONFIG) else runs_below(path)
        return [folder for folder in below if exists(RunFolder(folder).result)]
    plan = read_study(path)
    choice = chosen(path, plan)
    arms = sorted(plan.arms, key=lambda arm: arm.name != plan.reference)
    planned = [
        run_of_study(path, arm.name, point, seed)
        for seed in plan.seeds
        for arm in arms
        if (point := choice[arm.name]) is not None
    ]
    there = [folder for folder in planned if exists(RunFolder(folder).result)]
    if not there:
        raise BadInput(f"{path} holds no finished run", "finish its runs first")
    return there


def arms_of(runs: Sequence[Path]) -> list[str | None]:
    """The arm that each run folder belongs to; None where it lies in no study's folder."""
    # A study is as long as it has arms: read for each of its runs, it would cost their number squared.
    known: dict[Path, dict[str, str]] = {}
    return [_arm_of(run, known) for run in runs]


def _arm_of(run: Path, known: dict[Path, dict[str, str]]) -> str | None:
    """The arm of a run; `known` holds the arms of the studies read so far, by the names of their folders."""
    for parent in _above(run):
        if parent not in known and exists(parent / COMPARISON):
            known[parent] = {slug(arm.name): arm.name for arm in reversed(read_study(parent).arms)}
        if parent in known:
            return known[parent].get(run.absolute().relative_to(parent / "runs").parts[0])
    return None


def _above(run: Path) -> Iterator[Path]:
    """Where a study of this run would lie: above runs/ARM/seed-N, or runs/ARM/POINT/seed-N."""
    parents = run.absolute().parents
    return (parents[up] for up in (2, 3) if up < len(parents) and parents[up - 1].name == "runs")
