"""Recording SpikingJelly's own neurons, against NumPy in float64 and against the same run unobserved."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiers import thorough_but
from torch import nn
from unobserved import check_potentials, check_table, observed

import mpdviz
from mpdviz import checkpoint, neurons
from mpdviz.errors import MpdvizWarning
from mpdviz.recording.adapters import find
from mpdviz.surrogates.probed import probe

sj = pytest.importorskip("spikingjelly.activation_based")
from spikingjelly.activation_based import functional, layer, neuron, surrogate  # noqa: E402

NODES = {
    "if": lambda **o: neuron.IFNode(**o),
    "lif": lambda **o: neuron.LIFNode(tau=1.7, decay_input=True, **o),
    "lif-undecayed": lambda **o: neuron.LIFNode(tau=1.7, decay_input=False, **o),
    "plif": lambda **o: neuron.ParametricLIFNode(init_tau=2.3, decay_input=True, **o),
    "plif-undecayed": lambda **o: neuron.ParametricLIFNode(init_tau=2.3, decay_input=False, **o),
}
RESETS = {"soft": None, "to 0": 0.0, "to -0.3": -0.3}
SURROGATES = {"rect": surrogate.Rect, "atan": surrogate.ATan, "sigmoid": surrogate.Sigmoid}
T, N = 5, 6


def network(node, step_mode="m", **options):
    torch.manual_seed(0)
    made = nn.Sequential(
        layer.Linear(7, 9), NODES[node](**options), layer.Linear(9, 4), NODES[node](**options)
    )
    for linear in (made[0], made[2]):
        linear.weight.data *= 8  # so that all layers spike
    functional.set_step_mode(made, step_mode)
    return made


def data():
    return torch.randn(T, N, 7, generator=torch.Generator().manual_seed(1)) * 2


def run(made, x):
    functional.reset_net(made)
    if getattr(made[1], "step_mode", "m") == "m":
        return made(x)
    return torch.stack([made(step) for step in x])


def charge(node, x, spikes):
    """Pre-reset potentials in float64 that replay the emitted spikes."""
    rest = 0.0 if node.v_reset is None else node.v_reset
    v, potentials = np.full(x.shape[1:], rest), []
    for step, s in zip(x, spikes, strict=True):
        if isinstance(node, neuron.IFNode):
            h = v + step
        else:
            leak = 1 / node.tau if hasattr(node, "tau") else 1 / (1 + np.exp(-node.w.item()))
            h = v - (v - rest) * leak + step * (leak if node.decay_input else 1)
        potentials.append(h)
        v = h - s * node.v_threshold if node.v_reset is None else np.where(s == 1, rest, h)
    return np.stack(potentials)


@pytest.mark.parametrize("shape", thorough_but(["atan"], SURROGATES))
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("node", NODES)
def test_potentials_are_those_of_the_recurrence_and_nothing_changes(node, step_mode, reset, shape):
    x = data()
    made = network(node, step_mode, v_reset=RESETS[reset], surrogate_function=SURROGATES[shape]())
    once = f"layer [13] was called {T} times without a reset, which counts as one sequence of T={T}; .*"
    told = once if step_mode == "s" else None  # which one sequence and several do not differ in
    mpd, current, spikes, read = observed(made, "3", lambda: run(made, x), told=told)
    truth = charge(made[3], current, spikes)
    check_potentials(read, truth)
    half = {"rect": 0.5, "atan": 3 / np.pi, "sigmoid": np.arccosh(0.1**-0.5) / 2}[shape]
    table = mpd.table().query("layer == 2")
    check_table(table, np.abs(truth - 1) < half, spikes, (True, reset == "soft"))
    assert (table["grad_norm"] > 0).any() or shape == "rect"


def test_stepping_and_whole_sequences_give_one_table():
    x = data()
    tables = []
    for step_mode in ("s", "m"):
        made = network("lif", step_mode, v_reset=None)
        with mpdviz.record(made, what_if=(0.5,)) as mpd:
            for batch in range(3):
                run(made, x + batch)
        tables.append(mpd.table())
    assert tables[0]["count"].eq(3 * N * np.repeat([9, 4], T)).all()
    # A linear layer rounds differently over a step and over a sequence; counts agree all the same.
    pd.testing.assert_frame_equal(*tables, rtol=1e-6)
    for ratio in ("available_ratio", "reach_ratio", "firing_rate", "available_ratio_kappa0.5", "synops"):
        assert tables[0][ratio].equals(tables[1][ratio])


def test_every_second_sequence_of_a_stepped_network():
    made, x = network("lif", "s"), data()
    with mpdviz.record(made, every=2) as mpd:
        for batch in range(4):
            run(made, x + batch)
    again = network("lif", "m")
    with mpdviz.record(again) as truth:
        for batch in (0, 2):
            run(again, x + batch)
    # What is predicted from the currents takes the roundings of a step and of a sequence further.
    plain = {"regex": "(?<!_correlated)$"}
    pd.testing.assert_frame_equal(mpd.table().filter(**plain), truth.table().filter(**plain), rtol=1e-6)
    pd.testing.assert_frame_equal(mpd.table(), truth.table(), rtol=1e-5)


def test_the_same_weights_in_spikingjelly_s_neurons_give_the_same_table():
    """A decay of 1/2 is exact in both orders of operations: tau = 2, no decay of the input, reset to 0."""
    torch.manual_seed(3)
    linear, norm = nn.Linear(7, 9), mpdviz.norm.TDBatchNorm1d(9)
    ours = nn.Sequential(linear, norm, neurons.LIF(decay=0.5, v_th=0.5))
    node = neuron.LIFNode(2.0, False, 0.5, 0.0, surrogate.Rect(), step_mode="m")
    theirs = nn.Sequential(linear, norm, node)
    tables = []
    for made in (ours.eval(), theirs.eval()):
        with mpdviz.record(made) as mpd:
            for batch in range(2):
                functional.reset_net(made)
                made(data() + batch)
        tables.append(mpd.table())
    # What decides is v - v_th in single precision: counts are the same, the sums of v to its rounding.
    for exact in ("count", "available_ratio", "reach_ratio", "firing_rate", "mean_gain", "synops"):
        assert tables[0][exact].equals(tables[1][exact])
    pd.testing.assert_frame_equal(*tables, rtol=1e-6, atol=1e-8)
    assert tables[1]["predicted_ratio"].notna().all()


@pytest.mark.parametrize("step_mode", ["m", "s"])
def test_a_forgotten_reset_is_told(step_mode):
    made, x = network("lif", step_mode), data()
    run(made, x)
    with warnings.catch_warnings(record=True) as told, mpdviz.record(made) as mpd:
        warnings.simplefilter("always")
        for part in x if step_mode == "s" else [x]:
            made(part)
    said = [str(warning.message) for warning in told]
    assert all("reset the network's state" in text for text in said)
    for name in ("1", "3"):
        mine = [text for text in said if text.startswith(f"layer {name} ")]
        assert "began a sequence with the potentials" in mine[0]
        # Stepped, it is seen at the end too: nothing told where a sequence begins.
        assert [f"called {T} times without a reset" in text for text in mine[1:]] == [True] * (
            step_mode == "s"
        )
    assert len(said) == (4 if step_mode == "s" else 2)
    assert len(mpd.table()) == 2 * T


def test_new_sequence_ends_the_one_before_in_a_stepped_network():
    made, x = network("if", "s"), data()
    functional.reset_net(made)
    with warnings.catch_warnings(record=True) as told, mpdviz.record(made) as mpd:
        warnings.simplefilter("always")
        for _ in range(2):
            mpd.new_sequence()
            for step in x:
                made(step)
    assert mpd.table()["count"].eq(2 * N * np.repeat([9, 4], T)).all()
    assert str(told[0].message).startswith("layer 1 began a sequence")
    assert len(told) == 2  # each layer's second


def test_a_node_at_two_places_is_two_layers():
    node = neuron.IFNode(surrogate_function=surrogate.ATan(), step_mode="m")

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear, self.node = nn.Linear(7, 7), node

        def forward(self, x):
            first = self.node(3 * self.linear(x))
            functional.reset_net(self.node)
            return self.node(3 * self.linear(first))

    made, line = Twice(), Twice.forward.__code__.co_firstlineno
    with torch.no_grad():
        made(data())
        functional.reset_net(made)
        with mpdviz.record(made) as mpd:
            out = made(data())
        functional.reset_net(made)
        first = made.node(3 * made.linear(data()))
        currents = [3 * made.linear(x).double().numpy() for x in (data(), first)]
    table = mpd.table()
    assert table["name"].unique().tolist() == [f"node@forward:{line + 1}", f"node@forward:{line + 3}"]
    for number, (current, spikes) in enumerate(zip(currents, (first, out), strict=True), start=1):
        truth, rows = charge(node, current, spikes.double().numpy()), table[table["layer"] == number]
        assert rows["count"].tolist() == [N * 7] * T
        np.testing.assert_allclose(rows["mean"], truth.reshape(T, -1).mean(1), atol=1e-6)
        check_table(rows, np.abs(truth - 1) < 3 / np.pi, spikes.numpy(), (True, False))


def test_a_layer_that_spikes_in_no_step_is_left_out():
    made = network("lif")
    made[1].surrogate_function = surrogate.Sigmoid(spiking=False)
    plain = run(made, data())
    with pytest.warns(MpdvizWarning, match="layer 1 is not recorded"), mpdviz.record(made) as mpd:
        assert torch.equal(run(made, data()), plain)
    assert list(mpd.left_out) == ["1"]
    assert "no spikes were seen in it" in mpd.left_out["1"]
    assert mpd.table()["name"].unique().tolist() == ["3"]
    np.testing.assert_allclose(mpd.table()["firing_rate"], plain.flatten(1).mean(1).detach(), atol=1e-7)


def own_charge(kind, node, x, spikes):
    """Pre-reset potentials of the nodes that are not plain, in float64."""
    if kind == "psn":
        weight, bias = (p.detach().double().numpy() for p in (node.weight, node.bias))
        return (weight @ x.reshape(T, -1) + bias).reshape(x.shape) + 1  # fires at 0; shown as that
    v, potentials = np.full(x.shape[1:], node.v_reset), []
    for step, s in zip(x, spikes, strict=True):
        if kind == "qif":
            h = v + (step + node.a0 * (v - node.v_rest) * (v - node.v_c)) / node.tau
        elif kind == "eif":
            rise = node.delta_T * np.exp((v - node.theta_rh) / node.delta_T)
            h = v + (step + node.v_rest - v + rise) / node.tau
        elif kind == "klif":
            h = np.maximum(v - v / node.tau + step / node.tau, 0) * node.k.item()
        else:  # simple, and the charge that a subclass inherits
            h = v + (step - v) / node.tau
        potentials.append(h)
        v = np.where(s == 1, node.v_reset, h)
    return np.stack(potentials)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("qif", lambda: neuron.QIFNode()),
        ("eif", lambda: neuron.EIFNode()),
        ("psn", lambda: neuron.PSN(T=T, surrogate_function=surrogate.Sigmoid())),
        ("klif", lambda: neuron.KLIFNode()),
        ("simple", lambda: neuron.SimpleLIFNode(2.0, True)),
        ("mine", lambda: type("Mine", (neuron.LIFNode,), {"extra_repr": lambda self: ""})()),
    ],
)
def test_other_nodes_are_read(kind, make):
    torch.manual_seed(0)
    made = nn.Sequential(layer.Linear(7, 9), make())
    made[0].weight.data *= 4
    functional.set_step_mode(made, "m")
    plain = run(made, data())
    functional.reset_net(made)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mpdviz.record(made) as mpd:
            assert torch.equal(made(data()), plain)
    assert not mpd.left_out
    spikes = plain.detach().double().numpy()
    assert 0 < spikes.mean() < 1
    truth = own_charge(kind, made[1], made[0](data()).detach().double().numpy(), spikes)
    np.testing.assert_array_equal(spikes, truth >= 1)
    table, shift = mpd.table(), 1.0 if kind == "psn" else 0.0
    assert table["count"].tolist() == [N * 9] * T
    np.testing.assert_allclose(table["mean"], truth.reshape(T, -1).mean(1) - shift, rtol=1e-5, atol=1e-5)
    inside = np.abs(truth - 1) < np.arccosh(0.1**-0.5) / 2
    np.testing.assert_allclose(table["available_ratio"], inside.reshape(T, -1).mean(1))
    np.testing.assert_allclose(table["firing_rate"], spikes.reshape(T, -1).mean(1))
    if kind == "psn":  # no memory: a gradient comes back from no later timestep
        assert table["reach_ratio"].equals(table["available_ratio"])
    elif kind == "mine":
        check_table(table, inside, spikes, (True, False))
        assert table["decay"].unique().tolist() == [0.5]
    else:
        assert table[["reach_ratio", "decay"]].isna().all(axis=None)


def test_a_readout_that_never_spikes_is_passed_over():
    torch.manual_seed(0)
    made = nn.Sequential(layer.Linear(7, 9), neuron.IFNode(), neuron.NonSpikingLIFNode())
    functional.set_step_mode(made, "m")
    assert list(find(made)) == ["1"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mpdviz.record(made) as mpd:
            made(data())
    assert not mpd.left_out
    assert mpd.table()["name"].unique().tolist() == ["1"]


@pytest.mark.parametrize(
    ("function", "half"),
    [
        (surrogate.SoftSign(3.0), (0.1**-0.5 - 1) / 3),
        (surrogate.SuperSpike(2.0), 0.1**-0.5 - 1),
        (surrogate.Erf(2.0), np.sqrt(np.log(10)) / 2),
        (surrogate.PiecewiseExp(2.0), np.log(10) / 2),
        (surrogate.Rect(0.7), 1 / 1.4),
        (surrogate.PiecewiseQuadratic(0.7), 1 / 0.7),
        (surrogate.Sigmoid(3.0), 2 / 3 * np.arccosh(0.1**-0.5)),
        (surrogate.ATan(3.0), 2 / (3 * np.pi) * 3),
    ],
)
def test_a_probed_surrogate_has_the_interval_of_its_closed_form(function, half):
    probed = probe(function, "it", like=torch.zeros(1), epsilon=0.1)
    (interval,) = probed.intervals
    assert interval == pytest.approx((-half, half), rel=1e-6)
    assert (probed.threshold, probed.strict, probed.height) == (0.0, False, 1.0)
    assert probed.compact == isinstance(function, surrogate.Rect | surrogate.PiecewiseQuadratic)
    x = torch.linspace(-3, 3, 101, dtype=torch.float64, requires_grad=True)
    (truth,) = torch.autograd.grad(function(x).sum(), x)
    assert probed.form is not None
    torch.testing.assert_close(probed.form.h(x.detach()), truth, rtol=1e-5, atol=1e-6 * float(truth.max()))


def test_an_asymmetric_surrogate_is_read():
    made = nn.Sequential(
        layer.Linear(7, 9), neuron.IFNode(surrogate_function=surrogate.LeakyKReLU(0.05, 2.0))
    )
    functional.set_step_mode(made, "m")
    with mpdviz.record(made) as mpd:
        spikes = made(data()).detach().double().numpy()
    truth = charge(made[1], made[0](data()).detach().double().numpy(), spikes)
    table = mpd.table()
    np.testing.assert_array_equal(spikes, truth >= 1)
    # 2 above and 0.05 below, which is less than a tenth.
    check_table(table, truth >= 1, spikes, (True, False))
    gain = np.where(truth >= 1, 2, 0.05).reshape(T, -1).mean(1)
    np.testing.assert_allclose(table["mean_gain"], gain, rtol=1e-6)
    assert np.isposinf(table["upper"]).all()


class Shim(nn.Module):
    """A SpikingJelly node where one of our networks has a neuron of ours, of the same constants."""

    def __init__(self, ours, kappa):
        super().__init__()
        self.decay, self.v_th, self.observers = ours.decay_value, ours.v_th, []
        options = {"v_reset": 0.0, "surrogate_function": surrogate.Rect(1 / kappa), "step_mode": "m"}
        if isinstance(ours, neurons.PLIF):
            self.node = neuron.ParametricLIFNode(decay_input=False, v_threshold=ours.v_th, **options).double()
            self.node.w.data = -ours.w.data
        else:
            self.node = neuron.LIFNode(1 / (1 - ours.decay), False, ours.v_th, **options)

    def forward(self, current, kappa, v_th, shape):
        return self.node(current)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "kind"), [("resnet19_slim", "plif"), ("vggsnn_slim", "lif")])
def test_released_weights_give_one_table_natively_and_in_spikingjelly_s_neurons(golden, name, kind):
    """In float64, where no potential comes so near the threshold that the order of operations decides."""
    loaded = checkpoint.load(golden / f"{name}_best_model.pth", strategy="fixed:kappa=1")
    ours, architecture = loaded.network.double(), replace(loaded.architecture, neuron=kind)
    state = {
        key: value for key, value in ours.state_dict().items() if kind == "plif" or ".neuron." not in key
    }
    pair = [architecture.build().double().eval() for _ in range(2)]
    for made in pair:
        made.load_state_dict(state)
    for _, block in pair[1].spiking_layers():
        block.neuron = Shim(block.neuron, 1.0)
    x = torch.from_numpy(np.load(golden / f"{name}.npz")["x"][:2]).double()
    x = x.transpose(0, 1) if x.dim() == 5 else x
    tables = []
    for made in pair:
        with torch.no_grad(), mpdviz.record(made) as mpd:
            functional.reset_net(made)
            made(x)
        tables.append(mpd.table().drop(columns="name"))
    pd.testing.assert_frame_equal(*tables, rtol=1e-9, atol=1e-12)
    assert tables[0]["firing_rate"].between(0.01, 0.9).any()
    assert tables[1]["predicted_ratio"].notna().all()


def test_a_slope_that_changes_in_training_is_followed():
    made = network("lif", surrogate_function=surrogate.Sigmoid(4.0))
    with mpdviz.record(made) as mpd:
        for alpha in (4.0, 8.0):
            for node in (made[1], made[3]):
                node.surrogate_function = surrogate.Sigmoid(alpha)
            run(made, data())
    assert mpd.table()["upper"].tolist() == pytest.approx([1 + 2 / 8 * np.arccosh(0.1**-0.5)] * 2 * T)
