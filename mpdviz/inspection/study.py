"""Several runs and checkpoints, their best checkpoints recorded: what a paper's figures are drawn from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mpdviz import checkpoint
from mpdviz.analysis import metrics
from mpdviz.config import check_code
from mpdviz.errors import BadInput, MpdvizError
from mpdviz.figures.paper.study import Recorded, Study
from mpdviz.inspection import inspect
from mpdviz.inspection.options import Options
from mpdviz.inspection.theirs import build
from mpdviz.runs.reading import StoredRun
from mpdviz.runs.studies import arms_of, run_folders
from mpdviz.system.devices import pick_device
from mpdviz.system.files import exists
from mpdviz.system.places import SAMPLE, best_checkpoint
from mpdviz.system.progress import expect
from mpdviz.system.team import team

if TYPE_CHECKING:
    from torch import nn

LATER = 30
"""Files that a paper's figures and tables come to, by and large; what a bar keeps free for them."""


def study(
    paths: Sequence[str | Path],
    *,
    layer: int | str | None = None,
    strategies: Sequence[str] | None = None,
    split: str = "val",
    limit: int | None = None,
    batch_size: int = 64,
    device: str = "auto",
    model: str | None = None,
) -> Study | None:
    """Read runs and record the best checkpoint of each.

        study = mpdviz.inspection.study.study(["runs/fixed", "runs/mpd-agl"])
        list(mpdviz.figures.paper.write(study, Path("paper")))

    Args:
        paths: run folders, folders of comparisons or runs, and checkpoints (.pt) that know their settings.
        layer: the layer that figures of one layer show, by number or name; None: the one with the lowest
            available ratio.
        strategies: those, four at most, whose potentials are drawn; None: the first four.
        split: samples to record.
        limit: only the first so many of them.
        batch_size: samples a forward pass.
        device: `cpu`, `cuda`, ... or `auto`.
        model: function of networks of the user's own, `module:function`; runs of it are recorded with the
            arguments that they name, runs of another are noted: no file has code run.

    Returns:
        The study; a run that cannot be recorded is noted in it. None for a process that does not lead.

    Raises:
        BadInput: runs that do not belong together, a file that cannot be read, or no such layer or strategy.
    """
    runs = read_runs(paths)
    Study(runs, strategies=strategies)  # refuses runs that do not belong together before the long work
    number = None if layer is None else _layer_number(layer, runs)
    Options(split=split, limit=limit, batch_size=batch_size)
    pick_device(device)
    gradients = not all(run.has_gradients for run in runs)
    recordings: dict[Path, Recorded] = {}
    unrecorded: dict[Path, str] = {}
    expect(parts=sum(exists(run.checkpoint) for run in runs), later=LATER)
    with team() as ranks:
        for run in runs:
            if not exists(run.checkpoint):
                unrecorded[run.path] = f"{run.path} has no checkpoints/best.pt; train at least one epoch"
                continue
            try:
                recording = inspect(
                    _source(run, model),
                    weights=run.checkpoint if run.config.own_model else None,
                    split=split,
                    limit=limit,
                    batch_size=batch_size,
                    gradients=gradients,
                    device=device,
                )
            except MpdvizError as error:
                unrecorded[run.path] = str(error)
                continue
            if recording is not None:
                histograms = [metrics.histogram(*one) for one in sorted(recording.layers.items())]
                pooled = pd.concat(histograms, ignore_index=True)
                recordings[run.path] = Recorded(recording.table(), pooled)
        if not ranks.leads:
            return None
    return Study(runs, recordings, unrecorded=unrecorded, layer=number, strategies=strategies)


def _source(run: StoredRun, model: str | None) -> "Path | nn.Module":
    """What of a run is recorded: its checkpoint, or a network of the user's own, if that was named.

    Raises:
        BadInput: it was not, or its function fails.
    """
    if not run.config.own_model:
        return run.checkpoint
    check_code({"model": run.config.model}, [model or ""], str(run.path))
    return build(run.config.model)


def read_runs(paths: Sequence[str | Path]) -> list[StoredRun]:
    """The runs in folders, in folders of comparisons (those that were chosen), and of checkpoints.

    Raises:
        BadInput: a file or folder that is no run, or a damaged one.
    """
    found = [one for path in map(Path, paths) for one in run_folders(path) or [path]]
    return [_read(path, arm) for path, arm in zip(found, arms_of(found), strict=True)]


def _read(path: Path, arm: str | None) -> StoredRun:
    """A run folder, of an arm or of no study, or a checkpoint that knows its settings."""
    if str(path).startswith(SAMPLE):
        path = best_checkpoint(path)
    if path.suffix != ".pt":
        run = StoredRun.of_folder(path, arm)
        if "test_accuracy" in run.result or not exists(run.checkpoint):
            return run
        return replace(run, result={**checkpoint.load(run.checkpoint).metrics, **run.result})
    loaded = checkpoint.load(path)
    if loaded.config is None:
        raise BadInput(
            f"{path} is a released checkpoint: it names neither data, strategy nor seed",
            "give checkpoints of `mpdviz train`; `mpdviz inspect` draws this one",
        )
    return StoredRun(path, path, loaded.config, result=loaded.metrics)


def _layer_number(layer: int | str, runs: Sequence[StoredRun]) -> int:
    network = checkpoint.load(runs[0].checkpoint).network
    names = dict(enumerate((name for name, _ in network.spiking_layers()), start=1))
    numbers = {number for number, name in names.items() if str(layer) in (str(number), name)}
    if len(numbers) != 1:
        raise BadInput(
            f"`layer` {layer} names {len(numbers)} layers of {runs[0].path}",
            f"give a number from 1 to {len(names)}, or one of: {', '.join(names.values())}",
        )
    return numbers.pop()
