"""Training on data that are handed over in Python."""

import numpy as np
import pandas as pd
import pytest
import torch
from networks import TRAINING

import mpdviz
from mpdviz.errors import BadInput


def arrays():
    rng, y = np.random.default_rng(0), np.arange(60) % 3
    return (rng.normal(size=(60, 1, 8, 8)) + y[:, None, None, None]).astype(np.float32), y


class Pairs(torch.utils.data.Dataset):
    def __init__(self, x, y):
        self.x, self.y = torch.from_numpy(x), y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, at):
        return self.x[at], int(self.y[at])


def test_a_torch_data_set_trains_as_the_same_samples_in_a_file(tmp_path):
    x, y = arrays()
    np.savez(tmp_path / "data.npz", x=x, y=y)
    settings = {**TRAINING, "epochs": 2}
    of_file = mpdviz.train(data=f"npz:{tmp_path / 'data.npz'}", out=tmp_path / "file", **settings)
    given = mpdviz.train(data=Pairs(x, y), out=tmp_path / "given", **settings)
    assert (given.epoch, given.test_accuracy) == (of_file.epoch, of_file.test_accuracy)
    tables = [
        pd.read_csv(tmp_path / name / "metrics.csv").drop(columns="seconds") for name in ("file", "given")
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_the_same_data_have_to_be_given_again(tmp_path):
    x, y = arrays()
    settings = {**TRAINING, "epochs": 1}
    result = mpdviz.train(data=(x, y), out=tmp_path / "run", **settings)
    again = mpdviz.train(data=(x, y), out=tmp_path / "run", resume=True, **settings)
    assert again == result
    with pytest.raises(
        BadInput, match=r"data given:[0-9a-f]{12} were handed over in Python; hand them over again"
    ):
        mpdviz.train(out=tmp_path / "run", resume=True)
    with pytest.raises(BadInput, match="other settings: data was given:"):
        mpdviz.train(data=(x + 1, y), out=tmp_path / "run", resume=True)
    with pytest.raises(BadInput, match="handed over in Python"):
        mpdviz.inspect(tmp_path / "run")
    table = mpdviz.inspect(tmp_path / "run", data=(x, y), split="all").table()
    assert table["count"].iloc[0] == 60 * 4 * 8 * 8


def test_sequences_and_vectors_train_an_mlp(tmp_path):
    x, y = arrays()
    for samples, name in ((x.reshape(60, 64), "vectors"), (x.reshape(60, 4, 16), "sequences")):
        settings = {**TRAINING, "model": "mlp:hidden=16", "timesteps": 4, "epochs": 8}
        result = mpdviz.train(data=(samples, y), out=tmp_path / name, **settings)
        assert result.val_accuracy > 0.8
        with pytest.raises(BadInput, match="takes square images, and a sample of the data is"):
            mpdviz.train(data=(samples, y), out=tmp_path / "no", **{**settings, "model": "convsnn"})
