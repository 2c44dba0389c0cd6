"""Training: `fit` turns settings into a run folder.

A run is a pure function of its settings: initial weights, data order and augmentation are drawn from
(seed, epoch), never from how far a process got, so a run that is interrupted and resumed goes on bit for
bit as if it had not been (on one machine, with one number of threads).
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mpdviz.config import RunConfig
from mpdviz.data import Dataset
from mpdviz.errors import Interrupted, MpdvizWarning, TeamLost
from mpdviz.kernels.backends import resolve, using
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position, Result, StepInfo
from mpdviz.system.files import exists
from mpdviz.system.memory import keep_large_buffers
from mpdviz.system.signals import Stop, stop_signals
from mpdviz.system.team import lost_team
from mpdviz.training.averaged import Averaged
from mpdviz.training.diagnose import Guard
from mpdviz.training.engine import Engine, Gradients
from mpdviz.training.fresh import (
    architecture,
    cautions,
    count_potentials,
    data_of,
    fresh_network,
    require_room,
    start_from,
    trainable,
)
from mpdviz.training.monitor import Monitor
from mpdviz.training.optimizers import optimizer_of, restored
from mpdviz.training.rates import Rates
from mpdviz.training.resumed import REMEDY, averaged_of, check_position
from mpdviz.training.saving import Saver
from mpdviz.training.schedule import order_hash, remaining_batches, steps_per_epoch
from mpdviz.training.selection import Selection
from mpdviz.training.sinks import Sink, required
from mpdviz.training.sinks.news import News

Watcher = Callable[[StepInfo], object]
EpochWatcher = Callable[[dict[str, Any]], object]


def fit(config: RunConfig, out: Path, *, resume: bool = False) -> Result:
    """Train a network and leave a run folder: `Run(config, out, resume=resume).fit()`."""
    return Run(config, out, resume=resume).fit()


class Run:
    """A run under way: the network, the engine that trains it and where it stands."""

    def __init__(
        self,
        config: RunConfig,
        out: Path,
        *,
        resume: bool = False,
        dataset: Dataset | None = None,
        command: str = "",
    ) -> None:
        """Check everything, build the network and make the run folder ready.

        Args:
            config: the run's settings.
            out: the run folder, created where needed; see `runs.folder` for what will be in it.
            resume: continue the run in `out`; a fresh start in an empty folder, no work for a finished run.
            dataset: the data; None loads those that `config` names.
            command: what started it, to be noted; empty: the command line.

        Raises:
            BadInput: settings that contradict the data, the devices or the run to be resumed; nothing has
                been written.
        """
        kinds = required(config.log)
        self.engine, self._rates = Engine(config), Rates(config)
        self.team, device = self.engine.team, self.engine.device
        dataset = trainable(data_of(config) if dataset is None else dataset, config)
        self.dataset, self.folder = dataset.to(device), RunFolder(out)
        goes_on = resume and exists(self.folder.last)
        self.network = fresh_network(config, self.dataset, device, placed=not goes_on)
        left = None if goes_on else start_from(self.network, config)
        self.engine.objective.check(self.network)
        for caution in (
            [*cautions(self.network, self.team.size), *filter(None, [left])] if self.team.leads else ()
        ):
            warnings.warn(caution, MpdvizWarning, stacklevel=2)
        optimizer = optimizer_of(config, self.network.parameters())
        self.averaged = None if config.ema is None else Averaged(self.network, config.ema)
        self.position, self._guard = Position(), Guard(self.network, self.folder)
        potentials = count_potentials(self.network, self.dataset, config.epochs)
        if device.type == "cpu":
            require_room(potentials, self.dataset, config)
        resolved = {"devices": self.team.size, "backend": resolve(config.backend, potentials, device.type)}
        self.config = config.model_copy(update=resolved)
        self.saver = Saver(
            self.folder,
            self.config,
            self.network,
            architecture(config, dataset),
            order_hash(self.config, self.dataset),
            leads=self.team.leads,
            command=command,
        )
        self.selection = Selection(
            self.config, self.network, self.dataset, self.engine, self.saver, self.folder, self.averaged
        )
        if self.team.leads:
            self.folder.create(resume=resume)
        try:
            self._begin(optimizer, kinds if self.team.leads else [], resume=resume)
        except BaseException:
            self.folder.release()
            raise

    def _begin(self, optimizer: torch.optim.Optimizer, kinds: Sequence[type[Sink]], *, resume: bool) -> None:
        self.monitor = Monitor(self.network, self.dataset, self.config.record_samples)
        saved = self.saver.restore() if resume and self.folder.last.exists() else None
        if saved is not None:
            steps = steps_per_epoch(self.config, self.dataset)
            check_position(saved.position, self.config, steps, self.folder.last)
            state = restored(saved.optimizer, optimizer, self.config, self.folder.last, REMEDY)
            average = averaged_of(saved, self.network, self.config, self.folder.last)
            if self.averaged is not None and average is not None:
                self.averaged.restore(average)
        # Here: whatever is wrong with the settings is told by one process, before there are more.
        self.engine.setup(self.network, optimizer, time_major=self.dataset.frames)
        if len(set(self.team.share(self.folder.holder()))) > 1:  # each goes on from what lies there
            self.engine.close()
            raise self.folder.not_shared()
        if saved is None:
            self.saver.result(None)
        else:
            self.engine.restore(state, saved.scaler)
            self.position = saved.position
        self.saver.begin()
        self._tell_stage()
        self.sinks = [kind(self.folder, self.position, self._steps_done()) for kind in kinds]
        self.news = News(self.folder, self.position, self._steps_done())
        self.sinks += [self.news] if self.team.leads else []

    def fit(self, *, on_step: Watcher | None = None, on_epoch: EpochWatcher | None = None) -> Result:
        """Train what is left of the run. SIGINT and SIGTERM finish the step under way and save.

        Args:
            on_step: called after every training step.
            on_epoch: called after every epoch with its row of `metrics.csv`.

        Raises:
            Diverged: a loss or gradient that is not finite; the last good checkpoint stays.
            Interrupted: stopped by a signal, state saved.
            TeamLost: another process of the run has ended.
        """
        keep_large_buffers()
        try:
            with using(self.config.backend), stop_signals() as stopped, self._team(stopped):
                while not self.selection.is_over(self.position):
                    self._train_epoch(on_step, stopped)
                    row = self._close_epoch()
                    if on_epoch is not None:
                        on_epoch(row)
                return self.selection.finish(self.position)
        finally:
            self.engine.close()
            for sink in self.sinks:
                sink.close()
            self.folder.release()

    @contextmanager
    def _team(self, stopped: Stop) -> Iterator[None]:
        """A team that loses a member because it was asked to stop as a whole was interrupted, no more."""
        try:
            with lost_team():
                yield
        except TeamLost:
            if not stopped.is_set():
                raise
            raise Interrupted(
                f"interrupted in epoch {self.position.epoch + 1}, before it could be saved",
                "continue with `resume`",
            ) from None

    def _train_epoch(self, on_step: Watcher | None, stopped: Stop) -> None:
        config, position = self.config, self.position
        steps = steps_per_epoch(config, self.dataset)
        self.network.train()
        # Here too: a run that was interrupted behind the last step has none left to set it.
        self.engine.set_lr(self._rates.at(position.epoch, min(position.step, steps - 1), steps))
        for x, y in remaining_batches(config, self.dataset, position.epoch, position.step):
            started = time.perf_counter()
            self.engine.set_lr(self._rates.at(position.epoch, position.step, steps))
            found = self._step(x, y)
            position.step += 1
            if self.averaged is not None:
                self.averaged.update(self._steps_done())
            self._tell_stage()
            position.loss += found.loss * len(y)
            position.penalty += found.penalty * len(y)
            position.correct += found.correct
            position.samples += len(y)
            position.seconds += time.perf_counter() - started
            now = position.info(config.epochs, steps)
            for sink in self.sinks:
                sink.step(now)
            if on_step is not None:
                on_step(now)
            if position.step % (config.record_every or steps) == 0:
                self._guard.check_state(self.position)
                self._record()
            if config.save_every is not None and position.step % config.save_every == 0:
                self._guard.check_state(self.position)
                self._save_last({})
            if any(self.team.total(stopped.is_set(), device=self.engine.device)):
                self._guard.check_state(self.position)
                self._save_last({})
                raise Interrupted(
                    f"interrupted in epoch {position.epoch + 1}, state saved in {self.folder.last}",
                    "continue with `resume`",
                )

    def _record(self) -> None:
        if self.team.leads:
            recorded = self.monitor.record(self.position.epoch + 1, self.position.step)
            for sink in self.sinks:
                sink.recorded(recorded, self._steps_done())

    def _tell_stage(self) -> None:
        """Let strategies know where the training stands, from the position alone, so that a resume agrees."""
        steps = self.config.epochs * steps_per_epoch(self.config, self.dataset)
        self.network.stage = (self.position.epoch, self._steps_done() / steps)

    def _steps_done(self) -> int:
        """Training steps since the start of the run."""
        return self.position.epoch * steps_per_epoch(self.config, self.dataset) + self.position.step

    def _step(self, x: Tensor, y: Tensor) -> Gradients:
        found = self.engine.gradients(x, y)
        self._guard.check_step(found, self.position, lambda: self.engine.part(x, y)[0])
        self.engine.step()
        return found

    def _close_epoch(self) -> dict[str, Any]:
        """Evaluate, note the epoch in the tables and save."""
        config, position = self.config, self.position
        self._guard.check_state(self.position)
        validated, best = self.selection.validate(position)
        steps = steps_per_epoch(config, self.dataset)
        row: dict[str, Any] = {
            "epoch": position.epoch + 1,
            "train_loss": position.loss / position.samples,
            "train_accuracy": position.correct / position.samples,
            "val_loss": validated.loss,
            "val_accuracy": validated.accuracy,
            "lr": self._rates.at(position.epoch, steps - 1, steps),
            "seconds": position.seconds,
        }
        if config.regularize is not None:
            row["train_penalty"] = position.penalty / position.samples
        widths = [{"epoch": position.epoch + 1, **layer} for layer in self.network.widths()]
        for sink in self.sinks:  # before the save: a resumed run repeats what comes after it
            sink.epoch(row, widths, self._steps_done())
        self.position = Position(
            epoch=position.epoch + 1,
            best=best,
            metrics=[*position.metrics, row],
            widths=[*position.widths, *widths],
        )
        self._tell_stage()
        self._save_last({"epoch": self.position.epoch, "val_accuracy": validated.accuracy})
        return row

    def _save_last(self, metrics: dict[str, float]) -> None:
        # First: what a resumed run finds beyond its position it drops, what is missing it cannot make up.
        for sink in self.sinks:
            sink.flush()
        averaged = {} if self.averaged is None else {"averaged": self.averaged.values}
        self.saver.last(metrics, self.engine.state() | averaged, self.position)
        for sink in self.sinks:
            sink.saved()
