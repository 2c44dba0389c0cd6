"""Run folders of a comparison -> tables: accuracy of each arm, paired differences, what is missing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mpdviz.analysis import paired, seeds
from mpdviz.compare import initial
from mpdviz.compare.executors import Failure
from mpdviz.compare.plan import Comparison, Planned, Undecided, told
from mpdviz.config import differences
from mpdviz.errors import BadInput
from mpdviz.runs.reading import StoredRun, is_finished, read_config, read_result
from mpdviz.runs.studies import arms_of, chosen, point_name, run_folders
from mpdviz.system.files import exists, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Collected:
    """What a comparison came to."""

    folder: Path
    runs: pd.DataFrame
    """One row a planned run: arm, strategy, point of the grid, chosen (whether it is the arm's choice from
    it), seed, finished, epoch, val_accuracy, test_accuracy, initial_weights, drawn_weights, data_order
    (hashes), folder (within the comparison's)."""
    accuracy: pd.DataFrame
    """One row an arm: chosen (point of the grid); n, mean, std (sample standard deviation) of the test
    accuracy; available, available_std, lowest of the available share after the last epoch, over layers and
    timesteps. Fractions."""
    differences: pd.DataFrame
    """One row an arm but the reference: `analysis.paired.family`."""
    weights: str
    """What is known of the runs' initial weights, in a sentence."""
    missing: tuple[str, ...]
    """Runs without a result."""
    failures: tuple[Failure, ...] = ()
    """Those of them that were tried now and failed, and why."""

    @property
    def any_finished(self) -> bool:
        """Whether there is a result at all; without one the accuracies are NaN."""
        return bool(self.runs["finished"].any())

    def __repr__(self) -> str:
        finished = f"{int(self.runs['finished'].sum())} of {len(self.runs)} runs finished"
        return f"Collected({'; '.join([finished, *self.differences['sentence']])})"

    def _repr_html_(self) -> str:
        """What a notebook shows: a row an arm, and what can be said about the differences."""
        table = self.summary()
        shares = table.select_dtypes("float").columns
        shown = table.assign(**{name: 100 * table[name] for name in shares})
        shown = shown.rename(columns={name: f"{name}, %" for name in shares})
        html = shown.to_html(index=False, border=0, na_rep="-", float_format="{:.2f}".format)
        said = "".join(f"<li>{escape(told)}</li>" for told in self.differences["sentence"])
        return f"{html}<ul>{said}</ul>"

    def plot(self, name: str) -> "Figure":
        """A figure of the comparison, as `mpdviz figures` draws it; what it needs recorded is recorded now.

        Args:
            name: a name of `mpdviz.figures.paper.FIGURES`, e.g. `differences`, `curves` or `available_ratio`.

        Raises:
            BadInput: unknown figure, or the comparison lacks what it shows.
        """
        from mpdviz.figures import paper
        from mpdviz.figures.paper.study import Study
        from mpdviz.inspection.study import study

        kind = paper.FIGURES.find(name)
        paths = run_folders(self.folder)
        made = Study([StoredRun.of_folder(*one) for one in zip(paths, arms_of(paths), strict=True)])
        if any(table in made.missing for table in kind.needs):
            made = study([self.folder]) or made
        return paper.draw(name, made)

    def write(self, folder: Path) -> Iterator[Path]:
        """Write runs.csv, accuracy.csv and differences.csv, and yield each path once written."""
        for name in ("runs", "accuracy", "differences"):
            table: pd.DataFrame = getattr(self, name)
            write_text(folder / f"{name}.csv", table.to_csv(index=False))
            yield folder / f"{name}.csv"

    def summary(self) -> pd.DataFrame:
        """Accuracy and difference in one table; NaN differences for the reference."""
        columns = ["arm", "pairs", "difference", "low", "high", "p", "p_holm", "detectable"]
        apart = self.differences.rename(columns={"n": "pairs"})[columns]
        return self.accuracy.merge(apart, on="arm", how="left").astype({"pairs": "Int64"})


def read_results(comparison: Comparison, failures: Sequence[Failure] = ()) -> Collected:
    """What the run folders of a comparison hold, finished or not.

    Args:
        comparison: what was planned.
        failures: what is known of runs without a result.

    Raises:
        BadInput: a run was made with other settings than its arm's (data, T, ...), or runs of one seed that
            should have started from the same weights did not.
    """
    planned = comparison.runs()
    for run in planned:
        _check_settings(run)
    choice = chosen(comparison.folder, comparison.plan)
    runs = pd.DataFrame([_row(comparison, run, choice[run.arm]) for run in planned])
    weights = initial.told(runs, comparison.plan.arms)
    counted = runs[runs["finished"] & runs["chosen"]]
    own = {arm.name: counted[counted["arm"] == arm.name] for arm in comparison.plan.arms}
    accuracies = {name: _by_seed(rows) for name, rows in own.items()}
    undecided = [slot.name for slot in comparison.slots() if isinstance(slot, Undecided)]
    missing = (*(run.name for run in planned if not is_finished(run.folder)), *undecided)
    return Collected(
        comparison.folder,
        runs,
        _accuracy(comparison.folder, own, choice),
        paired.family(accuracies, comparison.plan.reference),
        weights,
        missing,
        tuple(failures),
    )


def _check_settings(run: Planned) -> None:
    if not exists(run.folder.config):
        return
    changed = differences(run.config, read_config(run.folder))
    if changed:
        raise BadInput(
            f"{run.folder.path} holds another run than that of {run.name}: {told(changed)}",
            "compare runs that differ in their arm's settings and seed only; move it away",
        )


def _row(comparison: Comparison, run: Planned, choice: Mapping[str, Any] | None) -> dict[str, Any]:
    result = read_result(run.folder)
    names = ("epoch", "val_accuracy", "test_accuracy", "initial_weights", "drawn_weights", "data_order")
    return {
        "arm": run.arm,
        "strategy": run.config.strategy,
        "point": point_name(run.point),
        "chosen": run.point == choice,
        "seed": run.config.seed,
        "finished": bool(result.get("finished")),
        **{name: result.get(name) for name in names},
        "folder": run.folder.path.relative_to(comparison.folder).as_posix(),
    }


def _by_seed(runs: pd.DataFrame) -> dict[int, float]:
    return {int(seed): float(value) for seed, value in zip(runs["seed"], runs["test_accuracy"], strict=True)}


def _accuracy(
    folder: Path, own: Mapping[str, pd.DataFrame], choice: Mapping[str, Mapping[str, Any] | None]
) -> pd.DataFrame:
    rows = []
    for name, runs in own.items():
        accuracy = seeds.summarise(runs["test_accuracy"])
        shares = [_available(folder / place) for place in runs["folder"]]
        available = seeds.summarise(mean for mean, _ in shares)
        point = choice[name]
        rows.append(
            {
                "arm": name,
                "chosen": "not finished" if point is None else point_name(point),
                "n": accuracy.n,
                "mean": accuracy.mean,
                "std": accuracy.std,
                "available": available.mean,
                "available_std": available.std,
                "lowest": min((lowest for _, lowest in shares), default=math.nan),
            }
        )
    return pd.DataFrame(rows)


def _available(run: Path) -> tuple[float, float]:
    """Mean and least available share over layers and timesteps after the last epoch; NaN if not recorded."""
    recorded = StoredRun.of_folder(run).tables.get("mpd")
    if recorded is None:
        return math.nan, math.nan
    shares = recorded[recorded["epoch"] == recorded["epoch"].max()]["available_ratio"]
    return float(shares.mean()), float(shares.min())
