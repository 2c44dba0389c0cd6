"""What a network is fed for a batch of data: as they are, over and over, or what the user makes of them."""

from typing import Any

import torch
from torch import Tensor

from mpdviz import data
from mpdviz.data import Dataset
from mpdviz.errors import BadInput
from mpdviz.inspection.options import Options
from mpdviz.inspection.theirs import function
from mpdviz.inspection.trial import Trial, Trials, copies_for

COPIES = 97
"""Of a sample, to see where a tensor of the user's own making has its samples; no other size is likely so."""


class Inputs:
    """Turns batches into what a network is fed."""

    def __init__(self, dataset: Dataset, split: str, options: Options, device: torch.device) -> None:
        """Look at one sample.

        Raises:
            BadInput: options that do not go with the data.
        """
        self._batch = function("batch", options.batch)
        self._repeat = options.repeat_input
        self._frames = dataset.frames
        x, y = next(data.batches(dataset, split, 1))
        self._x, self._y = x.to(device), y.to(device)
        timed = self._frames
        if self._batch is not None:
            made = self._user_made(*self._copies(COPIES))
            timed = isinstance(made, Tensor) and made.dim() > 1 and len(made) != COPIES == made.shape[1]
            if self._repeat is not None and not isinstance(made, Tensor):
                raise BadInput("`repeat_input` with arguments that `batch` makes", "repeat them there")
        if timed and self._repeat is not None:
            raise BadInput("`repeat_input` with data that have timesteps of their own", "leave it out")
        self._timed = timed or self._repeat is not None
        self.length: int | None = len(self._copied(2)) if self._timed else None
        """T of what is fed; None where it has no time."""
        if options.time_axis is not None:
            self._check_axis(options.time_axis)

    def made(self, x: Tensor, y: Tensor) -> Any:
        """What is fed for a batch, time-major where it has time."""
        made = x if self._batch is None else self._user_made(x, y)
        return made if self._repeat is None else made.expand(self._repeat, *made.shape)

    def tried(self, trials: Trials, time_axis: int | None) -> Trial:
        """How a network takes it.

        Raises:
            BadInput: in no way, or it cannot be told how.
        """
        if self.length is None:
            return trials.of_images(self._copied)
        return trials.of_sequences(self._copied(copies_for(self.length)), time_axis)

    def _check_axis(self, axis: int) -> None:
        if self.length is None:
            raise BadInput("`time_axis` with data that have no time", "leave it out, or give `repeat_input`")
        rank = self._copied(2).dim()
        if not -rank <= axis < rank:
            raise BadInput(f"`time_axis` {axis} of an input of {rank} axes", f"give {-rank} to {rank - 1}")

    def _user_made(self, x: Tensor, y: Tensor) -> Any:
        assert self._batch is not None
        made = self._batch(x, y if y.numel() else None)
        if isinstance(made, list):
            made = tuple(made)
        if not isinstance(made, Tensor | tuple | dict):
            raise BadInput(
                f"`batch` returns an object of type {type(made).__name__}",
                "let it return a tensor, a tuple of arguments or a dict of keyword arguments",
            )
        return made

    def _copies(self, n: int) -> tuple[Tensor, Tensor]:
        axis = int(self._frames)
        x = self._x.expand(*self._x.shape[:axis], n, *self._x.shape[axis + 1 :])
        return x.contiguous(), self._y.expand(n, *self._y.shape[1:]).contiguous()

    def _copied(self, n: int) -> Any:
        return self.made(*self._copies(n))
