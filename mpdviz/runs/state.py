"""Where a run stands, what it shows of that on the way, and what it reached."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1)]
Counted = Annotated[int, Field(ge=0, lt=2**53)]
Row = dict[str, float | int | str | None]


@dataclass(frozen=True)
class StepInfo:
    """How far a run is, after one training step."""

    epoch: int
    epochs: int
    step: int
    """Steps done in this epoch."""
    steps: int
    loss: float
    """Mean training loss so far in this epoch."""
    accuracy: float
    """Training accuracy so far in this epoch."""
    images_per_second: float

    @property
    def done(self) -> int:
        """Steps done in the whole run."""
        return (self.epoch - 1) * self.steps + self.step

    @property
    def of(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps


@dataclass
class Position:
    """Where a run stands; saved in `last.pt`, so that a resumed run continues at the very next step."""

    epoch: Counted = 0
    """Epochs finished."""
    step: Counted = 0
    """Steps done in the epoch under way."""
    loss: float = 0.0
    """Sum of the losses of the epoch's samples so far, penalties included."""
    penalty: float = 0.0
    """Sum of the regulariser's penalties in it."""
    correct: Counted = 0
    samples: Counted = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    best: tuple[float, float] = (-1.0, 0.0)
    """Validation accuracy and negative loss of the best epoch; the loss settles ties."""
    metrics: list[Row] = field(default_factory=list)
    widths: list[Row] = field(default_factory=list)

    def info(self, epochs: int, steps: int) -> StepInfo:
        """What to show of this, in a run of so many epochs with so many steps each."""
        return StepInfo(
            self.epoch + 1,
            epochs,
            self.step,
            steps,
            self.loss / self.samples,
            self.correct / self.samples,
            self.samples / self.seconds,
        )


@dataclass(frozen=True)
class Result:
    """What a finished run reached, for the epoch that was best on validation."""

    folder: Path
    epoch: int
    val_accuracy: float
    test_accuracy: float
    epochs: int
    """That were trained."""
    balanced_accuracy: float
    """Mean recall over the classes of the test split."""
    macro_f1: float
    """Mean F1 over them."""
