"""`status.json` of a run folder: how the run stands, written as it goes, read from anywhere (no torch)."""

import os
import platform
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mpdviz.errors import BadInput
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Counted, Share
from mpdviz.system.files import exists, write_text
from mpdviz.system.reading import read_json
from mpdviz.system.schema import checked

POINTS = 64
"""Points at the most that the curve of a run has, however long the run is."""
Seconds = Annotated[float, Field(ge=0, le=1e12)]


class LayerShare(BaseModel):
    """The available share of a layer in the last recording."""

    model_config = ConfigDict(strict=True, frozen=True)

    layer: Counted
    name: Annotated[str, Field(max_length=1000)]
    lowest: Share | None = None
    """At its worst timestep; None where it was not measured."""
    at: Counted | None = None
    """That timestep, from 1."""
    starved: bool = False


class Status(BaseModel):
    """How a run stands."""

    model_config = ConfigDict(strict=True, frozen=True)

    host: Annotated[str, Field(max_length=300)]
    process: Counted
    written: Seconds
    """When, in seconds since 1970."""
    ended: Annotated[str, Field(max_length=100)] | None = None
    """How its process has ended; None while it runs."""
    epoch: Counted = 1
    """Under way, from 1."""
    epochs: Counted = 0
    """Of the whole run; 0 before the first step."""
    step: Counted = 0
    """Steps done in the epoch."""
    steps: Counted = 0
    """Of an epoch; 0 before the first step."""
    loss: float | None = None
    """Mean training loss so far in the epoch."""
    accuracy: Share | None = None
    """Training accuracy so far in the epoch."""
    images_per_second: Seconds | None = None
    seconds_left: Seconds | None = None
    losses: Annotated[list[float | None], Field(max_length=POINTS)] = []
    """Training loss from the start until now, means over equally many steps."""
    val_epoch: Counted | None = None
    """The last epoch that was validated."""
    val_loss: float | None = None
    val_accuracy: Share | None = None
    recorded_epoch: Counted | None = None
    """When `layers` were recorded."""
    recorded_step: Counted | None = None
    layers: Annotated[list[LayerShare], Field(max_length=100_000)] = []

    @property
    def done(self) -> int:
        """Steps done in the whole run."""
        return max(self.epoch - 1, 0) * self.steps + self.step

    @property
    def of(self) -> int:
        """Steps of the whole run; 0 where that is not known yet."""
        return self.epochs * self.steps

    def worst_first(self) -> list[LayerShare]:
        """Layers by their lowest share; those that were not measured last."""
        return sorted(self.layers, key=lambda one: (one.lowest is None, one.lowest, one.layer))

    def has_gone(self) -> bool | None:
        """Whether its process is no more; None where that cannot be told, on another machine."""
        if self.host != platform.node():
            return None
        try:
            os.kill(self.process, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except OSError:  # there, and another user's
            return False
        return False


class Curve:
    """Means over equally many steps: a whole run in few points, the fewer the longer it gets."""

    def __init__(self) -> None:
        """No steps yet."""
        self._points: list[float] = []
        self._each, self._sum, self._count = 1, 0.0, 0

    def add(self, value: float, steps: int = 1) -> None:
        """So many steps had this mean."""
        while steps > 0:
            taken = min(steps, self._each - self._count)
            self._sum, self._count, steps = self._sum + taken * value, self._count + taken, steps - taken
            if self._count == self._each:
                self._points.append(self._sum / self._each)
                self._sum, self._count = 0.0, 0
            if len(self._points) == POINTS:
                pairs = zip(self._points[::2], self._points[1::2], strict=True)
                self._points, self._each = [(one + other) / 2 for one, other in pairs], 2 * self._each

    def points(self) -> list[float]:
        """The curve until now."""
        return [*self._points, *([self._sum / self._count] if self._count else [])][:POINTS]


def write_status(folder: RunFolder, status: Status) -> None:
    """Put it in the place of the one before, in one step.

    Raises:
        BadInput: it cannot be written.
    """
    # Not held until the disk has it, which takes long on some: it is of use for a moment.
    write_text(folder.status, status.model_dump_json(exclude_none=True) + "\n", lasting=False)


def read_status(folder: RunFolder) -> Status | None:
    """How a run stands; None where it has not said so.

    Raises:
        BadInput: a damaged file.
    """
    path, remedy = folder.status, "remove it: a run that goes on writes it again"
    if not exists(path):
        return None
    return checked(Status, read_json(path, "status", remedy), f"status {path}", remedy)


def last_known(folder: RunFolder) -> Status | None:
    """What `read_status` gives; None, too, where the file is damaged or goes away."""
    try:
        return read_status(folder)
    except BadInput:
        return None
