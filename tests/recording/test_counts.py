"""What is recorded, against a NumPy twin that keeps everything, and against the reference's own rows."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_twin import HALF, INTEGERS, check, check_all, kept, potentials, rng
from reference import DERIVATIVES
from torch import nn

import mpdviz
from mpdviz import networks, surrogates
from mpdviz.checkpoint import released
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.kernels import RESETS, backends
from mpdviz.neurons import LIF, PLIF
from mpdviz.norm import TDBatchNorm1d
from mpdviz.recording.measure import meter, statistics
from mpdviz.recording.measure.scan import in_one_pass
from mpdviz.recording.measure.spec import Spec

PATHS = {"tensors": 1 << 60, "scan": 0}


@pytest.fixture(params=sorted(PATHS))
def path(request, monkeypatch):
    """Both ways of measuring: tensor operations, and the compiled scan from the first potential on."""
    monkeypatch.setattr(meter, "SCAN_AFTER", PATHS[request.param])
    return request.param


def small(**options):
    torch.manual_seed(3)
    sizes = {"encode_channels": 5, "planes": (4, 6), "hidden": 9, "num_classes": 3}
    return networks.build("convsnn", **({"timesteps": 3} | sizes | options))


def batches(sizes=(6, 6, 1)):
    generator = rng()
    return [torch.randn(size, 1, 8, 8, generator=generator) for size in sizes]


def shuffle_norms(network):
    """Weights and biases away from 1 and 0, one of them negative, so that channels differ."""
    generator = rng()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name:
                parameter += 0.4 * torch.randn(parameter.shape, generator=generator)
    return network


class Bare(nn.Module):
    """One neuron layer that gets its currents straight from the test."""

    def __init__(self, neuron):
        super().__init__()
        self.cell = neuron

    def forward(self, current, kappa=None):
        return self.cell(current, kappa)


# Against the twin. ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strategy": "fixed", "timesteps": 1},
        {"neuron": "plif", "decay": 0.5},
        {"v_th": 0.3, "decay": 0.9, "strategy": "fixed:kappa=0.6"},
        {"surrogate": "triangular"},
        {"surrogate": "sigmoid", "strategy": "fixed:kappa=0.5"},
        {"surrogate": "atan", "v_th": 1.0},
        {"surrogate": "fast-sigmoid"},
    ],
    ids=lambda options: "-".join(map(str, options.values())) or "default",
)
def test_network_equals_its_twin(path, options):
    network = shuffle_norms(small(**options))
    widths, epsilon = (1.0, 0.25, 3.3), 0.03
    with kept(network) as calls, mpdviz.record(network, what_if=widths, epsilon=epsilon) as mpd:
        for x in batches((6, 6, 2)):
            network(x)
    check_all(mpd.layers, calls, network, options.get("surrogate", "rectangular"), epsilon, widths)
    assert [layer.info.name for layer in mpd.layers.values()] == [
        "encode", "features.0", "features.2", "features.3", "hidden",
    ]  # fmt: skip
    assert mpd.table()["firing_rate"].between(0.02, 0.98).any()  # not a test of silence


@pytest.mark.parametrize("name", sorted(surrogates.SHAPES))
def test_half_widths_of_the_twin(name):
    h, half = DERIVATIVES[name], HALF[name](0.1)
    peak = h(np.zeros(1), 1.0)[0]
    inner, outer = h(np.array([half * 0.999]), 1.0)[0], h(np.array([half * 1.001]), 1.0)[0]
    edge = 0.0 if surrogates.SHAPES[name].compact else 0.1
    assert outer <= edge * peak < inner


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_other_precisions(path, dtype):
    model = Bare(LIF(decay=0.7, v_th=0.3))
    with kept(model) as calls, mpdviz.record(model, what_if=(0.9,)) as mpd:
        for _ in range(2):
            model(torch.randn(4, 5, 3, 7, generator=rng()).to(dtype), torch.tensor([0.5, 1, 2, 0.6]))
    check_all(mpd.layers, calls, model, what_if=(0.9,))


def test_a_layer_called_twice_in_a_forward(path):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.linear = LIF(), nn.Linear(6, 6)

        def forward(self, x):
            return self.neuron(self.linear(self.neuron(x)), 2.0)

    model = Twice()
    with kept(model) as calls, mpdviz.record(model) as mpd:
        for size in (4, 1):
            model(torch.randn(3, size, 6, generator=rng()))
    line = Twice.forward.__code__.co_firstlineno + 1
    assert [layer.info.name for layer in mpd.layers.values()] == [
        f"neuron@forward:{line}#1",
        f"neuron@forward:{line}#2",
    ]
    first, second = mpd.layers.values()
    assert first.statistics.count.tolist() == second.statistics.count.tolist() == [5 * 6] * 3
    assert first.info.kappa == (1.0, 1.0, 1.0)
    assert second.info.kappa == (2.0, 2.0, 2.0)
    check(first, calls["neuron"][::2], 0.2)
    check(second, calls["neuron"][1::2], 0.2)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_nan_and_infinite_potentials(path, decay):
    current = torch.randn(4, 6, 2, 500, generator=rng())
    current[0, 0, 0, 0] = float("nan")
    current[1, 1, 1, 3] = float("inf")
    current[1, 2, 1, 3:90] = -float("inf")
    current[2, 3] = float("nan")
    model = Bare(LIF(decay=decay))
    with kept(model) as calls, mpdviz.record(model, what_if=(1e30,)) as mpd:
        model(current)
        model(torch.full((4, 1, 2, 500), float("nan")))
    check_all(mpd.layers, calls, model, what_if=(1e30,))
    rows = mpd.table()
    shares = rows["available_ratio"] + rows["below_ratio"] + rows["above_ratio"]
    np.testing.assert_allclose(shares, 1, atol=1e-12)
    assert (rows["nonfinite"] > 1000).all()
    assert np.isfinite(rows[["mean", "std", "min", "max", "mean_gain"]]).all(axis=None)


def test_nothing_finite_at_all(path):
    model = Bare(LIF())
    with mpdviz.record(model) as mpd:
        model(torch.full((2, 3, 4), float("nan")))
    rows = mpd.table()
    assert rows["nonfinite"].tolist() == rows["count"].tolist() == [12, 12]
    assert rows[["mean", "std", "min", "max", "available_ratio", "reach_ratio"]].isna().all(axis=None)
    assert rows["firing_rate"].tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("v_th", [0.5, 1.0, 0.3])
def test_potentials_exactly_on_edges(path, v_th, dtype):
    # Silent input: v = 0 is the lower end of kappa = 2 v_th, and outside it; v_th itself spikes, inside.
    width = 2 * v_th
    steps = torch.tensor([0.0, v_th, 2 * v_th, -v_th, 8 * v_th, -8 * v_th, 9 * v_th, -9 * v_th], dtype=dtype)
    if v_th != 0.3:  # then every bin edge is exact
        steps = torch.cat([steps, torch.arange(-600, 601) * (v_th / 64)]).to(dtype)
    model = Bare(LIF(decay=0.0, v_th=v_th))
    with kept(model) as calls, mpdviz.record(model, what_if=(width, v_th / 16, 14 * v_th)) as mpd:
        model(steps.expand(2, 3, len(steps)), width)
    twin = check(mpd.layers[1], calls["cell"], 0.0, what_if=(width, v_th / 16, 14 * v_th))
    zeros = int((steps == 0).sum()) * 3
    if v_th != 0.3:
        assert twin["cells"][0, 1025] == zeros  # the cell of v = 0 alone
    silent = Bare(LIF(v_th=v_th))
    with mpdviz.record(silent) as mpd:
        silent(torch.zeros(2, 3, 4, dtype=dtype), width)
    assert (
        mpd.table()[["available_ratio", "below_ratio", "reach_ratio"]].to_numpy().tolist() == [[0, 1, 0]] * 2
    )


def test_an_empty_batch_counts_nothing(path):
    model = Bare(LIF())
    with mpdviz.record(model) as mpd:
        model(torch.zeros(2, 0, 4))
        model(torch.ones(2, 3, 4))
    assert mpd.table()["count"].tolist() == [12, 12]


@pytest.mark.parametrize("offset", [0.1, -37.3])
def test_moments_of_potentials_that_hardly_vary(path, offset):
    values = offset + 1e-3 * torch.randn(2, 40, 300, generator=rng())
    model = Bare(LIF(decay=0.0))
    with kept(model) as calls, mpdviz.record(model) as mpd:
        model(values)
        model(values + 1e-3)
    check(mpd.layers[1], calls["cell"], 0.0)


def test_a_constant_potential_has_no_spread(path):
    model = Bare(LIF(decay=0.0))
    with mpdviz.record(model) as mpd:
        for _ in range(3):
            model(torch.full((2, 40, 300), 0.1))
    rows = mpd.table()
    assert rows["std"].tolist() == [0.0, 0.0]
    assert rows["mean"].tolist() == [float(np.float32(0.1))] * 2


@pytest.mark.parametrize("shape", [(3, 5), (3, 1, 1)])
def test_currents_of_few_dimensions(path, shape):
    model = Bare(LIF())
    current = torch.randn(shape, generator=rng())
    with mpdviz.record(model) as mpd:
        spikes = model(current)
    assert torch.equal(spikes, model(current))
    assert mpd.table()["count"].tolist() == [current[0].numel()] * 3
    assert mpd.layer_table()["neurons"].tolist() == [1]


def test_a_neuron_recorded_by_itself_is_named_by_its_class():
    for neuron, name in ((LIF(), "LIF"), (PLIF(), "PLIF")):
        with mpdviz.record(neuron) as mpd:
            neuron(torch.ones(2, 3, 4))
        assert set(mpd.table()["name"]) == {name}


# Other resets, and neurons that spike above the threshold only. --------------------------------------------


@pytest.mark.parametrize("backend", ["eager", "fused"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_potentials_that_are_never_written_are_counted_like_those_that_are(path, reset, dtype, backend):
    neuron = LIF(0.4, 0.5, surrogates.ATan(), reset=RESETS[reset])
    current = (torch.randn(5, 3, 700, generator=rng()) * 0.6).to(dtype)
    seen, tables = [], []
    for look in (False, True):
        neuron.observers = [lambda _, v, *__: seen.append(v.clone())] if look else []
        with backends.using(backend), mpdviz.record(neuron, what_if=[0.5]) as recording, torch.no_grad():
            neuron(current)
        tables.append(recording.table())
    assert tables[0].equals(tables[1])
    potentials = seen[0].double().numpy()
    assert tables[0]["mean"].to_numpy() == pytest.approx(potentials.mean((1, 2)), rel=1e-12)
    assert tables[0]["max"].tolist() == potentials.max((1, 2)).tolist()
    assert tables[0]["firing_rate"].tolist() == (potentials >= 0.5).mean((1, 2)).tolist()


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("carries", [(True, False), (True, True), (False, False)])
@pytest.mark.parametrize("way", ["tensors", "scan"])
def test_reach_follows_the_reset_and_spikes_the_comparison(way, carries, strict):
    v = torch.randint(-6, 9, (4, 50, 40), generator=rng()) / 4  # many lie on the threshold or the ends
    seen = torch.zeros(40, dtype=torch.uint8)
    spec = Spec(0.5, torch.full((4,), 0.5), torch.full((4,), 0.25), torch.empty(4, 0), carries, strict)
    if way == "tensors":
        found = statistics.by_tensors(v.flatten(1), spec, seen)
    else:
        found = in_one_pass(v, spec, seen)
    truth = v.double().numpy() - 0.5
    fired, inside = truth > 0 if strict else truth >= 0, np.abs(truth) < 0.25
    later, reach = np.zeros_like(inside[0]), []
    for t in reversed(range(4)):
        later = inside[t] | (later & np.where(fired[t], carries[1], carries[0]))
        reach.insert(0, later.sum())
    assert found.reach.tolist() == reach
    assert found.spikes.tolist() == fired.sum((1, 2)).tolist()
    assert found.above.tolist() == (fired & ~inside).sum((1, 2)).tolist()
    assert ((seen & 2) > 0).tolist() == fired.any((0, 1)).tolist()


# The two ways of measuring, and threads. ------------------------------------------------------------------


def recorded(monkeypatch, compile_after, threads, run):
    monkeypatch.setattr(meter, "SCAN_AFTER", compile_after)
    torch.set_num_threads(threads)
    return run()


def test_tensors_and_scan_and_any_threads_agree(monkeypatch):
    current = torch.randn(5, 7, 3, 401, generator=rng()) * 2
    current[:, :, 1, :9] = 0
    current[2, 3, 0, 5] = float("nan")

    def run():
        model = Bare(LIF(decay=0.6, v_th=0.3))
        with mpdviz.record(model, what_if=(0.3, 2.2)) as mpd:
            for part in current.split(3, dim=1):
                model(part, 0.8)
        return mpd.layers[1]

    layers = [recorded(monkeypatch, 1 << 60, 2, run)]
    layers += [recorded(monkeypatch, 0, threads, run) for threads in (1, 2, 3, 16)]
    layers.append(recorded(monkeypatch, 20000, 2, run))  # changes its way in the middle
    for other in layers[1:]:
        for name in INTEGERS:
            np.testing.assert_array_equal(
                getattr(other.statistics, name), getattr(layers[0].statistics, name), err_msg=name
            )
        np.testing.assert_array_equal(other.census.seen, layers[0].census.seen)
        np.testing.assert_allclose(other.statistics.mean, layers[0].statistics.mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(other.statistics.m2, layers[0].statistics.m2, rtol=1e-12)


def test_more_neurons_than_are_handled_at_a_time(monkeypatch, path):
    from mpdviz.recording.measure import statistics

    monkeypatch.setattr(statistics, "PART", 1 << 10)
    model = Bare(LIF(decay=0.5))
    for shape in ((2, 3, 4, 700), (2, 40, 100)):
        with kept(model) as calls, mpdviz.record(model) as mpd:
            model(torch.randn(shape, generator=rng()))
        check_all(mpd.layers, calls, model)


# The reference's rows. ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "steps"), [("resnet19", 2), ("vggsnn", 10)])
def test_golden(golden, path, name, steps):
    state = torch.load(golden / f"{name}_slim_best_model.pth", weights_only=True)["net"]
    state = released.rename(state)
    network = networks.build(**released.infer(state), strategy="mpd-agl", timesteps=steps).eval()
    network.load_state_dict(state)
    with np.load(golden / f"{name}_slim.npz", allow_pickle=False) as archive:
        case = {key.removeprefix("mpd."): archive[key] for key in archive.files}
    x = torch.from_numpy(case["x"])
    with torch.no_grad(), mpdviz.record(network, what_if=(1.0,)) as mpd:
        network(x if x.dim() == 4 else x.transpose(0, 1))
    rows = mpd.table()
    in_order = {layer: number for number, layer in enumerate(dict.fromkeys(case["layer"].tolist()), start=1)}
    assert rows["layer"].tolist() == [in_order[layer] for layer in case["layer"].tolist()]
    np.testing.assert_array_equal(rows["timestep"], case["timestep"] + 1)
    np.testing.assert_array_equal(rows["count"], case["count"])
    np.testing.assert_allclose(rows["mean"], case["mean"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(rows["std"] ** 2, case["var"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(rows["min"], case["min"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rows["max"], case["max"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rows["kappa"], case["kappa"], rtol=1e-6)
    for ours, theirs in (
        ("available_ratio", "available_ratio"),
        ("available_ratio_kappa1", "available_ratio_kappa1"),
        ("firing_rate", "firing_rate"),
    ):
        integers = np.round(case[theirs] * case["count"])
        np.testing.assert_array_equal(np.round(rows[ours] * rows["count"]), integers, err_msg=ours)
        np.testing.assert_allclose(rows[ours], case[theirs], rtol=0, atol=1e-12)


# Options. -------------------------------------------------------------------------------------------------


def test_layers_by_number_and_by_name():
    network, (x,) = small(), batches((4,))
    with mpdviz.record(network) as everything:
        network(x)
    with mpdviz.record(network, layers=[2, "hidden"]) as some:
        network(x)
    assert list(some.layers) == [2, 5]
    whole, part = everything.table(), some.table()
    chosen = whole[whole["layer"].isin([2, 5])].reset_index(drop=True)
    assert part.equals(chosen[part.columns])


@pytest.mark.parametrize("wanted", [[0], ["nothing"], [1, "encode.neuron.x"]])
def test_layers_that_cannot_exist_are_refused(wanted):
    network = small()
    with pytest.raises(BadInput, match="layer"), mpdviz.record(network, layers=wanted):
        pass


def test_a_number_beyond_the_layers_that_ran_is_told():
    network, (x,) = small(), batches((4,))
    told = "layer 6 is not recorded: there is none; 5 ran"
    with pytest.warns(MpdvizWarning, match=told), mpdviz.record(network, layers=[2, 6]) as mpd:
        network(x)
    assert list(mpd.layers) == [2]
    assert mpd.left_out["layer 6"] == "there is none; 5 ran"
    others = {name: why for name, why in mpd.left_out.items() if name != "layer 6"}
    assert others == dict.fromkeys(
        ["encode", "features.2", "features.3", "hidden"], "it is not among `layers`"
    )


def test_every_nth_forward():
    network, parts = small(), batches((4, 3, 2, 5, 1))
    with kept(network) as calls, mpdviz.record(network, every=2) as mpd:
        for x in parts:
            network(x)
    check_all(mpd.layers, {name: made[::2] for name, made in calls.items()}, network)
    assert mpd.table()["count"].iloc[0] == (4 + 2 + 1) * 5 * 64


@pytest.mark.parametrize(
    "options",
    [{"every": 0}, {"epsilon": 0.0}, {"epsilon": 1.0}, {"what_if": (0.0,)}, {"what_if": (float("nan"),)}],
)
def test_options_out_of_range(options):
    with (
        pytest.raises(BadInput, match=next(iter(options)).replace("_", ".")),
        mpdviz.record(small(), **options),
    ):
        pass


def test_a_model_without_neurons():
    model = nn.Linear(2, 2)
    with mpdviz.record(model) as mpd:
        pass
    assert not mpd.layers  # it did not even run: there is nothing to say
    told = "no spikes were seen in Linear, so nothing is recorded; call the network itself"
    with pytest.warns(MpdvizWarning, match=told), mpdviz.record(model) as mpd:
        model(torch.ones(3, 2))
    assert not mpd.layers
    assert not mpd.left_out
    assert len(mpd.table()) == 0


def test_neurons_that_never_ran_are_listed():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = LIF(), LIF()

        def forward(self, x):
            return self.used(x)

    model = Half()
    with mpdviz.record(model) as mpd:
        model(torch.ones(2, 3, 4))
    assert mpd.left_out == {"unused": "it never ran"}
    assert [layer.info.name for layer in mpd.layers.values()] == ["used"]


def test_what_if_and_epsilon_reach_the_table():
    network, (x,) = small(surrogate="sigmoid"), batches((4,))
    with mpdviz.record(network, what_if=(1.0, 2.5), epsilon=0.5) as mpd:
        network(x)
    rows = mpd.table()
    assert {"available_ratio_kappa1", "available_ratio_kappa2.5", "mean_gain_kappa1"} <= set(rows.columns)
    half = np.arccosh(2**0.5) / 2
    np.testing.assert_allclose(rows["upper"], 0.5 + rows["kappa"] * half)
    assert all(layer.info.epsilon == 0.5 for layer in mpd.layers.values())


# A network stepped from outside. --------------------------------------------------------------------------


def test_stepped_from_outside():
    network = small(timesteps=1).eval()
    frames = torch.randn(4, 3, 1, 8, 8, generator=rng())
    with kept(network) as calls, mpdviz.record(network) as mpd:
        for _ in range(2):
            mpd.new_sequence()
            for step in frames:
                network(step)
    rows = mpd.table()
    assert rows["timestep"].tolist() == [1, 2, 3, 4] * 5
    assert rows["count"].tolist()[:4] == [2 * 3 * 5 * 64] * 4
    for number, (_, made) in enumerate(calls.items(), start=1):
        for t in range(4):
            alone = mpd.layers[number].statistics
            again = made[t::4]
            values = np.concatenate([call.current[0].ravel() for call in again]).astype(np.float64)
            assert alone.available[t] == (np.abs(values - 0.5) < np.float32(0.5 * again[0].kappa[0])).sum()
            assert alone.mean[t] == pytest.approx(values.mean(), abs=1e-9)


def test_stepped_sequences_of_different_length():
    network = small(timesteps=1)
    with mpdviz.record(network) as mpd:
        for length in (2, 4, 1):
            mpd.new_sequence()
            for _ in range(length):
                network(batches((2,))[0])
    assert mpd.table()["count"].tolist()[:4] == [3 * 2 * 320, 2 * 2 * 320, 2 * 320, 2 * 320]


def test_every_nth_sequence_of_a_stepped_network():
    network, frames = small(timesteps=1).eval(), batches((2,) * 15)
    with kept(network) as calls, mpdviz.record(network, every=2) as mpd:
        for sequence in range(5):
            mpd.new_sequence()
            for step in frames[3 * sequence : 3 * sequence + 3]:
                network(step)
    sizes = [made[0].current[0].size for made in calls.values()]
    assert mpd.table()["count"].tolist() == [3 * size for size in sizes for _ in range(3)]
    for layer, made in zip(mpd.layers.values(), calls.values(), strict=True):
        for t in range(3):
            values = np.stack([made[3 * sequence + t].current[0] for sequence in (0, 2, 4)]).astype(
                np.float64
            )
            assert layer.statistics.spikes[t] == (values >= 0.5).sum()
            assert layer.statistics.mean[t] == pytest.approx(values.mean(), abs=1e-9)


def test_lengths_and_image_sizes_that_change_are_counted(path):
    model, shapes = Bare(LIF()), [(2, 3, 4), (3, 5, 4), (1, 2, 4)]
    with kept(model) as calls, mpdviz.record(model) as mpd:
        for shape in shapes:
            model(torch.randn(shape, generator=rng()))
    assert mpd.table()["count"].tolist() == [(3 + 5 + 2) * 4, (3 + 5) * 4, 5 * 4]
    assert mpd.layers[1].info.timesteps == 3
    check(mpd.layers[1], calls["cell"], 0.2)
    with kept(model) as calls, mpdviz.record(model) as mpd:
        for shape in [*shapes, (2, 3, 7)]:
            model(torch.randn(shape, generator=rng()))
    (layer,), everything = mpd.layers.values(), [call.current for call in calls["cell"]]
    assert layer.census is None
    v = [potentials(call, 0.2, 0.5) for call in calls["cell"]]
    for t in range(3):
        values = np.concatenate([x[t].ravel() for x in v if t < len(x)]).astype(np.float64)
        assert layer.statistics.count[t] == len(values) == sum(x[t].size for x in everything if t < len(x))
        assert layer.statistics.spikes[t] == (values >= 0.5).sum()
        assert layer.statistics.available[t] == (np.abs(values - 0.5) < 0.5).sum()
        assert layer.statistics.mean[t] == pytest.approx(values.mean(), abs=1e-9)


def test_a_stepped_network_that_runs_one_layer_at_two_places():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = LIF()

        def forward(self, x):
            return self.neuron(1.5 * self.neuron(x))

    model, frames = Twice(), torch.randn(3, 1, 2, 4, generator=rng())
    with kept(model) as calls, mpdviz.record(model) as mpd:
        mpd.new_sequence()
        for step in frames:
            model(step)
    assert [name[-2:] for name in (layer.info.name for layer in mpd.layers.values())] == ["#1", "#2"]
    for place, layer in enumerate(mpd.layers.values()):
        truth = np.concatenate([call.current for call in calls["neuron"][place::2]]).astype(np.float64)
        assert layer.statistics.count.tolist() == [8] * 3
        np.testing.assert_allclose(layer.statistics.mean, truth.reshape(3, -1).mean(1), atol=1e-9)
        assert layer.statistics.spikes.tolist() == (truth >= 0.5).reshape(3, -1).sum(1).tolist()


# The census. ----------------------------------------------------------------------------------------------


def test_census_of_constructed_currents(path):
    # Six neurons in three channels of two, over two batches; 9 spikes outside kappa = 1, -9 stays outside.
    model = Bare(LIF(decay=0.0))
    first, second = torch.full((2, 2, 3, 2), 0.4), torch.full((2, 1, 3, 2), 0.4)
    first[:, :, 0], second[:, :, 0] = 9.0, 9.0  # channel 0: always spikes, never inside
    second[1, 0, 0, 1] = 0.6  # ... but its second neuron is inside once
    first[:, :, 1], second[:, :, 1] = 0.0, 0.0  # channel 1: silent input
    second[0, 0, 1, 0] = -9.0  # ... but the first neuron gets one input
    first[0, 1, 2, 0] = 0.7  # channel 2: inside; the first neuron spikes once
    with kept(model) as calls, mpdviz.record(model) as mpd:
        model(first)
        model(second)
    check_all(mpd.layers, calls, model)
    census = mpd.layers[1].census
    assert census.silent.tolist() == [[False, False], [True, True], [False, True]]
    assert census.saturated.tolist() == [[True, True], [False, False], [False, False]]
    assert census.dead.tolist() == [[True, False], [True, True], [False, False]]
    assert census.undriven.tolist() == [[False, False], [False, True], [False, False]]
    row = mpd.layer_table().iloc[0]
    assert row[["neurons", "silent", "saturated", "gradient_dead", "silent_input"]].tolist() == [
        6,
        3,
        2,
        3,
        1,
    ]
    channels = row[["silent_channel", "saturated_channel", "gradient_dead_channel", "silent_input_channel"]]
    assert channels.tolist() == [1, 0, 1, 1]


def test_silent_input_is_looked_for_before_the_norm():
    # A bias after the norm makes the current of a silent channel non-zero; its input is silent all the same.
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.neuron = TDBatchNorm1d(3), LIF()

        def forward(self, x):
            return self.neuron(self.norm(x))

    model = Layer().eval()
    with torch.no_grad():
        model.norm.bias.fill_(0.3)
    x = torch.randn(2, 5, 3, generator=rng())
    x[:, :, 1] = 0
    with mpdviz.record(model) as mpd:
        model(x)
        model(x)
    assert mpd.layers[1].census.undriven.tolist() == [False, True, False]
    with mpdviz.record(model) as mpd:
        model(x)
        model(torch.ones(2, 1, 3))
        model(x)
    assert not mpd.layers[1].census.undriven.any()


def test_images_of_two_sizes_have_no_single_neurons():
    model = Bare(LIF())
    with mpdviz.record(model) as mpd:
        for size in (4, 5, 4):
            model(torch.ones(2, 3, size))
    assert mpd.table()["count"].tolist() == [3 * 13] * 2
    assert mpd.layer_table()["silent"].isna().all()


# Properties. ----------------------------------------------------------------------------------------------

COMPACT = ("rectangular", "triangular")


@settings(max_examples=25)
@given(
    st.integers(0, 2**31),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.2, 0.9, 1.0]),
    st.sampled_from([0.3, 0.5, 1.0]),
    st.floats(0.05, 4),
    st.sampled_from(COMPACT),
)
def test_reach_is_the_support_of_the_gradient(seed, timesteps, decay, v_th, kappa, shape):
    generator = torch.Generator().manual_seed(seed)
    current = torch.randn(timesteps, 4, 33, generator=generator).requires_grad_()
    weights = torch.rand(current.shape, generator=generator) + 0.5
    model = Bare(LIF(decay, v_th, surrogates.get(shape)))
    with mpdviz.record(model) as mpd:
        spikes = model(current * 1, kappa)
    (spikes * weights * torch.randn(current.shape, generator=generator).sign()).sum().backward()
    support = (current.grad != 0).sum((1, 2)).numpy()
    statistics = mpd.layers[1].statistics
    if decay > 0:
        np.testing.assert_array_equal(statistics.reach, support)
    else:
        np.testing.assert_array_equal(statistics.available, support)
    assert (statistics.reach >= statistics.available).all()
    assert statistics.reach[-1] == statistics.available[-1]
    finite = statistics.available + statistics.below + statistics.above
    np.testing.assert_array_equal(finite, statistics.finite)
    assert statistics.cells.sum(1).tolist() == statistics.finite.tolist()


def test_predicted_ratio_is_the_closed_form():
    # METHOD section E, kappa = 1 and v_th = .5: rho = Phi(2 / s) - 1/2 with s = gamma (t = 1).
    from scipy.stats import norm as normal

    network = small(strategy="fixed", timesteps=2)
    with torch.no_grad():
        network.encode.norm.weight.fill_(0.8)
    with mpdviz.record(network) as mpd:
        network(batches((3,))[0])
    rows = mpd.table()
    first = rows[rows["layer"] == 1]
    spread = 0.8 * np.array([1, np.sqrt(1.04)])
    np.testing.assert_allclose(first["predicted_ratio"], normal.cdf(2 / spread) - 0.5, rtol=1e-6)


# Memory. --------------------------------------------------------------------------------------------------


def held(thing, seen=None):
    """Bytes of all arrays and tensors that can be reached from an object's attributes."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, nn.Module):
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, torch.Tensor):
        return thing.untyped_storage().nbytes()
    if isinstance(thing, dict):
        return sum(held(value, seen) for pair in thing.items() for value in pair)
    if isinstance(thing, list | tuple | set | frozenset):
        return sum(held(value, seen) for value in thing) + 8 * len(thing)
    return sum(held(value, seen) for value in getattr(thing, "__dict__", {}).values())


def test_what_is_held_does_not_grow(path):
    network, (x,) = small(), batches((2,))
    with mpdviz.record(network, gradients=True) as mpd:
        sizes = []
        for _ in range(30):
            network(x).sum().backward()
            sizes.append(held(mpd))
    assert sizes[2] > 10_000
    assert sizes[-1] == sizes[2]


def test_no_activation_is_kept_alive_between_forwards():
    network, (x,) = small(), batches((2,))
    outputs = []
    handle = network.hidden.norm.register_forward_hook(lambda _, __, y: outputs.append(weakref.ref(y)))
    with mpdviz.record(network):
        network(x)
        assert outputs[0]() is None
    handle.remove()
