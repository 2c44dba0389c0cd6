"""A run in a tracker: loss and accuracy after every epoch, and what `loggers.contents` says of a recording.

loss/train, loss/train penalty, loss/val, accuracy/train, accuracy/val, lr, seconds    after every epoch

What a tracker knows the run by, and up to where it was told of it, lies in RUN/TRACKER/run.json. A run that
goes on from its last save repeats what came after it bit for bit, so a tracker that cannot forget is not
told again.
"""

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from typing_extensions import override

from mpdviz.config import read_recipe
from mpdviz.errors import BadInput, MpdvizError, MpdvizWarning
from mpdviz.loggers import TRACKERS, contents
from mpdviz.loggers.base import RunTracker
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position
from mpdviz.system.files import exists, make_folder, write_text
from mpdviz.system.reading import read_json
from mpdviz.training.sinks.base import Recorded, Sink

EPOCH = {
    "train_loss": "loss/train",
    "train_penalty": "loss/train penalty",
    "val_loss": "loss/val",
    "train_accuracy": "accuracy/train",
    "val_accuracy": "accuracy/val",
    "lr": "lr",
    "seconds": "seconds",
}
"""Columns of `metrics.csv` and their tags."""
OF_EPOCHS, OF_RECORDINGS = "epochs", "recordings"
LONGEST_SHOWN = 200
"""Characters of a tracker's error that a message shows."""


class Logged(Sink):
    """The numbers of one run in a tracker."""

    tracker: ClassVar[str]
    """Its name in `loggers.TRACKERS`."""

    @override
    @classmethod
    def require(cls) -> None:
        cls._kind().require()

    @classmethod
    def _kind(cls) -> type[RunTracker]:
        kind = TRACKERS[cls.tracker]
        assert issubclass(kind, RunTracker)
        return kind

    def __init__(self, folder: RunFolder, position: Position, done: int) -> None:
        """Open a run of the tracker, or go on with the one it had."""
        kind = self._kind()
        self._title, self._drops = kind.title, kind.drops_later
        self._note = folder.path / self.tracker / "run.json"
        self._run, self._told = self._noted() if done else ("", {})
        self._before = dict(self._told)
        settings = read_recipe(folder.config) if exists(folder.config) else {}
        self._epoch, self._epochs = position.epoch, settings.get("epochs")
        self._stopped = False
        self._opened: RunTracker | None = None
        with self._apart():
            self._opened = kind.opened(folder.path, settings, done, self._run)
            self._run = self._opened.run
            self._write_note()

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Stop logging, and say so once, where the tracker fails; the run goes on."""
        try:
            yield
        except MpdvizError:
            raise
        except Exception as error:  # no room, no network, ...: each tracker has errors of its own
            if not self._stopped:
                what = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
                warnings.warn(
                    f"logging to {self._title} has stopped: {' '.join(what.split())[:LONGEST_SHOWN]}; "
                    "the run goes on",
                    MpdvizWarning,
                    stacklevel=2,
                )
            self._stopped = True

    @override
    def epoch(self, row: Mapping[str, Any], widths: Sequence[Mapping[str, Any]], step: int) -> None:
        self._epoch = row.get("epoch", self._epoch)
        # A penalty has only a run that is regularised.
        values = {tag: float(row[column]) for column, tag in EPOCH.items() if column in row}
        values = {tag: value for tag, value in values.items() if not math.isnan(value)}
        self._log(OF_EPOCHS, step, lambda: (values, {}))

    @override
    def recorded(self, recorded: Recorded, step: int) -> None:
        layers = recorded.layers
        self._log(OF_RECORDINGS, step, lambda: (contents.scalars(layers), contents.histograms(layers)))
        self.flush()

    @override
    def flush(self) -> None:
        if self._opened is not None and not self._stopped:
            with self._apart():
                self._opened.flush()

    @override
    def close(self) -> None:
        if self._opened is not None:
            with self._apart():
                self._opened.close(finished=self._epoch == self._epochs)

    def _log(self, what: str, step: int, made: Any) -> None:
        if self._opened is None or self._stopped:
            return
        if not self._drops and step <= self._before.get(what, 0):
            return
        values, histograms = made()
        with self._apart():
            self._opened.log(values, histograms, step)
            self._told[what] = step
            self._write_note()

    def _noted(self) -> tuple[str, dict[str, int]]:
        """The run that the tracker had, and the last step that it was told of."""
        if self._drops or not exists(self._note):
            return "", {}
        remedy = "remove it: the run goes on as a new one there"
        content = read_json(self._note, "note", remedy)
        try:
            told = {what: int(content["told"][what]) for what in content["told"]}
            return str(content["run"]), told
        except (TypeError, KeyError, ValueError):
            raise BadInput(f"note {self._note} does not say which run it is of", remedy) from None

    def _write_note(self) -> None:
        if not self._drops:
            make_folder(self._note.parent)
            write_text(self._note, json.dumps({"run": self._run, "told": self._told}) + "\n")


class TensorBoard(Logged):
    """In event files, for `tensorboard --logdir`."""

    tracker = "tensorboard"


class WandB(Logged):
    """As a run of Weights & Biases."""

    tracker = "wandb"


class MLflow(Logged):
    """As a run of MLflow."""

    tracker = "mlflow"
