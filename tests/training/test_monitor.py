"""How many samples are recorded, and that pieces make the same numbers as one forward."""

import pandas as pd
import pytest
import torch
from networks import TRAINING

import mpdviz
from mpdviz import data
from mpdviz.training import monitor


@pytest.mark.parametrize(("samples", "counted"), [(None, 16), (50, 50), (100_000, 179)])
def test_as_many_validation_samples_are_recorded_as_asked_for(samples, counted, tmp_path, monkeypatch):
    """Against `mpdviz.record` over the same samples at once; digits have 179 for validation."""
    monkeypatch.setattr(monitor, "PIECE", 20)
    given = {} if samples is None else {"record_samples": samples}
    mpdviz.train(**TRAINING | {"epochs": 1} | given, out=tmp_path / "run")
    written = pd.read_csv(tmp_path / "run" / "mpd.csv")
    network = mpdviz.load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").network
    x = next(data.batches(data.load("digits"), "val", 1000))[0][:counted]
    with torch.no_grad(), mpdviz.record(network.eval()) as mpd:
        network(x)
    expected = mpd.table()
    for column in ("count", "available_ratio", "firing_rate"):
        assert written[column].tolist() == pytest.approx(expected[column].tolist(), rel=1e-3)
