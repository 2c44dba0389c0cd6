"""What training runs left behind, the one place that reads it: settings, results, tables (no torch)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from mpdviz.config import RunConfig, validate
from mpdviz.errors import BadInput
from mpdviz.runs.environments import read_environments
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Share
from mpdviz.system.environment import Environment
from mpdviz.system.files import exists
from mpdviz.system.reading import read_json, read_text, read_toml
from mpdviz.system.schema import checked

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "metrics": ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    "widths": ("epoch", "layer", "name", "timestep", "kappa"),
    "mpd": ("epoch", "layer", "name", "timestep", "available_ratio", "std", "predicted_std"),
}
"""Tables of a run folder, each NAME.csv, and the columns that figures read."""
COUNTED = {"epoch", "layer", "timestep", "step"}
NUMBERS = COUNTED | {"grad_norm"}
"""Columns that hold numbers where a table has them."""


class Reached(BaseModel):
    """`result.json`."""

    model_config = ConfigDict(strict=True)

    initial_weights: str | None = None
    drawn_weights: str | None = None
    data_order: str | None = None
    finished: bool = False
    epoch: Annotated[int, Field(ge=0)] | None = None
    val_accuracy: Share | None = None
    test_accuracy: Share | None = None
    epochs: Annotated[int, Field(ge=0)] | None = None
    balanced_accuracy: Share | None = None
    macro_f1: Share | None = None


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
    arm: str | None = None
    """The arm of a study that it is a run of."""
    environments: Sequence[Environment] = ()
    """The processes that took part, where they were noted."""

    @classmethod
    def of_folder(cls, path: Path, arm: str | None = None) -> Self:
        """Read a run folder, of an arm or of no study; tables that are not there are left out.

        Raises:
            BadInput: no run folder, or a damaged file in it.
        """
        folder = RunFolder(path)
        config = read_config(folder)
        files = {name: getattr(folder, name) for name in TABLES}
        tables = {name: _read_table(file, TABLES[name]) for name, file in files.items() if exists(file)}
        found = read_environments(folder)
        return cls(path, folder.best, config, tables, read_result(folder), arm, found)

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
    if not exists(path):
        raise BadInput(
            f"{folder.path} is no run folder: it has no {path.name}", "give one that `mpdviz train` wrote"
        )
    return validate(read_toml(path, "settings", "restore it, or train the run again"), str(path))


def read_result(folder: RunFolder) -> dict[str, Any]:
    """What a run reached, and the hash of its initial weights; nothing where there is no result.json yet.

    Raises:
        BadInput: a damaged result.json.
    """
    path, remedy = folder.result, "finish the run with `resume`"
    if not exists(path):
        return {}
    return checked(Reached, read_json(path, "result", remedy), f"result {path}", remedy).model_dump(
        exclude_unset=True
    )


def is_finished(folder: RunFolder) -> bool:
    """Whether a run has its result; not where that is missing or damaged."""
    try:
        return bool(read_result(folder).get("finished"))
    except BadInput:
        return False


def _read_table(path: Path, columns: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd  # here, so that asking whether a run is finished takes no half second

    try:
        table = pd.read_csv(StringIO(read_text(path, "table")))
    except (ValueError, OverflowError) as error:  # pandas' parser errors are ValueErrors
        raise BadInput(f"cannot read {path}: {error}", "train the run again") from None
    lacking = [column for column in columns if column not in table]
    if lacking or table.empty:
        what = f"has no column {lacking[0]!r}" if lacking else "has no rows"
        raise BadInput(f"{path} {what}", "train the run again")
    for column in {*columns, *NUMBERS.intersection(table.columns)} - {"name"}:
        if not pd.api.types.is_numeric_dtype(table[column]) or pd.api.types.is_bool_dtype(table[column]):
            raise BadInput(f"{path}: column {column!r} holds no numbers", "train the run again")
    for column in COUNTED.intersection(table.columns):
        values = table[column]
        if not values.between(0, 2**31).all() or not (values % 1 == 0).all():
            raise BadInput(f"{path}: column {column!r} holds no whole numbers", "train the run again")
        table[column] = values.astype("int64")
    if "step" in table:  # the last of several recordings in an epoch stands for it
        table = table[table["step"] == table.groupby("epoch")["step"].transform("max")]
    return table.reset_index(drop=True)
