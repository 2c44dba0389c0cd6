"""A run trained once more from the settings in its folder, and whether it came out the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.analysis.words import percent
from mpdviz.config import check_code
from mpdviz.data import GIVEN
from mpdviz.errors import BadInput
from mpdviz.runs.environments import read_environments
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.reading import StoredRun
from mpdviz.runs.state import Result
from mpdviz.system.environment import changes
from mpdviz.system.files import exists
from mpdviz.system.rank import rank
from mpdviz.training.run import Run

TIMES = ("epoch", "seconds")
"""Columns of metrics.csv that say nothing of a result."""
REACHED = ("epoch", "val_accuracy", "test_accuracy")
HASHES = {"initial_weights": "initial weights", "data_order": "data order"}
ALIKE: Mapping[bool | None, str] = {True: "same", False: "other", None: "unknown"}


@dataclass(frozen=True)
class Compared:
    """Two runs of the same settings side by side."""

    hashes: Mapping[str, bool | None]
    """Whether they started from the same `initial_weights` and `data_order`; None where one does not say."""
    epochs: tuple[int, int]
    """Epochs of the first run and of the second."""
    first: int | None
    """The first epoch in which a metric differs."""
    largest: float
    """Largest difference of a metric in an epoch that both have; NaN where only one of them is NaN."""
    where: str
    """Metric and epoch of that."""
    reached: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """What else differs of epoch, validation and test accuracy in the end."""
    left_out: tuple[str, ...] = ()
    """Metrics that only one of them has."""

    @property
    def equal(self) -> bool:
        """Whether everything that both say is the same, to the last digit."""
        return (
            False not in self.hashes.values()
            and self.first is None
            and self.epochs[0] == self.epochs[1]
            and not self.reached
        )

    def __str__(self) -> str:
        """The comparison in a sentence or two."""
        began = ", ".join(f"{ALIKE[same]} {HASHES[name]}" for name, same in self.hashes.items())
        both = min(self.epochs)
        if self.first is None:
            metrics = f"the same metrics to the last digit in {both} epoch{'s' * (both != 1)}"
        else:
            apart = f"at most by {self.largest:.2g} ({self.where})"
            metrics = f"metrics that differ from epoch {self.first} on, {apart}"
        more = f"; {self.epochs[0]} epochs then, {self.epochs[1]} now" * (self.epochs[0] != self.epochs[1])
        left = f"; not compared: {', '.join(self.left_out)}" * bool(self.left_out)
        ends = "".join(f"; {_spoken(name, *values)}" for name, values in self.reached.items())
        return f"{'Equal' if self.equal else 'Not equal'}: {began}, {metrics}{more}{ends}{left}."


class Again:
    """A run that is about to be trained again."""

    def __init__(
        self, path: Path, out: Path | None = None, *, model: str | None = None, command: str = ""
    ) -> None:
        """Read what there is of the run, and prepare its repetition.

        Args:
            path: the run folder; it is only read.
            out: the new one; None adds `-rerun` to its name.
            model: the user's own network, where the run is of one: no file has code run.
            command: what started this; empty: the command line.

        Raises:
            BadInput: no run folder, one without a finished epoch, data that were handed over by a program, or
                anything that `training.train` refuses.
        """
        self._before = StoredRun.of_folder(path)
        if "metrics" not in self._before.tables:
            raise BadInput(f"{path} has finished no epoch to compare with", "go on with it (`resume`)")
        check_code({"model": self._before.config.model}, [model or ""], f"{path}/config.toml")
        data = self._before.config.data
        if data.startswith(GIVEN):
            raise BadInput(f"{path} was trained on {data}, handed over in Python", "run that program again")
        if out is None:
            own = path if path.name not in ("", "..") else path.resolve()
            out = own.with_name(f"{own.name}-rerun")
        holds = exists(RunFolder(out).last) or exists(RunFolder(out).best)
        if holds and rank() == 0:  # the leader's own, to the others
            raise BadInput(f"{out} already holds a run", "choose another `out`")
        self.run = Run(self._before.config, out, command=command)

    def changes(self) -> dict[str, tuple[str, str]] | None:
        """What is not as it was, name -> then and now; None where then was not noted."""
        now = read_environments(self.run.folder)
        if not self._before.environments or not now:
            return None
        return changes(self._before.environments, now[-1])

    def compared(self) -> Compared:
        """How the finished repetition compares.

        Raises:
            BadInput: a table of it is damaged.
        """
        return compare(self._before, StoredRun.of_folder(self.run.folder.path))


def compare(before: StoredRun, after: StoredRun) -> Compared:
    """Hold two runs of the same settings against each other."""
    one, other = before.tables["metrics"].set_index("epoch"), after.tables["metrics"].set_index("epoch")
    columns = [name for name in one.columns if name in other.columns and name not in TIMES]
    left_out = [name for name in one.columns.symmetric_difference(other.columns) if name not in TIMES]
    epochs = one.index.intersection(other.index)
    apart = _apart(one.loc[epochs, columns], other.loc[epochs, columns])
    differing = apart.index[(apart != 0).any(axis=1)]
    largest, where = 0.0, ""
    if len(differing):
        # NaN against a number is further apart than any two numbers.
        distances = apart.fillna(np.inf).to_numpy()
        row, column = divmod(int(distances.argmax()), len(columns))
        largest = float(apart.to_numpy()[row, column])
        where = f"{columns[column]} of epoch {epochs[row]}"
    values = {name: (before.result.get(name), after.result.get(name)) for name in REACHED}
    return Compared(
        hashes={name: _same(before.result.get(name), after.result.get(name)) for name in HASHES},
        epochs=(len(one), len(other)),
        first=int(differing[0]) if len(differing) else None,
        largest=largest,
        where=where,
        reached={name: both for name, both in values.items() if None not in both and both[0] != both[1]},
        left_out=tuple(left_out),
    )


@dataclass(frozen=True)
class Rerun:
    """What came of training a run again."""

    result: Result
    changes: Mapping[str, tuple[str, str]] | None
    """What was not as it was then; None where that was not noted."""
    compared: Compared | None
    """None for a process that does not lead its team."""


def _apart(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Distances; 0 where both are NaN or the same infinity, NaN where one of them is NaN."""
    same = (one == other) | (one.isna() & other.isna())
    return (one - other).abs().mask(same, 0.0)


def _same(one: object, other: object) -> bool | None:
    return None if one is None or other is None else one == other


def _spoken(name: str, then: Any, now: Any) -> str:
    if name == "epoch":
        return f"the best epoch was {then}, now {now}"
    return f"{name.replace('_', ' ')} {percent(then, 2)} then, {percent(now, 2)} now"
