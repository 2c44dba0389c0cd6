"""Several ranks compute what one process does: real gloo processes, started as a user would start them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mpdviz import checkpoint, networks
from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.training.engine import Engine

MPDVIZ = [sys.executable, "-m", "mpdviz.cli"]

STEPS = """
import json, sys
import torch
from mpdviz import networks
from mpdviz.config import RunConfig
from mpdviz.training.engine import Engine

def steps(dtype, steps, frames=False, **given):
    dtype = getattr(torch, dtype)
    config = RunConfig(**given, batch_size=16, timesteps=3, device="cpu")
    torch.manual_seed(0)
    network = networks.build(
        config.model, num_classes=4, in_channels=2, image_size=8, **config.network_options()
    ).to(dtype).channels_last()
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    engine = Engine(config)
    engine.setup(network.train(), optimizer, time_major=frames)
    rng = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(steps):
        shape = (3, 16, 2, 8, 8) if frames else (16, 2, 8, 8)
        x = torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype)
        y = torch.randint(4, (16,), generator=rng)
        found = engine.gradients(x, y)
        engine.step()
        losses.append(found.loss)
    state = {name: value.double().flatten().tolist() for name, value in network.state_dict().items()}
    return engine, {"losses": losses, "correct": found.correct, "norm": found.norm, "state": state}

results = []
for given in json.loads(sys.argv[1]):
    engine, result = steps(**given)
    results.append(result)
if engine.team.leads:
    print(json.dumps(results))
engine.close()
"""


def environment(**extra: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    return clean | {"OMP_NUM_THREADS": "1"} | extra


def steps(folder: Path, ranks: int, cases: list[dict]) -> list[dict]:
    script = folder / "steps.py"
    script.write_text(STEPS)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    done = subprocess.run(
        [sys.executable, *(torchrun if ranks > 1 else []), str(script), json.dumps(cases)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def furthest(a: dict, b: dict) -> float:
    assert a["state"].keys() == b["state"].keys()
    values = [
        np.abs(np.subtract(a["state"][name], b["state"][name])) / np.maximum(1, np.abs(b["state"][name]))
        for name in a["state"]
    ]
    return max(float(each.max()) for each in values if each.size)


IN_FLOAT64 = [
    {"model": "convsnn"},
    {"model": "convsnn", "neuron": "plif", "strategy": "observed", "frames": True},
    {"model": "convsnn", "strategy": "ds-atgo"},
    {"model": "convsnn", "strategy": "deeptage"},
    {"model": "convsnn", "strategy": "asgl", "accumulate": 2},
    {"model": "convsnn", "strategy": "mpd-agl-correlated", "decay": 0.9, "frames": True},
    {"model": "convsnn", "strategy": "lsg", "accumulate": 2},
    {"model": "resnet19:encode_channels=4:planes=4-6-8"},
    {"model": "convsnn", "loss": "tet", "norm": "tebn", "regularize": "im-loss:weight=1"},
    {"model": "convsnn", "regularize": "mpd-sgr", "neuron": "plif", "accumulate": 2},
]
CASES = [
    *({**case, "dtype": "float64", "steps": 20} for case in IN_FLOAT64),
    {"dtype": "float32", "steps": 3},
]


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory):
    """What one process and what two make of every case."""
    folder = tmp_path_factory.mktemp("steps")
    return [steps(folder, ranks, CASES) for ranks in (1, 2)]


@pytest.mark.thorough
@pytest.mark.parametrize("case", range(len(IN_FLOAT64)), ids=lambda case: str(IN_FLOAT64[case]))
def test_in_float64_two_ranks_give_one_processs_run(one_and_two, case):
    one, two = (results[case] for results in one_and_two)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-8)
    assert furthest(two, one) < 1e-8
    assert two["correct"] == one["correct"]
    assert two["norm"] == pytest.approx(one["norm"], rel=1e-7)
    assert one["losses"][-1] != one["losses"][0]


@pytest.mark.thorough
def test_in_float32_the_first_three_losses_agree(one_and_two):
    one, two = (results[-1] for results in one_and_two)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-4)


def mpdviz(*arguments: object, **extra: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*MPDVIZ, *map(str, arguments)], capture_output=True, text=True, env=environment(**extra), timeout=240
    )


TWO = ("--devices", 2, "--device", "cpu", "--epochs", 2, "--backend", "eager")


def same_run(a: Path, b: Path) -> None:
    for name in ("metrics.csv", "widths.csv", "mpd.csv"):
        tables = [pd.read_csv(folder / name) for folder in (a, b)]
        pd.testing.assert_frame_equal(*(table.drop(columns="seconds", errors="ignore") for table in tables))
    weights = [checkpoint.load(folder / "checkpoints/last.pt").network.state_dict() for folder in (a, b)]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "run"
    return out, mpdviz("train", *TWO, "--out", out)


@pytest.mark.thorough
def test_devices_2_trains_one_run(two):
    out, done = two
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 1
    assert done.stderr.count("epoch   1") == 1
    assert json.loads((out / "result.json").read_text())["finished"]
    assert "devices = 2" in (out / "config.toml").read_text()
    assert len(pd.read_csv(out / "metrics.csv")) == 2


@pytest.mark.slow
def test_two_ranks_that_were_stopped_go_on_bit_for_bit(two, tmp_path):
    out = tmp_path / "run"
    command = [*MPDVIZ, "train", *map(str, TWO), "--out", str(out), "--save-every", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        while not (out / "checkpoints/last.pt").exists():
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert stderr.count("interrupted in epoch") == 1
    assert "Traceback" not in stderr
    done = mpdviz("train", "--resume", "--out", out)
    assert done.returncode == 0, done.stderr
    same_run(out, two[0])


@pytest.mark.thorough
def test_a_killed_rank_ends_the_other_with_one_line(tmp_path):
    out = tmp_path / "run"
    command = [*MPDVIZ, "train", *map(str, TWO), "--epochs", "50", "--out", str(out), "--save-every", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        while not (out / "checkpoints/last.pt").exists():
            time.sleep(0.02)
            assert process.poll() is None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1, stderr
    assert "another process of this run has ended; continue with --resume" in stderr
    assert "Traceback" not in stderr


@pytest.mark.thorough
def test_torchrun_is_the_same_as_devices(two, tmp_path):
    out = tmp_path / "run"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mpdviz.cli"]
    done = subprocess.run(
        [sys.executable, *torchrun, "train", *map(str, TWO[2:]), "--out", str(out)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    same_run(out, two[0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"devices": 4096}, ["`devices` 4096", "there are", "CPU cores"]),
        ({"devices": 2, "batch_size": 63}, ["`batch_size` 63", "2 processes", "multiple of 2"]),
        ({"accumulate": 3}, ["`batch_size` 64", "3 pieces", "multiple of 3"]),
        ({"precision": "16-mixed"}, ["16-mixed needs a GPU", "bf16-mixed"]),
    ],
)
def test_what_the_engine_cannot_do_is_refused(settings, words):
    with pytest.raises(BadInput) as refused:
        Engine(RunConfig(device="cpu", **settings))
    assert all(word in str(refused.value) for word in words)


def test_devices_that_contradict_torchrun_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadInput, match="`devices` 3 under torchrun with 2 processes"):
        Engine(RunConfig(device="cpu", devices=3))


def test_nothing_is_written_when_devices_are_missing(tmp_path):
    done = mpdviz("train", "--devices", 4096, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_accumulated_pieces_give_the_mean_of_their_gradients(tmp_path):
    """Against autograd on the pieces themselves, one process, float64."""
    config = RunConfig(batch_size=8, timesteps=2, device="cpu", accumulate=4)
    torch.manual_seed(3)
    network = networks.build(
        "convsnn", num_classes=3, in_channels=1, image_size=8, **config.network_options()
    ).double()
    x, y = torch.randn(8, 1, 8, 8, dtype=torch.float64), torch.randint(3, (8,))
    expected = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    losses = []
    for each_x, each_y in zip(x.split(2), y.split(2), strict=True):
        loss = torch.nn.functional.cross_entropy(network(each_x).mean(0), each_y)
        for name, gradient in zip(
            expected, torch.autograd.grad(loss, list(network.parameters())), strict=True
        ):
            expected[name] += gradient / 4
        losses.append(loss.item())
    engine = Engine(config)
    engine.setup(network, torch.optim.SGD(network.parameters(), 0.1), time_major=False)
    found = engine.gradients(x, y)
    assert found.loss == pytest.approx(sum(losses) / 4, rel=1e-12)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-10, atol=1e-12)


def test_bf16_keeps_potentials_in_float32_and_learns(tmp_path):
    config = RunConfig(batch_size=8, timesteps=2, device="cpu", precision="bf16-mixed")
    torch.manual_seed(3)
    network = networks.build(
        "convsnn", num_classes=3, in_channels=1, image_size=8, **config.network_options()
    )
    seen = set()
    for _, layer in network.spiking_layers():
        layer.neuron.observers.append(lambda current, v, *_: seen.add((current.dtype, v.dtype)))
    engine = Engine(config)
    engine.setup(network, torch.optim.SGD(network.parameters(), 0.05), time_major=False)
    x, y = torch.randn(8, 1, 8, 8), torch.randint(3, (8,))
    losses = []
    for _ in range(10):
        losses.append(engine.gradients(x, y).loss)
        engine.step()
    assert seen == {(torch.float32, torch.float32)}
    assert losses[-1] < losses[0]
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(tmp_path):
    case = {"dtype": "float32", "steps": 3}
    plain, compiled = steps(tmp_path, 1, [case, case | {"compile": True}])
    np.testing.assert_allclose(compiled["losses"], plain["losses"], rtol=0, atol=1e-4)
