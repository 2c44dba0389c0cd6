"""What strategies make of a run: a schedule by its progress, a caution before it begins."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from networks import TRAINING

from mpdviz import checkpoint
from mpdviz.config import validate
from mpdviz.errors import BadInput, Interrupted, MpdvizWarning
from mpdviz.runs.folder import RunFolder
from mpdviz.training.run import Run, fit

EPOCHS, STEPS = 3, 2


@pytest.fixture
def settings(tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    np.savez(path, x=generator.random((44, 1, 8, 8), np.float32), y=np.arange(44) % 3)
    return TRAINING | {"data": f"npz:{path}", "epochs": EPOCHS}


def stopper(steps):
    """Ends a run by hand after so many steps."""

    def watch(now):
        if now.done == steps:
            raise Interrupted("stopped", "resume")

    return watch


def test_slope_schedule_follows_the_training_and_stays_where_it_ended(settings, tmp_path):
    config = validate(settings | {"strategy": "slope-schedule:start=2:end=50", "save_every": 1})
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    fit(config, whole.path)
    widths = pd.read_csv(whole.widths)
    for epoch, rows in widths.groupby("epoch"):
        slope = 2 + 48 * epoch / EPOCHS
        np.testing.assert_allclose(rows["kappa"], 1 / slope, rtol=1e-6)
    for path, epoch in ((whole.last, EPOCHS), (whole.best, checkpoint.load(whole.best).metrics["epoch"])):
        network = checkpoint.load(path).network
        assert network.encode.progress == epoch / EPOCHS
        slope = 2 + 48 * epoch / EPOCHS
        assert network.encode.widths(2).tolist() == pytest.approx([1 / slope] * 2, rel=1e-6)
    # Widths in force, step by step.
    seen = []
    run = Run(config, folder.path)
    run.network.encode.neuron.observers.append(
        lambda *parts: seen.append(float(parts[3][0])) if run.network.training else None
    )
    with pytest.raises(Interrupted):
        run.fit(on_step=stopper(STEPS + 1))
    slopes = [2 + 48 * step / (EPOCHS * STEPS) for step in range(STEPS + 1)]
    assert seen == pytest.approx([1 / slope for slope in slopes], rel=1e-6)
    fit(config, folder.path, resume=True)
    one, other = (checkpoint.load(part.last).network.state_dict() for part in (whole, folder))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    pd.testing.assert_frame_equal(pd.read_csv(folder.widths), widths)


def test_lsg_with_a_constant_decay_is_said_before_it_is_trained(settings, tmp_path):
    lsg = settings | {"strategy": "lsg"}
    with pytest.warns(MpdvizWarning, match=r"one fixed width, kappa = 1.02; choose `neuron` plif") as said:
        Run(validate(lsg), tmp_path / "lif")
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Run(validate(lsg | {"neuron": "plif"}), tmp_path / "plif")


def test_what_does_not_go_together_is_refused_before_anything_is_written(settings, tmp_path):
    for strategy, words in (
        ("dspike:shape=atan", "shape of its own"),
        ("deeptage", "whose surrogate is lorentz"),
    ):
        with pytest.raises(BadInput, match=words):
            Run(validate(settings | {"strategy": strategy, "surrogate": "atan"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
