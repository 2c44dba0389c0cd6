"""What may be asked of an inspection; the defaults of `inspect` and of the command line are these."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mpdviz.config import MOST_TIMESTEPS
from mpdviz.errors import BadInput, unknown_name

MODES = ("eval", "train")
MOST = {
    "limit": 2**63 - 1,
    "batch_size": 2**31 - 1,
    "timesteps": MOST_TIMESTEPS,
    "repeat_input": MOST_TIMESTEPS,
}
"""Numbers that count something, and the most that makes sense."""
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

    data: Any = None
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
        for name, most in MOST.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise BadInput(
                    f"`{name}` {value}", "give at least 1" if value < 1 else f"give at most {most}"
                )
        if self.loss is not None and not self.gradients:
            raise BadInput("`loss` without `gradients`", "give `gradients` too, or leave it out")

    def refuse_all(self, why: str, remedy: str) -> None:
        """Refuse whatever was given.

        Raises:
            BadInput: an option is not its default.
        """
        for option in fields(self):
            if getattr(self, option.name) != option.default:
                raise BadInput(f"`{option.name}` {why}", remedy)

    def refuse(self, names: tuple[str, ...], why: str, remedy: str) -> None:
        """Refuse those of these options that were given.

        Raises:
            BadInput: one was.
        """
        for name in names:
            if getattr(self, name) is not None:
                raise BadInput(f"`{name}` {why}", remedy)
