"""TensorBoard: numbers and histograms in event files."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.loggers.base import Histogram, RunTracker, is_a

WRITER = "_AsyncWriterThread"
"""TensorBoard's, which writes in the background."""
FOLDER = "tensorboard"
"""Of the event files, in a run folder."""


class TensorBoard(RunTracker):
    """Through a `torch.utils.tensorboard.SummaryWriter`, or one of the package tensorboardX."""

    title = "TensorBoard"
    drops_later = True

    def __init__(self, writer: Any) -> None:
        """Log to `writer`."""
        self.writer = writer

    @override
    @classmethod
    def of(cls, target: object) -> Self | None:
        return cls(target) if is_a(target, "SummaryWriter") else None

    @override
    @classmethod
    def require(cls) -> None:
        try:
            import tensorboard  # noqa: F401
        except ImportError:
            problem = "`log` tensorboard needs the package tensorboard"
            raise BadInput(problem, "pip install 'mpdviz[tensorboard]'") from None

    @override
    @classmethod
    def opened(cls, folder: Path, settings: Mapping[str, Any], done: int, run: str) -> Self:
        """A new event file; TensorBoard drops what an interrupted process wrote of later steps."""
        from torch.utils.tensorboard import SummaryWriter

        _hush_writers()
        return cls(SummaryWriter(str(folder / FOLDER), purge_step=done + 1 if done else None))

    @override
    def log(self, values: Mapping[str, float], histograms: Mapping[str, Histogram], step: int | None) -> None:
        for tag, value in values.items():
            self.writer.add_scalar(tag, value, step)
        for tag, histogram in histograms.items():
            self.writer.add_histogram_raw(
                tag,
                min=histogram.low,
                max=histogram.high,
                num=int(histogram.counts.sum()),
                sum=histogram.total,
                sum_squares=histogram.squares,
                bucket_limits=histogram.edges[1:].tolist(),
                bucket_counts=histogram.counts.tolist(),
                global_step=step,
            )

    @override
    def flush(self) -> None:
        self.writer.flush()

    @override
    def close(self, *, finished: bool) -> None:
        self.writer.close()


def _hush_writers() -> None:
    """Let nothing be printed of what fails in TensorBoard's thread: it is raised where is written, too."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if type(args.thread).__name__ != WRITER:
            before(args)

    threading.excepthook = hook
