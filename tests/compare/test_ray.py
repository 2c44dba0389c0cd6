"""`compare --executor ray`: a real cluster of two machines (on this one) gives the table of `local`."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_study import (
    ENVIRONMENT,
    LONGEST,
    STUDY,
    compare,
    parent,
    same_tables,
    saved,
    through,
    training,
    until,
)

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]

CLUSTER = Path(__file__).parents[1] / "ray_cluster.py"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local") / "study"
    through(compare(*STUDY, "--out", folder))
    return folder


@pytest.fixture(scope="module")
def cluster():
    """A way to tell the cluster something, and its address."""
    with subprocess.Popen(
        [sys.executable, CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT,
    ) as process:

        def tell(word):
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            assert process.stdout.readline().strip() == "done"

        yield tell, process.stdout.readline().strip()
        process.stdin.close()
        process.wait(60)


def test_killed_processes_are_started_again_and_the_table_is_that_of_local(cluster, local, tmp_path):
    out = tmp_path / "study"
    process = compare(*STUDY, "--out", out, "--executor", "ray", "--address", cluster[1])
    running = until(lambda: len(found := saved(out)) == 2 and found)
    one, other = running.values()
    assert parent(parent(one)) != parent(parent(other))  # the two machines
    os.kill(one, signal.SIGKILL)  # a run's process
    os.kill(parent(other), signal.SIGKILL)  # a process of Ray's, whose run saves and ends
    said = through(process)
    assert "Ray: 2 machines, 2 CPUs, 0 GPUs" in said
    assert "[4/4]" in said
    assert said.count("test accuracy") == 4
    same_tables(local, out)
    assert not list(out.glob(".ray-*"))


def test_the_runs_of_a_lost_machine_go_on_at_another(cluster, local, tmp_path):
    tell, address = cluster
    out = tmp_path / "study"
    process = compare(*STUDY, "--out", out, "--executor", "ray", "--address", address)
    until(lambda: len(saved(out)) == 2)
    tell("lose")
    through(process)
    same_tables(local, out)
    tell("join")


def test_ctrl_c_saves_the_runs_and_the_same_command_goes_on(cluster, local, tmp_path):
    out = tmp_path / "study"
    words = [*STUDY, "--out", out, "--executor", "ray:cpus=1", "--address", cluster[1]]
    process = compare(*words)
    running = until(lambda: len(found := saved(out)) == 2 and found)
    before = {path: (path / "checkpoints/last.pt").stat().st_mtime_ns for path in running}
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 130
    assert "runs not finished, their state saved; give the same command again" in err.replace("\n", " ")
    assert not training(out)
    assert all((path / "checkpoints/last.pt").stat().st_mtime_ns > before[path] for path in running)
    through(compare(*words))
    same_tables(local, out)


@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="cannot hide a folder")
def test_a_machine_that_does_not_see_the_folder_is_named(cluster, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    node = f"mount -t tmpfs none {hidden} && exec {sys.executable} -m ray.scripts.scripts start --block"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{node} --num-cpus 1 --address {cluster[1]}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
    ) as started:
        try:
            until(lambda: "Ray runtime started" in started.stdout.readline())
            time.sleep(5)  # until the cluster knows
            out = hidden / "study"
            process = compare(*STUDY, "--out", out, "--executor", "ray", "--address", cluster[1])
            _, err = process.communicate(timeout=LONGEST)
            assert process.returncode == 2, err
            line = err.strip().splitlines()[-1]
            assert "of the Ray cluster does not see" in line
            assert "choose an --out on a folder that all its machines share" in line
            assert not training(out)
        finally:
            started.terminate()
