"""Checkpoints: ours (`ours`), the reference's released ones (`released`), anybody's weights (`foreign`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpdviz.checkpoint import ours, released
from mpdviz.checkpoint.archive import check_state, fill, read_archive
from mpdviz.checkpoint.foreign import fill_any, fill_matching
from mpdviz.checkpoint.ours import Checkpoint, OfOwnNetwork, save
from mpdviz.config import RunConfig, validate
from mpdviz.errors import BadInput
from mpdviz.networks import SpikingNetwork
from mpdviz.system.places import best_checkpoint

__all__ = [
    "Checkpoint",
    "OfOwnNetwork",
    "check_state",
    "fill",
    "fill_any",
    "fill_matching",
    "load",
    "read_archive",
    "save",
    "trained_by",
]


def trained_by(content: dict[str, Any], path: Path) -> RunConfig | None:
    """The settings of the run that a checkpoint is of; None of a file that knows none.

    Args:
        content: of the file, as `read_archive` gives it.
        path: of the file.

    Raises:
        BadInput: settings that are none.
    """
    settings = content.get("config")
    if content.get("format") != ours.FORMAT or not isinstance(settings, dict) or not settings:
        return None
    return validate(settings, f"checkpoint {path}")


def load(
    path: str | Path,
    *,
    strategy: str | None = None,
    timesteps: int | None = None,
    decay: float | None = None,
    v_th: float | None = None,
    into: Callable[[RunConfig | None], SpikingNetwork] | None = None,
) -> Checkpoint:
    """The network and its story from a checkpoint, ours or a released one.

    Nothing in the file is executed, and its checksums are verified first: torch itself would load a
    flipped bit in silence.

    Args:
        path: the file, a run folder (its best checkpoint), or `sample:NAME`.
        strategy: width strategy of a released file (default mpd-agl); ours knows its own.
        timesteps: T to run at (default: what it was trained with; for a released file 2 for ResNet-19 and
            10 for VGGSNN).
        decay: decay of a released file's LIF neurons (default 0.2); a PLIF's is in the file.
        v_th: threshold of a released file's neurons (default 0.5).
        into: given the settings in one of our files, a network to fill with its weights; None builds the one
            that it describes, which cannot be where the network is the user's own.

    Raises:
        BadInput: missing, damaged, unsafe or unknown file, weights of another architecture, or an option
            that contradicts what the file holds.
        NotFinite: weights that are NaN or infinite.
    """
    path = best_checkpoint(Path(path))
    if timesteps is not None and timesteps < 1:
        raise BadInput(f"`timesteps` {timesteps}", "give at least 1")
    content = read_archive(path)
    given = {"strategy": strategy, "timesteps": timesteps, "decay": decay, "v_th": v_th}
    given = {option: value for option, value in given.items() if value is not None}
    kind = content.get("format")
    if isinstance(kind, str) and kind == ours.FORMAT:
        return ours.restore(path, content, given, into)
    return released.restore(path, content, given)
