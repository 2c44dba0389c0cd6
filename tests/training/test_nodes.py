"""torchrun over two machines, here two launches on one: the run of one launch, to the last bit."""

import subprocess
import sys

import pandas as pd
import pytest
import torch
from networks import TRAINING
from slurm_cluster import free_ports
from tiny_study import ENVIRONMENT, LONGEST

from mpdviz import checkpoint
from mpdviz.config import RunConfig
from mpdviz.training.engine import Engine

SETTINGS = TRAINING | {"planes": "4,4", "epochs": 1, "backend": "eager"}
TRAIN = [
    "-m",
    "mpdviz",
    "train",
    *(f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()),
]


def torchrun(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def two_machines(*outs):
    """What each launch said, and its exit code."""
    meeting = ["--nnodes", 2, "--nproc-per-node", 1, "--master-addr", "127.0.0.1"]
    meeting += ["--master-port", *free_ports(1)]
    launches = [
        torchrun(*meeting, "--node-rank", node, *TRAIN, "--out", out) for node, out in enumerate(outs)
    ]
    said = [launch.communicate(timeout=LONGEST) for launch in launches]
    return said, [launch.returncode for launch in launches]


def test_a_job_of_slurm_is_one_process_until_torchrun_starts_more(monkeypatch):
    """Slurm's variables in a job of two tasks, of which Lightning Fabric would want two processes."""
    variables = {"NTASKS": 2, "JOB_ID": 7, "JOB_NAME": "study", "PROCID": 1, "LOCALID": 1, "NODEID": 0}
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    engine = Engine(RunConfig(device="cpu"))
    assert (engine.team.rank, engine.team.size) == (0, 1)
    assert engine._fabric.global_rank == 0


@pytest.mark.slow
def test_two_machines_train_the_run_of_one(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    alone = torchrun("--standalone", "--nproc-per-node", 2, *TRAIN, "--out", one)
    _, err = alone.communicate(timeout=LONGEST)
    assert alone.returncode == 0, err
    (first, second), codes = two_machines(two, two)
    assert codes == [0, 0], first[1] + second[1]
    assert "test accuracy" in first[0]
    assert second == ("", "")  # the first machine alone speaks
    tables = [pd.read_csv(folder / "metrics.csv").drop(columns="seconds") for folder in (one, two)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    weights = [checkpoint.load(folder / "checkpoints/last.pt").network.state_dict() for folder in (one, two)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.slow
def test_machines_that_do_not_share_the_folder_are_refused_before_they_train(tmp_path):
    said, codes = two_machines(tmp_path / "one", tmp_path / "two")
    assert 0 not in codes
    for _, err in said:
        assert "not every machine of the run sees the same folder" in err
        assert "choose an --out on a folder that they share" in err
        assert "epoch" not in err
    assert not (tmp_path / "one" / "metrics.csv").exists()
