"""`environment.json` of a run folder: the processes that took part, one after the other (no torch)."""

import warnings
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.runs.folder import RunFolder
from mpdviz.system.environment import Environment
from mpdviz.system.files import exists, write_text
from mpdviz.system.reading import read_json
from mpdviz.system.schema import checked

REMEDY = "remove it: the run does without"


class Stored(BaseModel):
    """`environment.json`."""

    model_config = ConfigDict(strict=True)

    processes: Annotated[list[Environment], Field(min_length=1)]


def read_environments(folder: RunFolder) -> list[Environment]:
    """The processes that took part in a run; none where they were not noted, as older versions did not.

    Raises:
        BadInput: a damaged file.
    """
    path = folder.environment
    if not exists(path):
        return []
    content = read_json(path, "environment", REMEDY)
    return checked(Stored, content, f"environment {path}", REMEDY).processes


def add_environment(folder: RunFolder, process: Environment) -> None:
    """Note another process; no trouble with that ends a run."""
    try:
        before = read_environments(folder)
    except BadInput as error:
        warnings.warn(f"{error}; it is begun anew", MpdvizWarning, stacklevel=2)
        before = []
    stored = Stored(processes=[*before, process])
    try:
        write_text(folder.environment, stored.model_dump_json(indent=1) + "\n")
    except BadInput as error:
        warnings.warn(f"{error}; the run goes on without it", MpdvizWarning, stacklevel=2)
