"""A resumed run whose `last.pt` or tables are damaged: refused in one line, nothing changed."""

import math

import pytest
import torch

from mpdviz.config import validate
from mpdviz.errors import BadInput
from mpdviz.training.run import Run, fit

SETTINGS = {"epochs": 2, "model": "convsnn:encode_channels=4:planes=4-4", "timesteps": 2, "batch_size": 256}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    fit(validate(SETTINGS | {"device": "cpu"}), folder)
    return folder


def momentum(training, **changed):
    training["optimizer"]["state"][0].update(changed)


def under_way(training):
    training["position"] |= {"epoch": 1, "metrics": training["position"]["metrics"][:1]}


DAMAGE = {
    "empty": lambda training: training.clear(),
    "no optimizer": lambda training: training.pop("optimizer"),
    "optimizer a list": lambda training: training.update(optimizer=[1]),
    "state of no parameter": lambda training: training["optimizer"]["state"].update(
        {99: {"momentum_buffer": torch.zeros(3)}}
    ),
    "another shape": lambda training: training["optimizer"]["state"][0].update(
        momentum_buffer=torch.zeros(3)
    ),
    "not finite": lambda training: training["optimizer"]["state"][0]["momentum_buffer"].fill_(math.nan),
    "integers": lambda training: training["optimizer"]["state"][0].update(
        momentum_buffer=training["optimizer"]["state"][0]["momentum_buffer"].long()
    ),
    "sparse": lambda training: training["optimizer"]["state"][0].update(
        momentum_buffer=training["optimizer"]["state"][0]["momentum_buffer"].to_sparse()
    ),
    "best": lambda training: training["position"].update(best=None),
    "no position": lambda training: training.pop("position"),
    "negative epoch": lambda training: training["position"].update(epoch=-1),
    "epoch beyond": lambda training: training["position"].update(epoch=10**6),
    "huge epoch": lambda training: training["position"].update(epoch=10**40),
    "step beyond": lambda training: training["position"].update(step=10**6, samples=1, seconds=1.0),
    "step of nothing": lambda training: training["position"].update(step=1),
    "metrics a number": lambda training: training["position"].update(metrics=3),
    "metrics of lists": lambda training: training["position"].update(metrics=[[1], [2]]),
    "loss text": lambda training: training["position"].update(loss="x"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_training_state_is_refused(run, damage):
    last = run / "checkpoints/last.pt"
    before = last.read_bytes()
    content = torch.load(last, weights_only=True)
    under_way(content["training"])
    DAMAGE[damage](content["training"])
    torch.save(content, last)
    try:
        with pytest.raises(BadInput, match=r"last\.pt.*; "):
            Run(validate(SETTINGS | {"device": "cpu"}), run, resume=True)
    finally:
        last.write_bytes(before)


@pytest.mark.parametrize("content", [b"", b"epoch,step\n1,x\n", b"\xff\xfe", b"nothing\n1\n", b'"'])
def test_a_damaged_table_is_refused(run, content):
    before = (run / "mpd.csv").read_bytes()
    (run / "mpd.csv").write_bytes(content)
    try:
        with pytest.raises(BadInput, match=r"mpd\.csv"):
            Run(validate(SETTINGS | {"device": "cpu"}), run, resume=True)
    finally:
        (run / "mpd.csv").write_bytes(before)
