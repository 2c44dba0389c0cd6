"""What training runs left behind, the one place that reads it: settings, results, tables (no torch)."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mpdviz.config import RunConfig, validate
from mpdviz.errors import BadInput
from mpdviz.runs.folder import COMPARISON, RunFolder, run_of_comparison
from mpdviz.system.files import exists

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "metrics": ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    "widths": ("epoch", "layer", "name", "timestep", "kappa"),
    "mpd": ("epoch", "layer", "name", "timestep", "available_ratio", "std", "predicted_std"),
}
"""Tables of a run folder, each NAME.csv, and the columns that figures read."""


@dataclass(frozen=True, eq=False)
class StoredRun:
    """What one run left behind."""

    path: Path
    """The run folder, or the checkpoint where only that is known."""
    checkpoint: Path
    config: RunConfig
    tables: Mapping[str, "pd.DataFrame"] = field(default_factory=dict)
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
        config = read_config(folder)
        files = {name: getattr(folder, name) for name in TABLES}
        tables = {name: _read_table(file, TABLES[name]) for name, file in files.items() if exists(file)}
        return cls(path, folder.best, config, tables, read_result(folder))

    @property
    def has_gradients(self) -> bool:
        """Whether the recordings made during training hold gradient norms."""
        mpd = self.tables.get("mpd")
        return mpd is not None and "grad_norm" in mpd and bool(mpd["grad_norm"].notna().any())


def read_config(folder: RunFolder) -> RunConfig:
    """The settings that a run was made with.

    Raises:
        BadInput: there is no config.toml, or a damaged one.
    """
    path = folder.config
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise BadInput(
            f"{folder.path} is no run folder: it has no {path.name}", "give one that `mpdviz train` wrote"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}", "restore it, or train the run again") from None
    return validate(settings, str(path))


def read_result(folder: RunFolder) -> dict[str, Any]:
    """What a run reached, and the hash of its initial weights; nothing where there is no result.json yet.

    Raises:
        BadInput: a damaged result.json.
    """
    path, remedy = folder.result, "finish the run with `resume`"
    if not exists(path):
        return {}
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}", remedy) from None
    if not isinstance(result, dict):
        raise BadInput(f"{path} holds no result", remedy)
    return result


def read_comparison(folder: Path) -> dict[str, Any]:
    """What `comparison.toml` says: `strategies` and `seeds` (lists), `settings` (those of every run).

    Raises:
        BadInput: there is none, or it is damaged.
    """
    path, remedy = folder / COMPARISON, "give the folder of a comparison of strategies"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            "strategies": [str(name) for name in content["strategies"]],
            "seeds": [int(seed) for seed in content["seeds"]],
            "settings": dict(content["settings"]),
        }
    except OSError as error:
        raise BadInput(f"{folder} holds no comparison ({path.name}: {error.strerror})", remedy) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is damaged ({error})", remedy) from None


def run_folders(path: Path) -> list[Path]:
    """The run folders of a comparison's folder that hold results; none where `path` is another kind of path.

    Raises:
        BadInput: a comparison without such runs, or a damaged one.
    """
    if not exists(path / COMPARISON):
        return []
    comparison = read_comparison(path)
    planned = [
        run_of_comparison(path, strategy, seed)
        for seed in comparison["seeds"]
        for strategy in comparison["strategies"]
    ]
    there = [folder for folder in planned if exists(RunFolder(folder).result)]
    if not there:
        raise BadInput(f"{path} holds no finished run", "finish its runs first")
    return there


def is_finished(folder: RunFolder) -> bool:
    """Whether a run has its result; not where that is missing or damaged."""
    try:
        return bool(read_result(folder).get("finished"))
    except BadInput:
        return False


def _read_table(path: Path, columns: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd  # here, so that asking whether a run is finished takes no half second

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
