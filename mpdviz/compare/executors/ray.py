"""`ray`: runs as tasks of a Ray cluster; a lost one is started again, and goes on from its last save.

Run folders lie where the study lies: on a folder that every machine of the cluster shares.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from typing_extensions import override

from mpdviz.compare.executors import cluster, process
from mpdviz.compare.executors.base import Executor, Failure, Watcher
from mpdviz.compare.executors.process import Ended, Tally
from mpdviz.compare.plan import Planned
from mpdviz.errors import BadInput, TeamLost
from mpdviz.system.failures import INTERRUPTED
from mpdviz.system.files import exists, make_folder, write_text
from mpdviz.system.signals import stop_signals

RETRIES = 3
"""Times that a lost run is started again."""
PATIENCE = 60
"""Seconds that a run started again waits for what is left of it to save and end."""
LOOK = 0.5
"""Seconds between two looks at the tasks."""


class Lost(Exception):
    """A run whose process ended without its doing: killed, or asked to stop by somebody else."""


class Ray(Executor):
    """Tasks of a Ray cluster, on as many machines as it has, which share the study's folder."""

    texts: ClassVar[tuple[str, ...]] = ("address",)
    here: ClassVar[bool] = False

    def __init__(self, address: str = "", cpus: float = 0) -> None:
        """Set where the cluster is; nothing is connected yet.

        Args:
            address: HOST:PORT of the cluster, or auto; without, the one of this machine or of RAY_ADDRESS,
                and where there is none, one of this machine alone for the time of the study.
            cpus: CPUs of a run, and its threads; 0: an equal share of this machine's for the jobs, as
                `local`, and of a run on a GPU the GPU's share of its machine's.

        Raises:
            BadInput: no whole number of CPUs.
        """
        if not 0 <= cpus <= 1e9 or cpus != int(cpus):
            raise BadInput(f"`executor` ray:cpus={cpus:g}", "give a whole number of CPUs")
        self.address, self.cpus = address, int(cpus)

    @override
    def require(self, runs: Sequence[Planned]) -> None:
        try:
            import ray  # noqa: F401
        except ImportError:
            problem = "`executor` ray needs the package ray"
            raise BadInput(problem, "pip install 'mpdviz[ray]'") from None
        process.refuse_numbered_devices(runs, "ray")

    @override
    def run(self, runs: Sequence[Planned], jobs: int | None, on_event: Watcher) -> list[Failure]:
        """Train the runs, `jobs` at a time (None: as many as there is room for)."""
        if not runs:
            return []
        with cluster.connected(self.address), stop_signals() as stopped, _marked(runs[0].study) as mark:
            import ray

            machines = [node for node in ray.nodes() if node["Alive"]]
            on_event(cluster.sums(machines))
            cluster.check_seen(machines, mark)
            tally, todo = Tally(runs, on_event), list(runs)
            under_way: dict[Any, Planned] = {}
            asked = False
            while (todo and not stopped.is_set()) or under_way:
                while todo and not stopped.is_set() and (jobs is None or len(under_way) < jobs):
                    run = todo.pop(0)
                    tally.began(run)
                    under_way[self._submit(run, jobs or 1, machines, mark, on_event)] = run
                if stopped.is_set() and not asked:
                    asked = True
                    for task in under_way:
                        ray.cancel(task)
                for task in ray.wait(list(under_way), timeout=LOOK)[0]:
                    _settle(task, under_way.pop(task), tally, stopped=stopped.is_set())
            if stopped.is_set():
                raise tally.interrupted()
        return tally.failures

    def _submit(
        self, run: Planned, jobs: int, machines: cluster.Machines, mark: Path, on_event: Watcher
    ) -> Any:
        """Hand a run to Ray, with what it needs."""
        import ray

        gpus = process.gpus_of(run.config, if_there=any(cluster.has(machine, "GPU") for machine in machines))
        cpus = self.cpus or (cluster.share(machines, gpus) if gpus else process.threads_for(jobs))
        if not any(cluster.has(one, "CPU") >= cpus and cluster.has(one, "GPU") >= gpus for one in machines):
            on_event(
                f"{run.name} waits for a machine with {cpus} CPUs and {gpus} GPUs: Ray has none now; "
                "stop and ask for less, as with `executor` ray:cpus=1, if none is to join"
            )
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RETRIES, "retry_exceptions": [Lost]}
        return ray.remote(_train).options(**options).remote(process.absolute(run), cpus, Path.cwd(), mark)


@contextmanager
def _marked(study: Path) -> Iterator[Path]:
    """A file in the study's folder, there inside the block, by which a machine proves that it sees it."""
    mark = make_folder(study).absolute() / f".ray-{uuid4().hex}"
    write_text(mark, "")
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


def _train(run: Planned, threads: int, folder: Path, mark: Path) -> Ended:
    """What a task does: a run, to its end or until the task is cancelled.

    Raises:
        BadInput: the machine, which joined later, does not see the study's folder.
        Lost: the run ended in a way that another try may mend.
    """
    if not exists(mark):
        raise BadInput(
            f"machine {socket.gethostname()} does not see {run.study}", "share that folder with it"
        )
    run.folder.wait(PATIENCE)
    child, cancelled = process.start(run, threads, folder if folder.is_dir() else None), False
    try:
        while (how := child.ended()) is None:
            time.sleep(process.PAUSE)
    except KeyboardInterrupt:  # of ray.cancel
        cancelled = True
        process.stop([child])
    how = child.ended()
    assert how is not None
    if not cancelled and (how.status < 0 or how.status in (INTERRUPTED, TeamLost.exit_code)):
        raise Lost(how.status)
    return how


def _settle(task: Any, run: Planned, tally: Tally, *, stopped: bool) -> None:
    """Note what became of a run whose task has ended."""
    import ray

    try:
        tally.ended(run, ray.get(task), stopped=stopped)
    except ray.exceptions.TaskCancelledError:
        pass  # it had not begun
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, Lost):
            tally.lost(run, f"{process.last_words(run, error.cause.args[0])}, {RETRIES + 1} times")
        else:
            tally.lost(run, cluster.told(error))
    except ray.exceptions.RayError as error:
        tally.lost(run, cluster.told(error))
