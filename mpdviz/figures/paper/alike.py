"""What the runs of a study must have in common, and what tells them apart (no torch)."""

from collections.abc import Sequence

import pandas as pd

from mpdviz.config import RunConfig, differences
from mpdviz.runs.reading import StoredRun


def differing(runs: Sequence[StoredRun]) -> list[str]:
    """Settings besides strategy and seed that can have made a difference between the runs' results."""
    found = [differences(runs[0].config, run.config, but=("strategy", "seed")) for run in runs]
    return [name for name in RunConfig.model_fields if any(name in one for one in found)]


def variant_of(run: StoredRun, settings: Sequence[str]) -> str:
    """The arm of its study, or the run's strategy together with these settings."""
    if run.arm is not None:
        return run.arm
    return ", ".join(
        [run.config.strategy, *(f"{setting}={getattr(run.config, setting)}" for setting in settings)]
    )


def of_one_study(runs: Sequence[StoredRun]) -> bool:
    """Whether all of them are runs of arms, which may differ in network and T as the study says."""
    return all(run.arm is not None for run in runs)


def other_layers(frame: pd.DataFrame, name: str) -> str | None:
    """Which networks' layers or timesteps do not correspond; None: all of them do."""
    shapes = {
        run: set(zip(own["layer"], own["name"], own["timestep"], strict=True))
        for run, own in frame.groupby(["variant", "seed"], sort=False)
    }
    first, *others = shapes
    for other in others:
        if shapes[other] != shapes[first]:
            return (
                f"{name}: other layers or timesteps in {first[0]}, seed {first[1]}, than in {other[0]}, "
                f"seed {other[1]}"
            )
    return None
