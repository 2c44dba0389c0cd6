"""Recording sinabs's own neurons, against NumPy in float64 and against the same run unobserved."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from unobserved import check_table

import mpdviz
from mpdviz.errors import MpdvizWarning

sinabs = pytest.importorskip("sinabs")
import sinabs.activation as sina  # noqa: E402
import sinabs.layers as sl  # noqa: E402

T, N = 6, 8
HALF = np.log(10) / 2
"""Its default is a single exponential: |h| >= .1 max |h| for |v - 1| <= ln 10 / 2."""
NEURONS = {
    "iaf": lambda **o: sl.IAF(**o),
    "lif": lambda **o: sl.LIF(tau_mem=5.0, **o),
    "lif, sums": lambda **o: sl.LIF(tau_mem=5.0, norm_input=False, **o),
    "synaptic": lambda **o: sl.LIF(tau_mem=5.0, tau_syn=3.0, norm_input=False, **o),
}


def data():
    """[N, T, F], as sinabs has it."""
    return torch.randn(N, T, 20, generator=torch.Generator().manual_seed(1)) * 3


def network(kind="iaf", **options):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 30), NEURONS[kind](spike_fn=sina.SingleSpike, **options))


def twin(made, x, *, soft):
    """Potentials and spikes `[T, N, F]` in float64."""
    weight, bias = (parameter.detach().double().numpy() for parameter in made[0].parameters())
    neuron, v = made[1], np.zeros((N, 30))
    taus = (np.inf if tau is None else tau.item() for tau in (neuron.tau_mem, neuron.tau_syn))
    decay, syn = (np.exp(-1 / tau) for tau in taus)
    i_syn, gain, potentials = 0 * v, 1 - decay if neuron.norm_input else 1, []
    for current in x.double().numpy().swapaxes(0, 1) @ weight.T + bias:
        i_syn = current if neuron.tau_syn is None else syn * (i_syn + current)
        v = decay * v + gain * i_syn
        potentials.append(v)
        v = v - (v >= 1) if soft else v * (v < 1)
    potentials = np.stack(potentials)
    return potentials, potentials >= 1, decay


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("kind", NEURONS)
def test_potentials_are_those_of_the_recurrence(kind, soft):
    made = network(kind, reset_fn=sina.MembraneSubtract() if soft else sina.MembraneReset())
    x = data() * (4 if kind == "lif" else 1)
    expected, random = made(x), torch.get_rng_state()
    sinabs.reset_states(made)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mpdviz.record(made) as mpd:
            assert torch.equal(made(x), expected)
    assert torch.equal(torch.get_rng_state(), random)
    v, spikes, decay = twin(made, x, soft=soft)
    assert np.array_equal(spikes, expected.detach().numpy().swapaxes(0, 1))
    assert 0.02 < spikes.mean() < 1
    table = mpd.table()
    check_table(table, np.abs(v - 1) <= HALF, spikes, (True, soft))
    assert (table["upper"] - table["v_th"]).tolist() == pytest.approx([HALF] * T)
    assert table["decay"].tolist() == pytest.approx([decay] * T)
    assert mpd.layer_table()["silent_input"].tolist() == [0]


def test_a_squeezed_layer_is_the_same_layer():
    made, x = network(), data()
    squeezed = nn.Sequential(made[0], sl.IAFSqueeze(num_timesteps=T, spike_fn=sina.SingleSpike))
    with torch.no_grad(), mpdviz.record(made) as mpd, mpdviz.record(squeezed) as flat:
        made(x)
        squeezed(x.flatten(0, 1))
    columns = [name for name in mpd.table() if name != "name"]
    assert flat.table()[columns].equals(mpd.table()[columns])
    assert not flat.not_measured.get(1, {}).keys() & {"decay", "reach_ratio", "silent_input"}


def test_a_state_that_was_not_reset_is_told():
    made, x = network(), data()
    with torch.no_grad(), mpdviz.record(made) as mpd:
        made(x)
        with pytest.warns(MpdvizWarning, match="layer 1 began a sequence with the potentials"):
            made(x)
    assert mpd.table()["count"].tolist() == [2 * N * 30] * T


def test_a_network_stepped_from_outside_goes_on_until_it_is_reset():
    made, x = network(), data()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        with mpdviz.record(made) as stepped:
            for _ in range(2):
                sinabs.reset_states(made)
                for step in x.split(1, dim=1):
                    made(step)
        sinabs.reset_states(made)
        with mpdviz.record(made) as whole:
            made(x)
    assert stepped.table()["timestep"].tolist() == list(range(1, T + 1))
    assert stepped.table()["count"].tolist() == [2 * N * 30] * T
    for column in ("available_ratio", "reach_ratio", "firing_rate"):
        assert stepped.table()[column].tolist() == whole.table()[column].tolist()


def test_clipped_potentials_have_no_reach():
    made = network(min_v_mem=-1.0)
    with torch.no_grad(), mpdviz.record(made) as mpd:
        made(data())
    assert mpd.table()["reach_ratio"].isna().all()
    assert "min_v_mem" in mpd.not_measured[1]["reach_ratio"]


def test_what_does_not_spike_is_no_neuron():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(20, 30), sl.IAF(spike_fn=sina.SingleSpike), sl.ExpLeak(tau_mem=5.0))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        with mpdviz.record(made) as mpd:
            made(data())
    assert list(mpd.layers) == [1]
    assert not mpd.left_out


def test_at_most_one_spike_a_timestep_is_read_however_it_is_said():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(20, 30), sl.IAF(spike_fn=sina.MaxSpike(1), reset_fn=sina.MembraneReset()))
    with torch.no_grad(), mpdviz.record(made) as mpd:
        spikes = made(data())
    assert set(spikes.unique().tolist()) == {0, 1}
    assert mpd.table()["firing_rate"].tolist() == spikes.double().mean((0, 2)).tolist()


@pytest.mark.parametrize("several", [sina.MultiSpike, sina.MaxSpike(3), sina.MaxSpike()])
def test_several_spikes_a_timestep_are_left_out_by_name(several):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), sl.LIF(tau_mem=20.0, spike_fn=several))
    with (
        pytest.warns(MpdvizWarning, match="layer 1 is not recorded: it spikes several times a timestep"),
        torch.no_grad(),
        mpdviz.record(net) as mpd,
    ):
        net(data() * 20)
    assert "SingleSpike" in mpd.left_out["1"]
