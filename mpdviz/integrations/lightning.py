"""A callback for Lightning, `lightning.pytorch` and `pytorch_lightning` alike.

    trainer = Trainer(callbacks=[MPDCallback(every_n_steps=50)])
    trainer.fit(module)

It records as `mpdviz.record` does and changes nothing of the training: weights stay bit for bit the same.
"""

import sys
import warnings
from collections.abc import Collection, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from mpdviz import loggers
from mpdviz.accumulations.contents import Contents
from mpdviz.accumulations.layer import LayerAccumulation, merge
from mpdviz.analysis import summary
from mpdviz.api import Recording
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.recording.recorder import Recorder

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
"""Lightning's two names: the classes of one are none of the other's."""


def _bases() -> tuple[type, ...]:
    """The class `Callback` of the Lightning that is in use, of both where that cannot be told.

    Raises:
        BadInput: neither is installed.
    """
    loaded = [name for name in PACKAGES if name in sys.modules]
    installed = loaded or [name for name in PACKAGES if find_spec(name.partition(".")[0])]
    if not installed:
        raise BadInput("MPDCallback needs the package lightning", "pip install 'mpdviz[lightning]'")
    return tuple(import_module(f"{name}.callbacks").Callback for name in installed)


if TYPE_CHECKING:
    from pytorch_lightning import Callback
else:
    Callback = type("Callback", _bases(), {"__doc__": "A callback of whichever Lightning there is."})


class _Pieces:
    """What is recorded piece by piece, each a step or a validation, and of all of them together."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.all: dict[int, LayerAccumulation] = {}
        self._said = False

    def take(self) -> dict[int, LayerAccumulation]:
        """End a piece: its layers, by number."""
        layers = self.recorder.layers
        self.recorder.clear()
        self.recorder.raise_warnings()
        try:
            self.all = merge(self.all, layers) if self.all else layers
        except BadInput as error:  # of a threshold that is learned, or layers that did not run
            if not self._said:
                _warn(f"steps cannot be added up, `callback.recording` has the latest alone: {error}")
            self.all, self._said = layers, True
        return layers

    def recording(self, network: str) -> Recording:
        origin = {"network": network}
        return Recording(Contents(self.all, self.recorder.left_out, self.recorder.network(), origin))


class MPDCallback(Callback):
    """Records the spiking layers of a LightningModule while it is trained, and logs what it finds.

    Numbers go to all loggers of the trainer, with the tags of `mpdviz.loggers.contents`, those of validation
    with `val/` before them, at the step of what Lightning itself logs of the same batch. A layer that is
    starved is warned of, once. In a training of several processes the first one records, of its own share of
    the batches; that is said.
    """

    def __init__(
        self,
        every_n_steps: int | None = 50,
        *,
        validation_batches: int = 0,
        layers: Collection[int | str] | None = None,
        gradients: bool = False,
    ) -> None:
        """Say what is recorded.

        Args:
            every_n_steps: record every n-th step of the optimizer, with all batches whose gradients it
                accumulates; None records no training.
            validation_batches: record the first n batches of each validation, of each of its loaders.
            layers: numbers (from 1, in execution order) or names of the layers, as `mpdviz.record` takes
                them; None records all.
            gradients: also record the gradients of the training steps.

        Raises:
            BadInput: a number is out of range.
        """
        if every_n_steps is not None and every_n_steps < 1:
            raise BadInput(f"`every_n_steps` {every_n_steps}", "give 1 or more, or None")
        if validation_batches < 0:
            raise BadInput(f"`validation_batches` {validation_batches}", "give 0 or more")
        self.every_n_steps, self.validation_batches = every_n_steps, validation_batches
        self.layers, self.gradients = layers, gradients
        self._network = ""
        self._training: _Pieces | None = None
        self._validation: _Pieces | None = None
        self._next = 0  # step from which on one is recorded
        self._step: int | None = None  # that is being recorded
        self._warned = False

    @property
    def recording(self) -> Recording:
        """The steps recorded in the latest epoch of training together; empty before the first."""
        return self._recording(self._training)

    @property
    def validation_recording(self) -> Recording:
        """What was recorded of the latest validation; empty before the first."""
        return self._recording(self._validation)

    def _recording(self, pieces: _Pieces | None) -> Recording:
        return Recording(Contents({})) if pieces is None else pieces.recording(self._network)

    def _pieces(self, pl_module: Any, *, gradients: bool) -> _Pieces:
        self._network = type(pl_module).__name__
        return _Pieces(Recorder(pl_module, layers=self.layers, gradients=gradients))

    @override
    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Look for the neurons, so that what is asked for in vain is told before training starts.

        Raises:
            BadInput: there is no such layer, or the module is compiled.
        """
        if not trainer.is_global_zero:
            return
        self._training = self._pieces(pl_module, gradients=self.gradients)
        if trainer.world_size > 1:
            _warn(f"of {trainer.world_size} processes the first records, of its own share of the batches")

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to count where a resumed training goes on."""
        if self.every_n_steps is not None:
            self._next = -(-trainer.global_step // self.every_n_steps) * self.every_n_steps

    @override
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the recording of another epoch."""
        if self._training is not None:
            self._training.all = {}

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Record this batch, if its step is one to record."""
        if self._training is None or self.every_n_steps is None:
            return
        if self._step is None and trainer.global_step >= self._next:
            self._step = trainer.global_step
        if self._step is not None:
            self._training.recorder.attach()

    @override
    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log what was recorded, if the step is done with this batch."""
        if self._training is None or self._step is None or self.every_n_steps is None:
            return
        self._training.recorder.detach()
        if trainer.global_step > self._step:
            self._log(trainer, self._training.take(), self._step)
            self._next = (self._step // self.every_n_steps + 1) * self.every_n_steps
            self._step = None

    @override
    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the recording of another validation."""
        if trainer.is_global_zero and self.validation_batches and not trainer.sanity_checking:
            if self._validation is None:
                self._validation = self._pieces(pl_module, gradients=False)
            self._validation.all = {}

    @override
    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Record this batch, if it is among the first."""
        wanted = batch_idx < self.validation_batches and not trainer.sanity_checking
        if self._validation is not None and wanted:
            self._validation.recorder.attach()

    @override
    def on_validation_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Record no more."""
        if self._validation is not None:
            self._validation.recorder.detach()

    @override
    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log what was recorded of this validation."""
        if self._validation is not None and not trainer.sanity_checking:
            step = max(trainer.global_step - 1, 0)  # that was the last one, as in Lightning's own numbers
            self._log(trainer, self._validation.take(), step, "val/")

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Record no more, where a batch was ended by an error or by Ctrl-C."""
        self._detach()

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Record no more."""
        self._detach()

    def _detach(self) -> None:
        for pieces in (self._training, self._validation):
            if pieces is not None:
                pieces.recorder.detach()
        self._step = None

    def _log(
        self, trainer: Any, layers: Mapping[int, LayerAccumulation], step: int, prefix: str = ""
    ) -> None:
        for logger in trainer.loggers:
            loggers.log(logger, layers, step, prefix)
        table = summary.by_layer(layers)
        if not self._warned and table["starved"].any():
            self._warned = True
            _warn(f"step {step}: {summary.answer(table)} `callback.recording.advice()` says what may help")


def _warn(message: str) -> None:
    warnings.warn(message, MpdvizWarning, stacklevel=2)
