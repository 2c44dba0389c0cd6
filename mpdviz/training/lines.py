"""A run in words: what is trained, an epoch, the end (no torch)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpdviz.analysis.words import percent
from mpdviz.config import RunConfig, differences
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Result, StepInfo

SHOWN = ("optimizer", "schedule", "warmup", "clip", "label_smoothing", "mixup", "ema", "patience", "init")
"""Settings that the first line names where they are not the usual ones."""


def first_line(config: RunConfig, out: Path) -> str:
    """What is trained, and where it will lie."""
    network = config.model if config.own_model else f"{config.model}, {config.strategy}, T={config.timesteps}"
    what = f"{network}, {config.data}, seed {config.seed}"
    shown = [config.norm] if config.norm != RunConfig().norm else []
    changed = differences(RunConfig(), config)
    shown += [f"{name} {changed[name][1]}" for name in SHOWN if name in changed]
    if config.loss != RunConfig().loss or config.regularize is not None:
        shown.append(f"minimising {config.loss}" + (f" + {config.regularize}" if config.regularize else ""))
    return f"{', '.join([what, *shown])} -> {out}"


def step_note(now: StepInfo) -> str:
    """How the epoch under way stands."""
    return (
        f"epoch {now.epoch}/{now.epochs}  loss {now.loss:.4f}  accuracy {percent(now.accuracy, 2)}  "
        f"{now.images_per_second:.0f} images/s"
    )


def epoch_line(row: Mapping[str, Any]) -> str:
    """What an epoch came to, from its row of `metrics.csv`."""
    return (
        f"epoch {row['epoch']:3d}  training {row['train_loss']:.4f}, {percent(row['train_accuracy'], 2)}  "
        f"validation {row['val_loss']:.4f}, {percent(row['val_accuracy'], 2)}  {row['seconds']:.1f} s"
    )


def last_line(config: RunConfig, result: Result) -> str:
    """What the run reached."""
    early = f", ended after {config.patience} no better" if result.epochs < config.epochs else ""
    return (
        f"{RunFolder(result.folder).best}: test accuracy {percent(result.test_accuracy, 2)}, "
        f"validation {percent(result.val_accuracy, 2)} "
        f"(best epoch {result.epoch} of {result.epochs}{early}, seed {config.seed})"
    )
