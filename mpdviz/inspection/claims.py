"""Runs, recorded as evaluation and as training sees them: what MPD-AGL says of their available shares."""

from collections.abc import Sequence
from pathlib import Path

from mpdviz.analysis.claims import Claims, modes
from mpdviz.analysis.claims import claims as summed_up
from mpdviz.errors import BadInput
from mpdviz.figures.paper.study import Study
from mpdviz.inspection import inspect
from mpdviz.inspection.options import MODES, Options
from mpdviz.inspection.study import read_runs
from mpdviz.system.devices import pick_device
from mpdviz.system.files import exists
from mpdviz.system.progress import expect
from mpdviz.system.team import team


def claims(
    paths: Sequence[str | Path],
    *,
    split: str = "test",
    limit: int | None = None,
    batch_size: int = 64,
    device: str = "auto",
) -> Claims | None:
    """Record the best checkpoint of every run in both modes, beside what the theorems say.

        found = mpdviz.inspection.claims.claims(["runs/study"])
        found.sentences

    Args:
        paths: run folders, folders of comparisons or runs, and checkpoints (.pt) that know their settings,
            all of one data set, T and network.
        split: samples to record.
        limit: only the first so many of them.
        batch_size: samples a forward pass; with `train`, those that batch norm takes its statistics of.
        device: `cpu`, `cuda`, ... or `auto`.

    Returns:
        Shares by variant, mode, layer and timestep over seeds; None for a process that does not lead.

    Raises:
        BadInput: runs that do not belong together, or one without a checkpoint.
    """
    runs = read_runs(paths)
    study = Study(runs)
    overview = study["runs"]
    Options(split=split, limit=limit, batch_size=batch_size)
    pick_device(device)
    for run in runs:
        if not exists(run.checkpoint):
            raise BadInput(f"{run.path} has no checkpoints/best.pt", "train it for at least one epoch")
    expect(parts=len(runs) * len(MODES), later=1)
    tables = []
    with team() as ranks:
        for run, variant in zip(runs, overview["variant"], strict=True):
            for mode in MODES:
                recording = inspect(
                    run.checkpoint, split=split, limit=limit, batch_size=batch_size, mode=mode, device=device
                )
                if recording is not None:
                    tables.append((variant, run.config.seed, mode, recording.table()))
        if not ranks.leads:
            return None
    settings = [name for name in overview if name not in ("run", "epoch", "val_accuracy", "test_accuracy")]
    return summed_up(modes(tables), overview[settings], study.describe())
