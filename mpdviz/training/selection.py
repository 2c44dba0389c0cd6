"""Which epoch of a run counts: validation after each, the best kept, when to stop, the test at the end."""

from contextlib import nullcontext

import pandas as pd

from mpdviz import checkpoint
from mpdviz.analysis.classes import averages, by_class
from mpdviz.config import RunConfig
from mpdviz.data import Dataset
from mpdviz.errors import BadInput
from mpdviz.networks import SpikingNetwork
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position, Result
from mpdviz.system.files import write_text
from mpdviz.training.averaged import Averaged
from mpdviz.training.engine import Engine
from mpdviz.training.evaluate import Evaluation, evaluate
from mpdviz.training.saving import Saver

Score = tuple[float, float]
"""Validation accuracy and negative loss, which settles ties."""


class Selection:
    """Evaluates the network of a run, with averaged weights where the run has them, and keeps the best."""

    def __init__(
        self,
        config: RunConfig,
        network: SpikingNetwork,
        dataset: Dataset,
        engine: Engine,
        saver: Saver,
        folder: RunFolder,
        averaged: Averaged | None,
    ) -> None:
        """Choose among the epochs of this run."""
        self._config, self._network, self._dataset = config, network, dataset
        self._engine, self._saver, self._folder = engine, saver, folder
        self._averaged = averaged

    def validate(self, position: Position) -> tuple[Evaluation, Score]:
        """Evaluate after an epoch, and keep the weights if they are better than any before."""
        with nullcontext() if self._averaged is None else self._averaged.applied():
            found = self._evaluate("val")
            score = (found.accuracy, -found.loss)
            if score > position.best:
                self._saver.best({"epoch": position.epoch + 1, "val_accuracy": found.accuracy})
        return found, max(score, position.best)

    def is_over(self, position: Position) -> bool:
        """Whether no epoch is left, or so many were no better than the best that the run's patience ends."""
        config, scores = self._config, [_score(row) for row in position.metrics]
        if position.epoch >= config.epochs:
            return True
        return (
            config.patience is not None
            and bool(scores)
            and (len(scores) - 1 - scores.index(max(scores)) >= config.patience)
        )

    def finish(self, position: Position) -> Result:
        """Measure what the best epoch reaches on the test split, once, and keep it in its checkpoint.

        Raises:
            BadInput: the checkpoint of the best epoch is no such thing.
        """
        self._engine.team.share(None)  # the leader may still be writing it
        best = checkpoint.load(self._folder.best, into=lambda _: self._network)
        metrics = best.metrics
        if not {"epoch", "val_accuracy"} <= metrics.keys():
            raise BadInput(
                f"checkpoint {self._folder.best} lacks what it reached", "train into another `out`"
            )
        if "macro_f1" not in metrics:
            tables = {}
            for split in ("val", "test"):
                found = self._evaluate(split)
                tables[split] = found.confusion
                metrics |= {f"{split}_accuracy": found.accuracy} if split == "test" else {}
            metrics |= self._by_class(tables)
            self._saver.best(metrics)
        result = Result(
            self._folder.path,
            int(metrics["epoch"]),
            metrics["val_accuracy"],
            metrics["test_accuracy"],
            position.epoch,
            metrics["balanced_accuracy"],
            metrics["macro_f1"],
        )
        self._saver.result(result)
        return result

    def _by_class(self, confusions: dict[str, pd.DataFrame]) -> dict[str, float]:
        """Write the tables of classes; the test split's averages over them."""
        classes = {split: by_class(pairs, self._dataset.classes) for split, pairs in confusions.items()}
        if self._engine.team.leads:
            for path, tables in ((self._folder.confusion, confusions), (self._folder.classes, classes)):
                whole = pd.concat(tables, names=["split"]).reset_index("split")
                write_text(path, whole.to_csv(index=False))
        return averages(classes["test"])

    def _evaluate(self, split: str) -> Evaluation:
        with self._engine.autocast():
            return evaluate(self._network, self._dataset, split, self._config.batch_size, self._engine.team)


def _score(row: dict[str, float | int | str | None]) -> Score:
    return float(row["val_accuracy"] or 0.0), -float(row["val_loss"] or 0.0)
