"""The folder of one training run: what lies where, and how its tables are written.

config.toml           the run's settings
metrics.csv           one row an epoch
mpd.csv               the main table of the first validation samples, over training
result.json           hashes of initial weights and data order; what the run reached, once it is finished
confusion.csv         pairs of label and prediction on validation and test, once it is finished
classes.csv           recall, precision and F1 of every class on them
widths.csv            surrogate width and batch-norm weights, one row an epoch, layer and timestep
environment.json      versions, hardware, git and command of every process that took part
status.json           how the run stands, for `mpdviz watch`
tensorboard/          event files, where `log` names tensorboard
wandb/, mlflow/       run.json, which run it is there; the rest where it is kept here; where `log` names them
checkpoints/last.pt   the latest state, to resume from
checkpoints/best.pt   the epoch that was best on validation
.mpdviz               says that the folder is a run's
.lock                 held by the process that trains, and let go when it ends, however it ends
"""

import csv
import io
import re
import time
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock

from mpdviz.errors import BadInput
from mpdviz.system.files import exists, held_by, lock, make_folder, remove_stale, write_text
from mpdviz.system.outputs import check, claim
from mpdviz.system.places import BEST, CONFIG, LAST

PURPOSE = "train"
PAUSE = 0.2
"""Seconds between two looks at a lock."""


def slug(name: str) -> str:
    """A name, as of an arm, as that of a folder: neither hidden nor another one's, as `..` would be."""
    return re.sub(r"^\.+|[^\w.=-]+", "-", name)


class RunFolder:
    """Paths and tables of one run."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is created yet."""
        self.path = path
        self.config = path / CONFIG
        self.metrics = path / "metrics.csv"
        self.widths = path / "widths.csv"
        self.mpd = path / "mpd.csv"
        self.confusion = path / "confusion.csv"
        self.classes = path / "classes.csv"
        self.result = path / "result.json"
        self.environment = path / "environment.json"
        self.status = path / "status.json"
        self.last = path / LAST
        self.best = path / BEST
        self._lock: FileLock | None = None

    def create(self, *, resume: bool) -> None:
        """Make the folder ready to write into, for this process alone until `release`.

        Raises:
            BadInput: it holds a run already and `resume` is false, it cannot be written to, or another
                process is training in it.
        """
        if not resume and (exists(self.last) or exists(self.best)):
            raise BadInput(
                f"{self.path} already holds a run", "add `resume` to continue it, or choose another `out`"
            )
        if not self._was_made_before_marks():
            check(self.path, PURPOSE)
        make_folder(self.path)
        self._lock = lock(self.path / ".lock")
        if self._lock is None:
            holder = held_by(self.path / ".lock")
            raise BadInput(
                f"another process ({holder}) is training in {self.path}",
                "wait for it or end it, or choose another `out`",
            )
        claim(self.path, PURPOSE, known=True)
        make_folder(self.last.parent)
        if exists(self.best) and not exists(self.last):  # there is nothing to go on from: begin anew
            self.best.replace(self._free(self.best))
        for folder in (self.path, self.last.parent):
            remove_stale(folder)

    def _was_made_before_marks(self) -> bool:
        """Whether it is a run folder of an older version, which did not mark them."""
        return exists(self.last) and exists(self.config)

    @staticmethod
    def _free(path: Path) -> Path:
        """`path` with a number before its suffix that no file has."""
        names = (path.with_stem(f"{path.stem}-{number}") for number in count(1))
        return next(name for name in names if not exists(name))

    def not_shared(self) -> BadInput:
        """What to say where several machines of a run do not see one and the same folder."""
        problem = f"not every machine of the run sees the same folder {self.path}"
        return BadInput(problem, "choose an `out` on a folder that they share")

    def release(self) -> None:
        """Let other processes have the folder."""
        if self._lock is not None:
            self._lock.release()

    def holder(self) -> str:
        """Which process trains in it, or did last, as far as this machine sees it."""
        return held_by(self.path / ".lock")

    def wait(self, seconds: float) -> None:
        """Wait until no process trains in it, but no longer than so many seconds."""
        until = time.monotonic() + seconds
        while exists(self.path / ".lock") and time.monotonic() < until:
            free = lock(self.path / ".lock")
            if free is not None:
                free.release()
                return
            time.sleep(PAUSE)

    def write_table(self, path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a table whole; a crash leaves the old one."""
        rows = list(rows)
        text = io.StringIO(newline="")
        # A resumed run's first rows may be an older version's, with other columns.
        columns = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, text.getvalue())
