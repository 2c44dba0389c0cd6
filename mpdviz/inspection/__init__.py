"""A checkpoint, a run, or a network of the user's own, over data: a recording."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpdviz.inspection.options import Function, Options
from mpdviz.inspection.prepared import Prepared, prepare

if TYPE_CHECKING:
    from torch import nn

    from mpdviz.api import Recording

__all__ = ["Options", "Prepared", "inspect", "prepare"]


def inspect(
    source: "str | Path | Sequence[str | Path] | nn.Module",
    *,
    weights: str | Path | None = None,
    data: Any = None,
    data_dir: str | Path | None = None,
    split: str | None = None,
    limit: int | None = None,
    batch_size: int = 64,
    mode: str = "eval",
    gradients: bool = False,
    what_if: Sequence[float] = (),
    epsilon: float = 0.1,
    timesteps: int | None = None,
    strategy: str | None = None,
    decay: float | None = None,
    v_th: float | None = None,
    time_axis: int | None = None,
    repeat_input: int | None = None,
    loss: Function | None = None,
    batch: Function | None = None,
    key: str | None = None,
    prefix: str | None = None,
    device: str = "auto",
    backend: str = "auto",
) -> "Recording | None":
    """Record the membrane potentials of a trained network over a data set.

        recording = mpdviz.inspect("runs/mine", split="val")
        recording.layer_table()

    Args:
        source: a checkpoint of mpdviz or a released one, a run folder (its best checkpoint), a recording
            (.npz) or several to merge, or a module of your own.
        weights: state dict to fill your own module with; None takes it as it is.
        data: name of a data set, or data themselves (see `data.given.dataset_of`); None: what the checkpoint
            was trained on.
        data_dir: where the data set's files lie.
        split: `train`, `val`, `test` or `all`; None: `test`, and `all` of an npz file.
        limit: only the first so many samples.
        batch_size: samples a forward pass.
        mode: `eval`, or `train`: batch statistics, as training sees the potentials.
        gradients: also record the gradient of the loss at the potentials.
        what_if: other widths kappa to count exactly.
        epsilon: available where h >= epsilon * max h, for surrogates of infinite support.
        timesteps: T; None: the checkpoint's.
        strategy: of a released file; None: `mpd-agl`.
        decay: of a released file's LIF neurons; None: 0.2.
        v_th: threshold of a released file's neurons; None: 0.5.
        time_axis: axis on which your module takes whole sequences, e.g. 0, 1 or -1; None: it is tried on one
            sample whether it takes them, and where, or a call is one timestep.
        repeat_input: show your module each image so many times; None: it repeats images itself.
        loss: with `gradients`, function of what your module returned (stacked over time where a call is one
            timestep) and the targets; its gradients are recorded. None: cross-entropy of the mean over time.
        batch: function of a batch `x` (float32, `[N, ...]`, or `[T, N, ...]` of sequences and frames) and its
            targets (None where there are none) that gives what your module is fed: a tensor like `x`, or for
            one call a tuple of arguments or a dict of keyword arguments.
        key: entry of the file of weights that holds them; None: the one whose names are your module's.
        prefix: what to strip from the names of the weights; entries without it are left out. None: what makes
            them your module's.
        device: `cpu`, `cuda`, ... or `auto`.
        backend: neuron kernels.

    Returns:
        The recording; None for a process that does not lead its team (under torchrun).

    Raises:
        BadInput: anything about the files, the data or the options that does not fit.
        NotFinite: weights that are NaN or infinite.
    """
    options = Options(
        data=data,
        data_dir=None if data_dir is None else Path(data_dir),
        split=split,
        limit=limit,
        batch_size=batch_size,
        mode=mode,
        gradients=gradients,
        what_if=tuple(what_if),
        epsilon=epsilon,
        timesteps=timesteps,
        strategy=strategy,
        decay=decay,
        v_th=v_th,
        time_axis=time_axis,
        repeat_input=repeat_input,
        loss=loss,
        batch=batch,
        key=key,
        prefix=prefix,
        device=device,
        backend=backend,
    )
    return prepare(source, options, weights=None if weights is None else Path(weights)).run()
