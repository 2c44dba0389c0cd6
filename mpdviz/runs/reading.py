"""Finished and unfinished training runs as figures of a paper need them: settings and tables (no torch)."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd

from mpdviz.config import RunConfig, validate
from mpdviz.errors import BadInput
from mpdviz.system.files import exists
from mpdviz.runs.folder import RunFolder

TABLES = {
    "metrics": ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    "widths": ("epoch", "layer", "name", "timestep", "kappa"),
    "mpd": ("epoch", "layer", "name", "timestep", "available_ratio", "std", "predicted_std"),
}
"""Tables of a run folder, each NAME.csv, and the columns that figures read."""


@dataclass(frozen=True, eq=False)
class Run:
    """What one run left behind."""

    path: Path
    """The run folder, or the checkpoint where only that is known."""
    checkpoint: Path
    config: RunConfig
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Those of `TABLES` that the folder holds."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """`epoch`, `val_accuracy` and `test_accuracy` (fractions) of the best epoch, where known."""

    @classmethod
    def of_folder(cls, path: Path) -> Self:
        """Read a run folder; tables that are not there are left out.

        Raises:
            BadInput: no run folder, or a damaged file in it.
        """
        folder = RunFolder(path)
        try:
            settings = tomllib.loads(folder.config.read_text(encoding="utf-8"))
        except OSError:
            raise BadInput(
                f"{path} is neither a run folder (it has no config.toml) nor a checkpoint (.pt)",
                "give what `mpdviz train --out` wrote",
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"{folder.config} is not TOML: {error}", "train the run again") from None
        config = validate(settings, str(folder.config))
        files = {name: getattr(folder, name) for name in TABLES}
        tables = {name: _read_table(file, TABLES[name]) for name, file in files.items() if exists(file)}
        return cls(path, folder.best, config, tables, _read_result(folder.result))

    @property
    def has_gradients(self) -> bool:
        """Whether the recordings made during training hold gradient norms."""
        mpd = self.tables.get("mpd")
        return mpd is not None and "grad_norm" in mpd and bool(mpd["grad_norm"].notna().any())


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs that one set of figures cannot show together.

    Raises:
        BadInput: there are none, or they differ in data set, T or model, so that layers and timesteps do not
            correspond; or the same run twice.
    """
    if not runs:
        raise BadInput("no runs", "give run folders or checkpoints")
    for setting in ("data", "timesteps", "model"):
        first = runs[0]
        for run in runs[1:]:
            wanted, found = getattr(first.config, setting), getattr(run.config, setting)
            if found != wanted:
                raise BadInput(
                    f"runs of different {setting}: {wanted} in {first.path}, {found} in {run.path}",
                    f"make one set of figures for each {setting}",
                )


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise BadInput(f"cannot read {path}: {error}", "train the run again") from None
    lacking = [column for column in columns if column not in table]
    if lacking or table.empty:
        what = f"has no column {lacking[0]!r}" if lacking else "has no rows"
        raise BadInput(f"{path} {what}", "train the run again")
    for column in columns:
        if column != "name" and not pd.api.types.is_numeric_dtype(table[column]):
            raise BadInput(f"{path}: column {column!r} holds no numbers", "train the run again")
    if "step" in table:  # the last of several recordings in an epoch stands for it
        table = table[table["step"] == table.groupby("epoch")["step"].transform("max")]
    return table.reset_index(drop=True)


def _read_result(path: Path) -> dict[str, Any]:
    if not exists(path):
        return {}
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}", "finish the run with --resume") from None
    if not isinstance(result, dict):
        raise BadInput(f"{path} holds no result", "finish the run with --resume")
    return result
