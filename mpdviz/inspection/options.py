"""What may be asked of an inspection; the defaults of `inspect` and of the command line are these."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpdviz.errors import BadInput, unknown_name

MODES = ("eval", "train")
OF_MODULES = ("time_axis", "repeat_input", "loss", "batch", "key", "prefix")
"""Options that say how a module of the user's takes input and weights, and what its output is worth."""
OF_WEIGHTS = ("key", "prefix")
"""Options that say where in a file the weights are."""
Function = str | Callable[..., Any]
"""A function, or `package.module:function`."""
OF_RELEASED = ("timesteps", "strategy", "decay", "v_th")
"""Options that say what a released file does not hold."""


@dataclass(frozen=True)
class Options:
    """The arguments of `inspect` but the source, which explains them."""

    data: str | None = None
    data_dir: Path | None = None
    split: str | None = None
    limit: int | None = None
    batch_size: int = 64
    mode: str = "eval"
    gradients: bool = False
    what_if: tuple[float, ...] = ()
    epsilon: float = 0.1
    timesteps: int | None = None
    strategy: str | None = None
    decay: float | None = None
    v_th: float | None = None
    time_axis: int | None = None
    repeat_input: int | None = None
    loss: Function | None = None
    batch: Function | None = None
    key: str | None = None
    prefix: str | None = None
    device: str = "auto"
    backend: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what makes no sense whatever the source.

        Raises:
            BadInput: an option out of range.
        """
        if self.mode not in MODES:
            raise unknown_name("mode", self.mode, MODES)
        for name in ("limit", "repeat_input"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"`{name}` {value}", "give at least 1")
        if self.loss is not None and not self.gradients:
            raise BadInput("`loss` without `gradients`", "give `gradients` too, or leave it out")

    def refuse(self, names: tuple[str, ...], why: str, remedy: str) -> None:
        """Refuse those of these options that were given.

        Raises:
            BadInput: one was.
        """
        for name in names:
            if getattr(self, name) is not None:
                raise BadInput(f"`{name}` {why}", remedy)
