"""Loggers of Lightning, `pytorch_lightning`'s, `lightning`'s and Fabric's: whatever is behind them."""

from collections.abc import Mapping
from typing import Any, Self

from typing_extensions import override

from mpdviz.loggers.base import Histogram, Tracker, is_a
from mpdviz.loggers.mlflow import allowed
from mpdviz.loggers.tensorboard import TensorBoard

PACKAGES = ("lightning", "pytorch_lightning", "lightning_fabric")


class Lightning(Tracker):
    """Through a logger's `log_metrics`, as the trainer does; histograms where what is behind it has them."""

    def __init__(self, logger: Any) -> None:
        """Log to `logger`."""
        self._logger = logger

    @override
    @classmethod
    def of(cls, target: object) -> Self | None:
        return cls(target) if is_a(target, "Logger", PACKAGES) else None

    @override
    def log(self, values: Mapping[str, float], histograms: Mapping[str, Histogram], step: int | None) -> None:
        row: dict[str, Any] = dict(values)
        if is_a(self._logger, "MLFlowLogger", PACKAGES):
            row = {allowed(tag): value for tag, value in row.items()}
        elif is_a(self._logger, "WandbLogger", PACKAGES):
            from mpdviz.loggers.wandb import drawn

            row |= drawn(histograms)
        self._logger.log_metrics(row, step)
        if is_a(self._logger, "TensorBoardLogger", PACKAGES):
            TensorBoard(self._logger.experiment).log({}, histograms, step)
