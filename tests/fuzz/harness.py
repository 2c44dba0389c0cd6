"""Run one input and judge what came of it.

A command runs in a process forked from one that has imported everything heavy: as alone as one of its own,
and there at once. It gets a limit on memory and on time, and is its own group, so that nothing of it is left.
"""

import gc
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from commands import HEAVY

from fuzz.case import Case
from fuzz.kinds import KINDS, make_sources
from fuzz.tensors import CANARY

SECONDS = 20
MEMORY = 6 * 2**30
DOCUMENTED = (0, 1, 2)
"""Exit codes that an input may lead to; 70 is a bug of ours, and nobody presses Ctrl-C."""
STOPPED = ("training diverged", "there is not enough memory", "cannot write", "cannot print")
"""What ends work that has begun: files may be there by then."""
SCRIPT = Path(sys.executable).with_name("mpdviz")

_context = multiprocessing.get_context("forkserver")
_preloaded = [
    *HEAVY,
    "sympy",
    "torch.fx.experimental.symbolic_shapes",
    "torch._dynamo",
    "lightning_fabric.fabric",
]
_preloaded += ["pyarrow.pandas_compat", "mpdviz.figures.paper", "mpdviz.inspection.study", "rich.progress"]
_context.set_forkserver_preload(_preloaded)


@dataclass(frozen=True)
class Outcome:
    """What one input led to."""

    kind: str
    name: str
    case: Case
    status: int | None
    """Exit code, negative for a signal, None where time was up."""
    seconds: float
    faults: tuple[str, ...]

    def __str__(self):
        given = " ".join(f"{name}={value!r}" for name, value in self.case.environment.items())
        words = " ".join(word if word.isprintable() and word else repr(word) for word in self.case.words)
        return f"{given} mpdviz {words:.300}   [{self.case.note:.300}]".strip()


class Fuzzer:
    """Sound sources, made once, and inputs made of copies of them."""

    def __init__(self, folder, seed):
        """Make the sources in `folder`; inputs are drawn from `seed`."""
        self._folder, self._seed = folder, seed
        self._sources = folder / "sources"
        self._sources.mkdir(parents=True)
        make_sources(self._sources, self._make)

    def run(self, kind, number, keep=False):
        """Run one input; its folder stays where it found a fault and `keep` is set."""
        name = f"{self._seed}-{kind.replace(' ', '-')}-{number}"
        place = self._folder / name
        self.copy(place)
        case = KINDS[kind](Random(name), place / "here")
        outcome = self._judged(kind, name, case, place)
        if outcome.faults and keep:
            (place / "command.txt").write_text(f"{outcome}\n{outcome.faults}\n", errors="replace")
        else:
            shutil.rmtree(place)
        return outcome

    def copy(self, place):
        """Put a copy of the sources, and an empty cache, into the folder `place`; where the copy is."""
        (place / "cache").mkdir(parents=True)
        return shutil.copytree(self._sources, place / "here")

    def _make(self, *words):
        status, _ = execute(Case(words, ""), self._sources, self._folder)
        if status != 0:
            raise RuntimeError(f"mpdviz {' '.join(words)}: {(self._folder / 'err').read_text()}")

    def _judged(self, kind, name, case, place):
        before = _snapshot(place / "here")
        status, seconds = execute(case, place / "here", place)
        faults = judge(case, status, place, before, _snapshot(place / "here"))
        return Outcome(kind, name, case, status, seconds, tuple(faults))


def execute(case, cwd, folder):
    """Run a command in `cwd`, its output and cache in `folder`: (exit code or None, seconds)."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
    } | case.environment
    start, out, err = time.monotonic(), folder / "out", folder / "err"
    for path in (out, err):
        path.unlink(missing_ok=True)
    if case.fresh:
        status = _fresh(case.words, cwd, environment, out, err)
    else:
        process = _context.Process(target=_forked, args=(case.words, str(cwd), environment, out, err))
        process.start()
        process.join(SECONDS + 5)
        status = process.exitcode
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return None if status == -signal.SIGALRM else status, time.monotonic() - start


def _fresh(words, cwd, environment, out, err):
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [SCRIPT, *words], cwd=cwd, env=environment, stdout=stdout, stderr=stderr, start_new_session=True
        )
        try:
            return process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _forked(words, cwd, environment, out, err):
    gc.freeze()  # or the first collection copies all that is shared with the other processes
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(SECONDS)
    from commands import _run

    _run(words, cwd, environment, out, err)


def _snapshot(folder):
    """Every file by its content, links by their targets; a lock names the process that held it last."""
    found = {}
    for path in folder.rglob("*"):
        if path.name != ".lock" and "__pycache__" not in path.parts:
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
            found[path.relative_to(folder).as_posix()] = path.readlink() if path.is_symlink() else content
    return found


def judge(case, status, place, before, after):
    """The faults of a command that has ended, each in words that tell it from others."""
    text = (place / "err").read_text(errors="replace") if (place / "err").exists() else ""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)  # colours, where the environment asks for them
    command = case.words[0] if case.words else "mpdviz"
    if status is None:
        yield f"{command}: took more than {SECONDS} s"
    elif status < 0:
        yield f"{command}: ended by signal {-status}"
    elif status == 70:
        yield _bug(place / "cache") or f"{command}: exit code 70 without a traceback: {text[-100:]}"
    elif status not in DOCUMENTED:
        yield f"{command}: exit code {status}"
    if status != 70 and "this is a bug of mpdviz" in text:
        yield f"{command}: says it is a bug, exit code {status}"
    if "Traceback" in text:
        yield f"{command}: traceback: {text.strip().splitlines()[-1][:150]}"
    lines = text.splitlines()
    if status == 2 and case.words:
        if not lines or not lines[-1].startswith("mpdviz: "):
            yield f"{command}: exit code 2, and the last line is not ours: {_bare(lines)}"
        elif sum(line.startswith("mpdviz:") for line in lines) > 1:
            yield f"{command}: exit code 2 with several lines of ours: {_bare(lines)}"
    if any(Path(name).name == CANARY for name in after):
        yield f"{command}: code in a file was run"
    free = case.may_change if status in (0, 1) or _has_begun(text) else ()
    for name in sorted(before):
        if after.get(name, ...) != before[name] and not _within(name, free):
            done = "changed" if name in after else "removed"
            yield f"{command}: exit code {status}, {done} the input {name}"
            break
    new = sorted(set(after) - set(before))
    if status == 2 and new and not _has_begun(text):
        yield f"{command}: exit code 2, yet wrote {Path(new[0]).parts[0]}: {_bare(lines)}"


def _has_begun(text):
    """Whether work had begun when it ended."""
    return any(told in text for told in STOPPED)


def _within(name, folders):
    return any(Path(folder) == Path() or Path(name).is_relative_to(folder) for folder in folders)


def _bare(lines):
    """The last line without what differs from input to input."""
    return re.sub(r"'[^']*'|\d+(\.\d+)?", "_", lines[-1] if lines else "none")[:110]


def _bug(cache):
    """Exception and place of the first traceback that was kept."""
    for path in sorted(cache.rglob("bugs/*.txt")):
        text = path.read_text(errors="replace")
        frames = re.findall(r'File ".*?/((?:mpdviz|cli)/[\w/]+\.py)", line (\d+), in (\w+)', text)
        last = text.strip().splitlines()[-1][:150]
        told = re.search(r"^(?:[\w.]+(?:Error|Exception|Exit)\b.*)", text, re.MULTILINE)
        where = ":".join(frames[-1]) if frames else "?"
        return f"bug at {where}: {(told[0] if told else last)[:120]}"
    return None
