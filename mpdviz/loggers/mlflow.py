"""MLflow: numbers of one run, on the user's tracking server or in the run folder.

MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and MLFLOW_RUN_NAME hold where they are set. MLflow has no
histograms over time, so none are logged.
"""

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.loggers.base import Histogram, RunTracker, is_a
from mpdviz.system.files import make_folder

EXPERIMENT = "mpdviz"
FOLDER = "mlflow"
"""Of the database, in a run folder, where the user has no other."""
MOST_NUMBERS = 1000
"""In one request, by MLflow."""
MOST_SETTINGS = 100
"""The same, of settings."""


class MLflow(RunTracker):
    """Through a client and the id of a run."""

    title = "MLflow"

    def __init__(self, client: Any, run: str) -> None:
        """Log to the run `run` of the store that `client` speaks to."""
        self._client, self.run = client, run

    @override
    @classmethod
    def of(cls, target: object) -> Self | None:
        if isinstance(target, ModuleType) and target.__name__ == "mlflow":
            # Starts a run where there is none, as mlflow.log_metric would.
            run = target.active_run() or target.start_run()
        elif is_a(target, "Run", ("mlflow",)):
            run = target
        else:
            return None
        from mlflow import MlflowClient

        return cls(MlflowClient(), run.info.run_id)

    @override
    @classmethod
    def require(cls) -> None:
        # Nothing is sent to anybody who was not asked for.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            import mlflow  # noqa: F401
        except ImportError:
            problem = "`log` mlflow needs the package mlflow"
            raise BadInput(problem, "pip install 'mpdviz[mlflow]'") from None

    @override
    @classmethod
    def opened(cls, folder: Path, settings: Mapping[str, Any], done: int, run: str) -> Self:
        """A run in the experiment `mpdviz`, called like the folder, or the one it was before."""
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.tracking import is_tracking_uri_set

        with _hushed():
            if is_tracking_uri_set():
                client, artifacts = MlflowClient(), None
            else:
                own = make_folder(folder / FOLDER).resolve()
                client, artifacts = MlflowClient(f"sqlite:///{own}/mlflow.db"), (own / "artifacts").as_uri()
            if run:
                client.update_run(run, status="RUNNING")
                return cls(client, run)
            name = os.environ.get("MLFLOW_RUN_NAME") or folder.resolve().name
            run = client.create_run(_experiment(client, artifacts), run_name=name).info.run_id
            params = [Param(key, str(value)) for key, value in settings.items()]
            for first in range(0, len(params), MOST_SETTINGS):
                client.log_batch(run, params=params[first : first + MOST_SETTINGS])
            return cls(client, run)

    @override
    def log(self, values: Mapping[str, float], histograms: Mapping[str, Histogram], step: int | None) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        numbers = [Metric(allowed(tag), value, now, step or 0) for tag, value in values.items()]
        for first in range(0, len(numbers), MOST_NUMBERS):
            self._client.log_batch(self.run, metrics=numbers[first : first + MOST_NUMBERS])

    @override
    def flush(self) -> None:
        """Do nothing: every number is in the store already."""

    @override
    def close(self, *, finished: bool) -> None:
        self._client.set_terminated(self.run, status="FINISHED" if finished else "KILLED")


def allowed(tag: str) -> str:
    """A tag with `_` for each character that MLflow, or Lightning before it, does not take in a name."""
    return re.sub(r"[^A-Za-z0-9_/. -]", "_", tag)


def _experiment(client: Any, artifacts: str | None) -> str:
    """The id of the user's experiment or else of ours, made where there is none of that name."""
    from mlflow.exceptions import MlflowException

    known = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if known:
        return known
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException:  # another run that began at the same moment may have made it
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what a new database says of itself off the terminal."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
