"""sinabs, which nothing here knows: its neurons are read through their spike functions alone."""

import numpy as np
import pytest
import torch
from torch import nn

import mpdviz
from mpdviz.errors import MpdvizWarning

pytest.importorskip("sinabs")
import sinabs.activation as sina
import sinabs.layers as sl

T, N = 6, 8


def data():
    """[N, T, F], as sinabs has it."""
    return torch.randn(N, T, 20, generator=torch.Generator().manual_seed(1)) * 3


def test_single_spikes_are_counted_and_judged_by_sinabs_s_own_surrogate():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), sl.IAF(spike_fn=sina.SingleSpike, record_states=False))
    with torch.no_grad(), mpdviz.record(net) as mpd:
        spikes = net(data())
    assert 0 < spikes.mean() < 1
    table = mpd.table()
    assert table["timestep"].tolist() == list(range(1, T + 1))
    assert table["firing_rate"].tolist() == spikes.double().mean((0, 2)).tolist()
    # Its default is a single exponential: |h| >= .1 max |h| for |v - 1| <= ln 10 / 2.
    assert (table["upper"] - table["v_th"]).tolist() == pytest.approx([np.log(10) / 2] * T)
    assert table["reach_ratio"].isna().all()


def test_several_spikes_a_timestep_are_left_out_by_name():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), sl.LIF(tau_mem=20.0, spike_fn=sina.MultiSpike))
    with (
        pytest.warns(MpdvizWarning, match="layer 1 is not recorded: its spikes have many levels"),
        torch.no_grad(),
        mpdviz.record(net) as mpd,
    ):
        net(data() * 20)
    assert "levels" in mpd.left_out["1"]
