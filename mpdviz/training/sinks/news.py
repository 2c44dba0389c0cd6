"""How a run stands, for whoever looks on: `status.json`, and the view of `mpdviz train --live`."""

import math
import os
import platform
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from mpdviz.analysis import summary
from mpdviz.errors import BadInput, Diverged, Interrupted, MpdvizWarning, TeamLost
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.reading import is_finished
from mpdviz.runs.state import Position, StepInfo
from mpdviz.runs.status import Curve, LayerShare, Status, write_status
from mpdviz.system.rank import rank
from mpdviz.training.sinks.base import Recorded, Sink

PAUSE = 1.0
"""Seconds between two writings."""
ENDS: dict[type[BaseException], str] = {
    Interrupted: "interrupted",
    KeyboardInterrupt: "interrupted",
    Diverged: "diverged",
    TeamLost: "lost one of its processes",
}
"""What a run ends by before it is finished, and in words; anything else has failed."""


class News(Sink):
    """Gathers what the run tells anyway, and writes it at most once a second; computes nothing."""

    @override
    def __init__(self, folder: RunFolder, position: Position, done: int) -> None:
        self._folder, self._full, self._written = folder, False, -math.inf
        self._facts: dict[str, Any] = {"epoch": position.epoch + 1, "step": position.step}
        self._curve, self._rows = Curve(), list(position.metrics)
        self._before: StepInfo | None = None
        self._first: tuple[float, int] | None = None
        if position.metrics:
            self._validated(position.metrics[-1])
        if rank() == 0 and not is_finished(folder):
            self._write()

    def status(self) -> Status:
        """How the run stands now."""
        return Status(
            host=platform.node(),
            process=os.getpid(),
            written=time.time(),
            losses=[*self._curve.points()],
            **self._facts,
        )

    @override
    def step(self, now: StepInfo) -> None:
        self._add_loss(now)
        at = time.perf_counter()
        if self._first is None:
            self._first = at, now.done
        since, done = self._first
        if now.done > done:  # in this process, evaluations and all
            self._facts["seconds_left"] = (at - since) / (now.done - done) * (now.of - now.done)
        self._facts |= {
            "epoch": now.epoch,
            "epochs": now.epochs,
            "step": now.step,
            "steps": now.steps,
            "loss": now.loss,
            "accuracy": now.accuracy,
            "images_per_second": now.images_per_second,
        }
        if at - self._written >= PAUSE:
            self._write()

    @override
    def recorded(self, recorded: Recorded, step: int) -> None:
        rows = summary.by_layer(recorded.layers)
        names = ("layer", "name", "lowest_ratio", "at_timestep", "starved")
        layers = [
            LayerShare(
                layer=int(layer),
                name=str(name)[:1000],
                lowest=None if math.isnan(lowest) else float(lowest),
                at=None if math.isnan(lowest) else int(at),
                starved=bool(starved),
            )
            for layer, name, lowest, at, starved in zip(*(rows[name] for name in names), strict=True)
        ]
        told = {"layers": layers, "recorded_epoch": recorded.epoch, "recorded_step": recorded.step}
        self._facts |= told

    @override
    def epoch(self, row: Mapping[str, Any], widths: Sequence[Mapping[str, Any]], step: int) -> None:
        self._validated(row)

    @override
    def flush(self) -> None:
        """Do nothing: a resumed run tells of itself anew."""

    @override
    def close(self) -> None:
        """Say how it ended, unless there was nothing to do."""
        error = sys.exception()
        told = next((word for kind, word in ENDS.items() if isinstance(error, kind)), "failed")
        if self._written > 0:
            self._facts["ended"] = "finished" if is_finished(self._folder) else told
            self._write()

    def _validated(self, row: Mapping[str, Any]) -> None:
        self._facts |= {
            "val_epoch": row["epoch"],
            "val_loss": row["val_loss"],
            "val_accuracy": row["val_accuracy"],
        }

    def _add_loss(self, now: StepInfo) -> None:
        for row in self._rows:  # of epochs before this process began, in which nobody told of steps
            self._curve.add(float(row["train_loss"] or 0.0), now.steps)
        self._rows.clear()
        before = self._before
        follows = before is not None and (before.epoch, before.step) == (now.epoch, now.step - 1)
        if before is not None and follows:  # `loss` is a mean over the steps of an epoch
            self._curve.add(now.step * now.loss - before.step * before.loss)
        else:
            self._curve.add(now.loss, now.step)
        self._before = now

    def _write(self) -> None:
        """Write, and say so once where that fails; the run goes on."""
        self._written = time.perf_counter()
        if self._full:
            return
        try:
            write_status(self._folder, self.status())
        except (BadInput, ValueError) as error:  # ValueError: a name that JSON cannot spell, among others
            self._full = True
            what = f"{error}".splitlines()[0]
            warnings.warn(f"nobody can look on: {what}; the run goes on", MpdvizWarning, stacklevel=2)
