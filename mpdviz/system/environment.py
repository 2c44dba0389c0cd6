"""What results depend on besides the settings: versions, hardware, threads, git, command (no torch).

Nothing that says who a user is, or where, but for what stands in the command itself: of the environment's
variables only those that change results are kept, of git no names and addresses.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mpdviz.system.memory import gigabytes

ALWAYS = ("mpdviz", "torch", "numpy")
IN_USE = {
    name.replace("-", "_"): name
    for name in (
        "lightning-fabric",
        "spikingjelly",
        "snntorch",
        "norse",
        "sinabs",
        "kornia",
        "tonic",
        "scipy",
    )
}
"""Packages whose versions are kept where their module, named first, has been imported."""
VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE"),
    *("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"),
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "PYTHONHASHSEED", "WORLD_SIZE", "MPDVIZ_BACKEND"),
)
"""Those that change results."""
GIT_SECONDS = 0.5
"""How long git may take for an answer; in a repository of a million files it would take a minute."""
LONGEST = 10_000
"""Characters of a command line that are kept: an argument may be a whole file."""
Number = Annotated[int, Field(ge=0, lt=2**63)]


class Git(BaseModel):
    """The repository that the command was given in."""

    model_config = ConfigDict(strict=True, frozen=True)

    commit: str | None = None
    """None before the first one."""
    branch: str | None = None
    """None where a commit was checked out by itself."""
    changed: Number | None = None
    """Tracked files that are not as in the commit; None where git took too long to tell."""

    def __str__(self) -> str:
        """The commit and what is not in it, in words."""
        where = f" ({self.branch})" if self.branch else ""
        files = "" if self.changed is None else f", {self.changed} file{'s' * (self.changed != 1)} changed"
        unknown = ", changes not known" if self.changed is None else ""
        return f"{self.commit or 'no commit'}{where}{files if self.changed else unknown}"


class Environment(BaseModel):
    """One process that took part in a run."""

    model_config = ConfigDict(strict=True, frozen=True)

    started: str
    """Date and time, UTC, ISO 8601."""
    command: str
    versions: dict[str, str]
    system: str
    cpu: str | None = None
    cores: Number | None = None
    """That the process may use."""
    threads: Number | None = None
    """With which torch computes an operation."""
    memory: Number | None = None
    """Of the machine, in bytes."""
    gpus: list[str] = []
    """Those in use, by name."""
    variables: dict[str, str] = {}
    git: Git | None = None
    """None where there is no repository, or no git."""

    def facts(self) -> dict[str, str]:
        """Everything but start and command, by name, as words; what is not known is left out."""
        found = self.versions | {
            "OS": self.system,
            "CPU": self.cpu,
            "cores": self.cores,
            "threads": self.threads,
            "memory": None if self.memory is None else gigabytes(self.memory),
            "GPUs": ", ".join(self.gpus) or None,
            **self.variables,
            "git": self.git,
        }
        return {name: str(value) for name, value in found.items() if value is not None}


def collect(command: str = "") -> Environment:
    """This process, now; what cannot be found out is left out, and nothing fails.

    Args:
        command: what started it; empty: the command line.
    """
    torch: Any = sys.modules.get("torch")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Environment(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=(command or command_line())[:LONGEST],
        versions=_versions(torch),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=_cpu(),
        cores=usable,
        threads=None if torch is None else torch.get_num_threads(),
        memory=_memory(),
        gpus=_gpus(torch),
        variables={name: os.environ[name][:200] for name in VARIABLES if name in os.environ},
        git=_git(),
    )


def changes(then: Sequence[Environment], now: Environment) -> dict[str, tuple[str, str]]:
    """What is not as it was: name -> before (of several processes all there was) and now.

    Args:
        then: processes of before.
        now: one of today.
    """
    today, before = now.facts(), [one.facts() for one in then]
    found = {}
    for name in dict.fromkeys(name for facts in (*before, today) for name in facts):
        were = list(dict.fromkeys(facts.get(name, "none") for facts in before))
        if any(value != today.get(name, "none") for value in were):
            found[name] = (" and ".join(were), today.get(name, "none"))
    return found


def command_line() -> str:
    """What was typed, as a shell would take it again: `mpdviz train ...`, or a line of Python's."""
    program = Path(sys.argv[0]) if sys.argv else Path()
    ours = program.name == "__main__.py" and program.parent.name in ("mpdviz", "cli")
    if ours or program.stem == "mpdviz":
        return shlex.join(["mpdviz", *sys.argv[1:]])
    python, *words = sys.orig_argv or [sys.executable]
    return shlex.join([Path(python).name, *words])


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call from Python in words; `...` stands for arguments that no line can hold."""
    plain = (str, int, float, bool, type(None))
    words = {
        key: repr(str(value) if isinstance(value, Path) else value)
        for key, value in arguments.items()
        if isinstance(value, (*plain, Path))
    }
    listed = ", ".join(f"{key}={words.get(key, '...')}" for key in arguments)
    return f"{name}({listed})"


def _versions(torch: Any) -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in (*ALWAYS, *(name for module, name in IN_USE.items() if module in sys.modules)):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    # What was built, 2.13.0+cpu, where the package does not say.
    found |= {} if torch is None else {"torch": str(torch.__version__)}
    if torch is not None and torch.cuda.is_initialized():
        found |= {"CUDA": str(torch.version.cuda), "cuDNN": str(torch.backends.cudnn.version())}
    return found


def _gpus(torch: Any) -> list[str]:
    """Only where they are open: opening them takes seconds, and a run on a CPU has none."""
    if torch is None or not torch.cuda.is_initialized():
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def _cpu() -> str | None:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
    return platform.machine() or None


def _memory() -> int | None:
    with suppress(OSError, ValueError, AttributeError):  # not on Windows
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _git() -> Git | None:
    told = _ask_git(
        "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=dirty"
    )
    if told is not None:
        heads = [line.split(" ", 2)[1:] for line in told if line.startswith("# branch.")]
        commit, branch = (
            next((value for name, value in heads if name == key), None)
            for key in ("branch.oid", "branch.head")
        )
        changed = sum(not line.startswith("#") for line in told)
        return Git(
            commit=None if commit == "(initial)" else commit,
            branch=None if branch == "(detached)" else branch,
            changed=changed,
        )
    # Too many files to look at, perhaps: the commit alone is told at once.
    told = _ask_git("rev-parse", "HEAD")
    return Git(commit=told[0]) if told else None


def _ask_git(*words: str) -> list[str] | None:
    """Lines of what git says; None where it says nothing, or takes too long."""
    git = shutil.which("git")
    if git is None:
        return None
    # A repository may name a program that is to tell what has changed.
    command = [git, "-c", "core.fsmonitor=false", *words]
    with suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=GIT_SECONDS,
            # It is to write nothing, not even what it found out about unchanged files.
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        )
        return done.stdout.decode().splitlines()
    return None
