"""`ray`: runs as tasks of a Ray cluster; a lost one is started again, and goes on from its last save.

Run folders lie where the study lies: on a folder that every machine of the cluster shares.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from typing_extensions import override

from mpdviz.compare.executors import process
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
TIMEOUT = 10
"""Seconds for an address to answer: Ray itself tries for minutes, and then ends the process."""
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
        if cpus < 0 or cpus != int(cpus):
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
        with _connected(self.address), stop_signals() as stopped, _marked(runs[0].study) as mark:
            import ray

            machines = [node for node in ray.nodes() if node["Alive"]]
            on_event(_sums(machines))
            _check_seen(machines, mark)
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
        self, run: Planned, jobs: int, machines: Sequence[dict[str, Any]], mark: Path, on_event: Watcher
    ) -> Any:
        """Hand a run to Ray, with what it needs."""
        import ray

        gpus = process.gpus_of(run.config, if_there=any(_has(machine, "GPU") for machine in machines))
        cpus = self.cpus or (_share(machines, gpus) if gpus else process.threads_for(jobs))
        if not any(_has(one, "CPU") >= cpus and _has(one, "GPU") >= gpus for one in machines):
            on_event(
                f"{run.name} waits for a machine with {cpus} CPUs and {gpus} GPUs: Ray has none now; "
                "stop and ask for less, as with `executor` ray:cpus=1, if none is to join"
            )
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RETRIES, "retry_exceptions": [Lost]}
        return ray.remote(_train).options(**options).remote(process.absolute(run), cpus, Path.cwd(), mark)


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Ray, connected and quiet inside the block; a connection that the caller has is used and left.

    Raises:
        BadInput: there is no cluster at the address.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a study is nobody else's business
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    before = signal.getsignal(signal.SIGTERM)  # Ray takes its place
    try:
        try:
            ray.init(address=address or "auto", **quiet)
        except ConnectionError:
            if address:
                problem = f"no Ray cluster at `address` {address}"
                raise BadInput(problem, "start one with `ray start --head`, or leave it out") from None
            ray.init(num_cpus=process.cores(), include_dashboard=False, **quiet)
        yield
    finally:
        ray.shutdown()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _check_answers(address: str) -> None:
    """Refuse an address where nothing listens."""
    if address in ("", "auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    remedy = "give HOST:PORT of a cluster's head, as `ray start --head` says it"
    if not host or not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise BadInput(f"`address` {address!r} is none", remedy)
    try:
        socket.create_connection((host.strip("[]"), int(port)), TIMEOUT).close()
    except (OSError, UnicodeError) as error:
        raise BadInput(f"nothing answers at `address` {address} ({error})", remedy) from None


@contextmanager
def _marked(study: Path) -> Iterator[Path]:
    """A file in the study's folder, there inside the block, by which a machine proves that it sees it."""
    mark = make_folder(study).absolute() / f".ray-{uuid4().hex}"
    write_text(mark, "")
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


def _check_seen(machines: Sequence[dict[str, Any]], mark: Path) -> None:
    """Refuse a cluster of which a machine does not see the study's folder.

    Raises:
        BadInput: naming the machine.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for machine in machines:
        there = NodeAffinitySchedulingStrategy(machine["NodeID"], soft=False)
        task = ray.remote(exists).options(num_cpus=0, scheduling_strategy=there).remote(mark)
        asked[task] = machine["NodeManagerAddress"]
    for task, address in asked.items():
        try:
            seen = ray.get(task)
        except ray.exceptions.RayTaskError as error:
            problem = f"machine {address} of the Ray cluster cannot run mpdviz: {_told(error)}"
            raise BadInput(problem, "install the same mpdviz on every machine") from None
        except ray.exceptions.RayError:
            continue  # it has gone, and its runs will go elsewhere
        if not seen:
            problem = f"machine {address} of the Ray cluster does not see {mark.parent}"
            raise BadInput(problem, "choose an `out` on a folder that all its machines share")


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
            tally.lost(run, _told(error))
    except ray.exceptions.RayError as error:
        tally.lost(run, _told(error))


def _share(machines: Sequence[dict[str, Any]], gpus: int) -> int:
    """CPUs that go with so many GPUs: an equal share, on the machine where it is least."""
    shares = [_has(one, "CPU") * gpus / _has(one, "GPU") for one in machines if _has(one, "GPU") >= gpus]
    return max(int(min(shares, default=1)), 1)


def _sums(machines: Sequence[dict[str, Any]]) -> str:
    """What a cluster has, in words."""
    cpus, gpus = (sum(_has(machine, what) for machine in machines) for what in ("CPU", "GPU"))
    return f"Ray: {len(machines)} machine{'s' * (len(machines) != 1)}, {cpus:g} CPUs, {gpus:g} GPUs"


def _has(machine: dict[str, Any], resource: str) -> float:
    return float(machine["Resources"].get(resource, 0))


def _told(error: BaseException) -> str:
    """The last line of an error of Ray's, which carries a traceback."""
    return next(
        (line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no reason given"
    )
