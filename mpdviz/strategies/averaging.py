"""What strategies share that follow the potentials: moving averages by timestep, saved with the network."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.strategies.base import Strategy


class Averaging(Strategy):
    """A strategy with moving averages `[T, ...]`, empty until the first batch says what T is."""

    averages: ClassVar[tuple[str, ...]]
    """Names of the buffers that hold them."""

    def __init__(self, momentum: float) -> None:
        """Set the weight of the newest batch.

        Raises:
            BadInput: `momentum` not in (0, 1].
        """
        super().__init__()
        self.synchronised = False
        if not 0 < momentum <= 1:
            problem = f"strategy {self.name!r}: momentum={momentum}"
            raise BadInput(problem, "give a number in (0, 1], e.g. 0.1")
        self.momentum = float(momentum)
        for name in self.averages:
            self.register_buffer(name, torch.zeros(0))

    def known(self, timesteps: int) -> bool:
        """Whether there are averages yet.

        Raises:
            BadInput: they belong to another T.
        """
        held = len(getattr(self, self.averages[0]))
        if held not in (0, timesteps):
            raise BadInput(
                f"strategy {self.name!r} holds averages of T={held}, not of T={timesteps}",
                "use the network with the T it was trained with",
            )
        return held > 0

    def take_in(self, name: str, values: Tensor, start: Tensor) -> None:
        """Move the average `name` towards `values` `[T, ...]`, from `start` at first; NaNs move nothing."""
        before = getattr(self, name)
        before = before if len(before) else start
        setattr(self, name, torch.lerp(before, torch.where(values.isnan(), before, values), self.momentum))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self.averages:
            saved = state_dict.get(prefix + name)
            if saved is not None:
                setattr(self, name, torch.zeros_like(saved, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args)
