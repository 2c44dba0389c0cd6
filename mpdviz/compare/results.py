"""Run folders of a comparison -> tables: accuracy a strategy, paired differences, what is missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mpdviz.analysis import paired, seeds
from mpdviz.compare.executors import Failure
from mpdviz.compare.plan import VARIED, Comparison, Planned, told
from mpdviz.config import differences
from mpdviz.errors import BadInput
from mpdviz.runs.reading import StoredRun, is_finished, read_config, read_result, run_folders
from mpdviz.system.files import exists, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Collected:
    """What a comparison came to."""

    folder: Path
    runs: pd.DataFrame
    """One row a planned run: strategy, seed, finished, epoch, val_accuracy, test_accuracy, initial_weights,
    folder (within the comparison's)."""
    accuracy: pd.DataFrame
    """One row a strategy: n, mean, std (sample standard deviation) of the test accuracy, as fractions."""
    differences: pd.DataFrame
    """One row a strategy but the first: n, difference, std, low, high (95 % interval), sentence."""
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
        """What a notebook shows: a row a strategy, and what can be said about the differences."""
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
        made = Study([StoredRun.of_folder(path) for path in run_folders(self.folder)])
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
        """Accuracy and difference in one table; NaN differences for the first strategy."""
        columns = ["strategy", "pairs", "difference", "low", "high"]
        apart = self.differences.rename(columns={"n": "pairs"})[columns]
        return self.accuracy.merge(apart, on="strategy", how="left").astype({"pairs": "Int64"})


def read_results(comparison: Comparison, failures: Sequence[Failure] = ()) -> Collected:
    """What the run folders of a comparison hold, finished or not.

    Args:
        comparison: what was planned.
        failures: what is known of runs without a result.

    Raises:
        BadInput: a run was made with other settings than the comparison's (data, T, ...), or runs of one seed
            did not start from the same weights.
    """
    planned = comparison.runs()
    for run in planned:
        _check_settings(run)
    runs = pd.DataFrame([_row(comparison, run) for run in planned])
    _check_initial_weights(runs)
    finished = runs[runs["finished"]]
    accuracies = {name: _by_seed(finished[finished["strategy"] == name]) for name in comparison.strategies}
    missing = tuple(run.name for run in planned if not is_finished(run.folder))
    return Collected(
        comparison.folder, runs, _accuracy(accuracies), _differences(accuracies), missing, tuple(failures)
    )


def _check_settings(run: Planned) -> None:
    if not exists(run.folder.config):
        return
    found = read_config(run.folder)
    changed = {
        name: (getattr(run.config, name), getattr(found, name))
        for name in VARIED
        if getattr(run.config, name) != getattr(found, name)
    } or differences(run.config, found, but=VARIED)
    if changed:
        raise BadInput(
            f"{run.folder.path} holds another kind of run than the rest of the comparison: {told(changed)}",
            "compare runs that differ in strategy and seed only; move it away",
        )


def _row(comparison: Comparison, run: Planned) -> dict[str, Any]:
    result = read_result(run.folder)
    return {
        "strategy": run.config.strategy,
        "seed": run.config.seed,
        "finished": bool(result.get("finished")),
        "epoch": result.get("epoch"),
        "val_accuracy": result.get("val_accuracy"),
        "test_accuracy": result.get("test_accuracy"),
        "initial_weights": result.get("initial_weights"),
        "folder": run.folder.path.relative_to(comparison.folder).as_posix(),
    }


def _check_initial_weights(runs: pd.DataFrame) -> None:
    for seed, group in runs.dropna(subset="initial_weights").groupby("seed"):
        hashes = dict(zip(group["strategy"], group["initial_weights"], strict=True))
        if len(set(hashes.values())) > 1:
            names = ", ".join(f"{name} {str(digest)[:8]}" for name, digest in hashes.items())
            raise BadInput(
                f"runs of seed {seed} did not start from the same weights: {names}",
                "train them again with one version of mpdviz and of torch",
            )


def _by_seed(runs: pd.DataFrame) -> dict[int, float]:
    return {int(seed): float(value) for seed, value in zip(runs["seed"], runs["test_accuracy"], strict=True)}


def _accuracy(accuracies: Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
    rows = []
    for name, by_seed in accuracies.items():
        summary = seeds.summarise(by_seed.values())
        rows.append({"strategy": name, "n": summary.n, "mean": summary.mean, "std": summary.std})
    return pd.DataFrame(rows)


def _differences(accuracies: Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
    columns = ["strategy", "against", "n", "seeds", "difference", "std", "low", "high", "sentence"]
    reference, *others = accuracies
    rows = []
    for name in others:
        difference = paired.compare(accuracies[name], accuracies[reference])
        values = (difference.mean, difference.std, difference.low, difference.high)
        pairs = " ".join(map(str, difference.seeds))
        told = paired.sentence(name, reference, difference)
        rows.append((name, reference, difference.n, pairs, *values, told))
    return pd.DataFrame(rows, columns=columns)
