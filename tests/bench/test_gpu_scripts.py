"""What waits for a CUDA device is rehearsed on the CPU: no minute there is for finding mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
STAGES = ("neurons", "resnet19", "vggsnn", "recording", "training")


def run(*command: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": sys.executable}
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.slow
def test_everything_is_measured_by_one_command(tmp_path):
    done = run(SCRIPTS / "gpu.sh", "--rehearse", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    said = (tmp_path / "out" / "RESULTS.md").read_text()
    assert "no number in it means anything" in said
    parts = dict(part.split("\n", 1) for part in said.split("### ")[1:])
    assert set(STAGES) <= set(parts)
    for name in STAGES:
        assert "median ms" in parts[name]
        assert parts[name].count("```") == 2
    assert "triton" not in parts or "cases agree with the definition" in parts["triton"]


@pytest.mark.slow
def test_training_goes_on_from_the_files_of_the_call_before():
    done = run(SCRIPTS / "cifar10_gpu.sh", "--rehearse")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the second call went on from the first" in done.stdout


@pytest.mark.thorough
def test_damaged_and_missing_files_are_not_joined(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "run.tar.00").write_bytes(b"other bytes")
    (state / "SHA256SUMS").write_text(f"{'0' * 64}  run.tar.00\n{'0' * 64}  run.tar.01\n")
    out = tmp_path / "run"
    done = run(SCRIPTS / "cifar10_gpu.sh", "--seconds", 0, "--run", out, "--state", state)
    assert done.returncode == 2
    assert "missing or damaged" in done.stderr
    assert "run.tar.00" in done.stdout + done.stderr
    assert not out.exists()


@pytest.mark.thorough
def test_without_a_cuda_device_nothing_is_measured(tmp_path):
    done = run("env", "CUDA_VISIBLE_DEVICES=", SCRIPTS / "gpu.sh", tmp_path / "out")
    assert done.returncode == 2
    assert "--rehearse" in done.stderr
