"""An inspection of which everything is known to fit, and which only has to be run."""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mpdviz.errors import BadInput
from mpdviz.inspection.options import OF_MODULES, Options
from mpdviz.system.places import best_checkpoint

if TYPE_CHECKING:
    from torch import nn

    from mpdviz.api import Recording
    from mpdviz.config import RunConfig


class Prepared(Protocol):
    """What can be recorded, or was."""

    names: dict[int, str]
    """Names of the neuron layers, by number from 1."""
    timesteps: int
    """T."""
    notes: tuple[str, ...]
    """What was recorded over what, in words, once it ran; nothing of recordings that are read."""
    config: "RunConfig | None"
    """Settings of the run that trained the network; None where they are not known."""

    def run(self) -> "Recording | None":
        """Record; None for a process that does not lead its team.

        Raises:
            BadInput: the data do not fit the network after all.
        """


def prepare(
    source: "str | Path | Sequence[str | Path] | nn.Module", options: Options, *, weights: Path | None = None
) -> Prepared:
    """Find out what `source` is and check everything; nothing is recorded or written.

    Args:
        source: see `inspect`.
        options: see `inspect`.
        weights: see `inspect`.

    Raises:
        BadInput: anything about the files, the data or the options that does not fit.
    """
    if not isinstance(source, str | Path | Sequence):
        from mpdviz.inspection.models import PreparedModel

        return PreparedModel(source, options, weights)
    if weights is not None:
        raise BadInput("`weights` without a module", "leave it out, or give your module as the source")
    options.refuse(OF_MODULES, "without `model`", "it is for a module of your own; leave it out")
    paths = [Path(path) for path in ([source] if isinstance(source, str | Path) else source)]
    if any(path.suffix == ".npz" for path in paths):
        options.refuse_all("with a recording, which holds what was recorded", "leave it out")
        return PreparedRecordings(paths)
    if len(paths) != 1:
        raise BadInput(
            f"{len(paths)} checkpoints" if paths else "no checkpoint",
            "give one, or recordings (.npz) to merge",
        )
    from mpdviz.inspection.checkpoints import PreparedCheckpoint

    return PreparedCheckpoint(best_checkpoint(paths[0]), options)


class PreparedRecordings:
    """Recordings that were saved before, merged."""

    notes: tuple[str, ...] = ()
    config: "RunConfig | None" = None

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read and merge them.

        Raises:
            BadInput: one cannot be read, or they do not belong together.
        """
        from mpdviz.api import Recording, load_recording
        from mpdviz.system.rank import rank

        self._recording = reduce(Recording.merged, map(load_recording, paths))
        self._leads = rank() == 0
        layers = self._recording.layers
        self.names = {number: layer.info.name for number, layer in layers.items()}
        self.timesteps = max((layer.info.timesteps for layer in layers.values()), default=0)

    def run(self) -> "Recording | None":
        """The recording, for the leading process."""
        return self._recording if self._leads else None
