"""What results depend on besides the settings: found out truly, quickly, without anybody's secrets."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mpdviz.system import environment
from mpdviz.system.environment import Environment, Git, call, changes, collect, command_line

OWN = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")


def git(*words):
    subprocess.run(["git", *OWN, *words], check=True, capture_output=True)


def head():
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Two tracked files on the branch `mine`, and a data file that is not tracked."""
    if not environment.shutil.which("git"):
        pytest.skip("git is not installed")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "mine")
    for name in ("net.py", "train.py"):
        Path(name).write_text("x = 1\n")
    git("add", ".")
    git("commit", "-qm", "begin")
    Path("data.npz").write_text("much")
    return tmp_path


def test_the_commit_the_branch_and_how_many_files_are_changed(repository):
    assert collect().git == Git(commit=head(), branch="mine", changed=0)
    Path("net.py").write_text("x = 2\n")
    assert collect().git == Git(commit=head(), branch="mine", changed=1)
    Path("train.py").unlink()
    git("checkout", "-q", "--detach")
    Path("below").mkdir()
    os.chdir("below")
    assert collect().git == Git(commit=head(), branch=None, changed=2)
    assert str(collect().git) == f"{head()}, 2 files changed"


def test_before_the_first_commit(tmp_path, monkeypatch, repository):
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    git("init", "-q", "-b", "mine")
    assert collect().git == Git(commit=None, branch="mine", changed=0)


def test_no_repository_and_no_git_are_none(repository, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert collect().git is None
    monkeypatch.chdir(repository)
    assert collect().git is not None
    monkeypatch.setenv("PATH", str(repository))
    assert collect().git is None


def test_another_user_s_repository_is_none(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # what git's own tests use
    assert collect().git is None


def test_a_repository_runs_nothing_of_its_own(repository):
    program = repository / "hook.sh"
    program.write_text(f"#!/bin/sh\ntouch {repository}/EXECUTED\n")
    program.chmod(0o755)
    git("config", "core.fsmonitor", str(program))
    assert collect().git is not None
    assert not (repository / "EXECUTED").exists()


def test_a_git_that_takes_too_long_is_not_waited_for(repository, tmp_path_factory, monkeypatch):
    commit, real = head(), environment.shutil.which("git")
    slow = tmp_path_factory.mktemp("bin") / "git"
    slow.write_text(f'#!/bin/sh\ncase "$*" in *status*) exec sleep 30;; esac\nexec {real} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    started = time.perf_counter()
    found = collect().git
    assert time.perf_counter() - started < 5
    assert found == Git(commit=commit)
    assert str(found) == f"{commit}, changes not known"


def test_a_working_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert collect().git is None


def test_the_machine_and_the_versions():
    found = collect()
    assert found.versions["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert found.versions["torch"] == torch.__version__
    assert found.threads == torch.get_num_threads()
    assert found.gpus == []  # none is in use here
    if sys.platform.startswith("linux"):
        nproc = subprocess.run(
            ["nproc"], capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": ""}
        )
        assert found.cores == int(nproc.stdout)
        total = Path("/proc/meminfo").read_text().split()[1]
        assert found.memory == pytest.approx(1024 * int(total), rel=0.01)
        assert found.cpu
        assert found.cpu in Path("/proc/cpuinfo").read_text() + os.uname().machine


@pytest.mark.thorough
def test_frameworks_are_there_where_they_are_in_use():
    code = (
        "import json, torch{}; from mpdviz.system.environment import collect;"
        "print(json.dumps(collect().versions))"
    )
    without = subprocess.run([sys.executable, "-c", code.format("")], capture_output=True, text=True)
    assert '"snntorch"' not in without.stdout
    pytest.importorskip("snntorch")
    used = subprocess.run([sys.executable, "-c", code.format(", snntorch")], capture_output=True, text=True)
    assert '"snntorch"' in used.stdout


def test_nobody_s_secrets_are_kept(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a-secret")
    monkeypatch.setenv("USER", "somebody-s-name")
    monkeypatch.setenv("HOME", "/home/somebody-s-name")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    text = collect("mpdviz train").model_dump_json()
    assert "secret" not in text
    assert "somebody" not in text
    assert str(Path.cwd()) not in text
    assert collect("mpdviz train").variables["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("argv", "orig", "told"),
    [
        (["/home/me/bin/mpdviz", "train", "--out", "a b"], ["python"], "mpdviz train --out 'a b'"),
        (["/lib/mpdviz/__main__.py", "train"], ["/bin/python", "-m", "mpdviz", "train"], "mpdviz train"),
        (
            ["/lib/mpdviz/training/__main__.py", "o", "{}"],
            ["/bin/python3", "-P", "-m", "mpdviz.training", "o", "{}"],
            "python3 -P -m mpdviz.training o '{}'",
        ),
        (["mine.py", "--lr", "1"], ["/home/me/bin/python", "mine.py", "--lr", "1"], "python mine.py --lr 1"),
    ],
)
def test_the_command_is_one_that_a_shell_takes(monkeypatch, argv, orig, told):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig)
    assert command_line() == told
    assert collect().command == told


def test_a_call_in_words():
    given = {"epochs": 2, "out": Path("runs/a"), "data": object(), "lr": 0.1}
    assert call("mpdviz.train", given) == "mpdviz.train(epochs=2, out='runs/a', data=..., lr=0.1)"


def one(**facts):
    values = {"started": "2026-01-01T00:00:00+00:00", "command": "x", "versions": {"torch": "2.6"}}
    return Environment(**values | {"system": "Linux", "threads": 2} | facts)


def test_changes_name_what_is_not_as_it_was():
    assert changes([one()], one(started="later", command="other")) == {}
    now = one(versions={"torch": "2.7"}, variables={"OMP_NUM_THREADS": "2"})
    assert changes([one()], now) == {"torch": ("2.6", "2.7"), "OMP_NUM_THREADS": ("none", "2")}
    assert changes([one(), one(threads=4)], one()) == {"threads": ("2 and 4", "2")}
    assert changes([one(git=Git(commit="a"))], one()) == {"git": ("a, changes not known", "none")}
