"""`slurm`: runs as one array of Slurm jobs, submitted through submitit; nothing here waits for them.

A job that is asked to end, as its time is up or others go first, saves its run and queues again. The study's
folder lies where all machines see it, and holds in slurm/ what submitit keeps and which run is which job.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from mpdviz.compare.executors import process
from mpdviz.compare.executors.base import Executor, Failure, Watcher
from mpdviz.compare.plan import Planned
from mpdviz.errors import BadInput
from mpdviz.system.files import make_folder, write_text
from mpdviz.system.reading import read_json

OF_JOBS = "-runs.json"
"""What the files end in that say which run is which job."""
REMEDY = "see `sinfo` for what there is, and write slurm:partition=NAME:time=MINUTES"


class Slurm(Executor):
    """An array of Slurm jobs, which go on when this process has ended; `collect` reads what is finished."""

    texts: ClassVar[tuple[str, ...]] = ("partition",)
    here: ClassVar[bool] = False
    waits: ClassVar[bool] = False

    def __init__(
        self, partition: str = "", time: float = 60, cpus: float = 1, gpus: float = 0, memory: float = 0
    ) -> None:
        """Set what each run asks for; all else is Slurm's, by its variables such as SBATCH_ACCOUNT.

        Args:
            partition: of Slurm's machines; without, its default.
            time: minutes, after which a run saves and queues again, up to three times.
            cpus: CPUs, and threads.
            gpus: GPUs; 0: one where `device` is cuda, or as many as `devices` says.
            memory: GB; 0: Slurm's default.

        Raises:
            BadInput: no whole numbers, or too small ones.
        """
        given = {"time": time, "cpus": cpus, "gpus": gpus, "memory": memory}
        for name, value in given.items():
            least = 1 if name in ("time", "cpus") else 0
            if not least <= value <= 1e9 or value != int(value):
                raise BadInput(f"`executor` slurm:{name}={value:g}", f"give a whole number from {least}")
        self.partition, self.time, self.cpus = partition, int(time), int(cpus)
        self.gpus, self.memory = int(gpus), int(memory)

    @override
    def require(self, runs: Sequence[Planned]) -> None:
        try:
            import submitit  # noqa: F401
        except ImportError:
            problem = "`executor` slurm needs the package submitit"
            raise BadInput(problem, "pip install 'mpdviz[slurm]'") from None
        for program in ("sbatch", "squeue", "srun"):
            if shutil.which(program) is None:
                problem = f"`executor` slurm needs Slurm's {program}, which is not here"
                raise BadInput(problem, "give the command on a machine that submits to Slurm")
        process.refuse_numbered_devices(runs, "slurm")

    @override
    def run(self, runs: Sequence[Planned], jobs: int | None, on_event: Watcher) -> list[Failure]:
        """Submit the runs that are not in Slurm's queue already, `jobs` at a time (None: no limit)."""
        if not runs:
            return []
        folder = make_folder(runs[0].study) / "slurm"
        queued = _queued(folder)
        waiting = [run for run in runs if _place(run) not in queued]
        if len(waiting) < len(runs):
            on_event(f"{len(runs) - len(waiting)} of {len(runs)} runs are in Slurm's queue already")
        if not waiting:
            return []
        ids = self._submit([process.absolute(run) for run in waiting], jobs, make_folder(folder).absolute())
        number = ids[0].partition("_")[0]
        names = {job: _place(run) for job, run in zip(ids, waiting, strict=True)}
        write_text(folder / f"{number}{OF_JOBS}", json.dumps(names, indent=1) + "\n")
        what = f"{len(waiting)} run{'s' * (len(waiting) != 1)}"
        on_event(
            f"{what} submitted as Slurm job {number}, {self.time} minutes each; the same command again "
            "submits those that are neither finished nor in the queue by then"
        )
        return []

    def _submit(self, runs: Sequence[Planned], jobs: int | None, folder: Path) -> list[str]:
        """Submit an array of runs; its jobs' numbers, in their order.

        Raises:
            BadInput: Slurm refuses, in its words.
        """
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError

        # -P: a file in the current folder is not to stand in for a library.
        executor = SlurmExecutor(folder, python=f"{shlex.quote(sys.executable)} -P")
        gpus = self.gpus or max(process.gpus_of(run.config) for run in runs)
        wanted: dict[str, Any] = {"job_name": "mpdviz", "time": self.time, "cpus_per_task": self.cpus}
        wanted |= {"array_parallelism": jobs or len(runs), "stderr_to_stdout": True}
        wanted |= {"partition": self.partition} if self.partition else {}
        wanted |= {"gpus_per_node": gpus} if gpus else {}
        wanted |= {"mem": f"{self.memory}GB"} if self.memory else {}
        executor.update_parameters(**wanted)
        try:
            submitted = executor.map_array(Task(), runs, [self.cpus] * len(runs))
        except FailedJobError as error:
            said = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
            raise BadInput(f"Slurm refuses the runs: {said}", REMEDY) from None
        return [job.job_id for job in submitted]


class Task:
    """What a job does: a run, to its end or until Slurm wants the machine back."""

    def __init__(self) -> None:
        """Nothing is under way yet."""
        self._child: process.Child | None = None
        self._asked = False

    def __call__(self, run: Planned, threads: int) -> None:
        """Train a run, or go on with it; a failure is the job's, its log says why."""
        # Slurm's signal goes to every process of the job: the run is asked to stop by `checkpoint` alone.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        self._child = process.start(run, threads)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        while (how := self._child.ended()) is None:
            time.sleep(process.PAUSE)
        if how.status:
            print(f"{run.name} failed: {process.last_words(run, how.status)}", flush=True)
            sys.exit(abs(how.status))

    def checkpoint(self, run: Planned, threads: int) -> Any:
        """Have the run saved; what to queue again. Called by submitit on Slurm's signal."""
        from submitit.helpers import DelayedSubmission

        if self._child is not None:
            pid = self._child.process.pid
            # Not `wait`: this is a signal's handler, and what it interrupts may hold the process's lock.
            with suppress(ProcessLookupError, ChildProcessError):  # it has just ended
                if not self._asked:  # Slurm may signal again, and a run that is asked again does not save
                    self._asked = True
                    os.kill(pid, signal.SIGTERM)
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Task(), run, threads)


def _place(run: Planned) -> str:
    return run.folder.path.relative_to(run.study).as_posix()


def _queued(folder: Path) -> set[str]:
    """Run folders, within the study's, whose jobs wait or run.

    Raises:
        BadInput: a damaged file, or Slurm does not answer.
    """
    known: dict[str, str] = {}
    for path in folder.glob(f"*{OF_JOBS}"):
        jobs = read_json(path, "list of jobs", "remove it, when none of its jobs is in the queue")
        known |= jobs if isinstance(jobs, dict) else {}
    if not known:
        return set()
    words = ["squeue", "--noheader", "--array", "--format=%i", f"--user={os.getuid()}"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    if told.returncode:
        said = (told.stderr.strip().splitlines() or ["no reason given"])[0]
        raise BadInput(f"Slurm does not say what is in its queue: {said}", "try again when it answers")
    return {known[job] for job in told.stdout.split() if job in known}
