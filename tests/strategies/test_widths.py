"""The widths of each strategy against their closed forms."""

import math
import warnings

import numpy as np
import pytest
import scipy.stats
import torch
from networks import small
from reference import DERIVATIVES, lif_backward

import mpdviz
from mpdviz import networks, strategies, surrogates
from mpdviz.analysis.predict import predict
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.norm import frozen_statistics
from mpdviz.strategies import MPDAGL
from mpdviz.training.fresh import cautions

F64 = torch.float64
NAMES = sorted(set(strategies.STRATEGIES) - {"prescribed"})
"""Those that need no file; see test_prescribed.py."""


def paper(timesteps, decay, v_th, gamma_mean):
    """METHOD section A, in plain numbers."""
    return [2 * gamma_mean * v_th * (1 if t == 0 else math.sqrt(1 + decay**2)) for t in range(timesteps)]


@pytest.mark.parametrize("timesteps", [1, 2, 10])
@pytest.mark.parametrize(
    ("text", "width"), [("fixed", 1.0), ("fixed:kappa=2.5", 2.5), ("fixed:kappa=1e-2", 0.01)]
)
def test_fixed_is_one_width_everywhere(text, width, timesteps):
    for decay in (0.2, torch.tensor(0.9, requires_grad=True)):
        gamma = torch.randn(5, dtype=F64).requires_grad_()
        kappa = strategies.get(text).kappa(timesteps, decay, 0.5, gamma, gamma)
        assert kappa.tolist() == [width] * timesteps
        assert not kappa.requires_grad


DECAYS = {
    "number": lambda decay: decay,
    "tensor": lambda decay: torch.tensor(decay, dtype=F64),
    "learned": lambda decay: torch.tensor(decay, dtype=F64, requires_grad=True),
}


@pytest.mark.parametrize("form", sorted(DECAYS))
@pytest.mark.parametrize("decay", [0.0, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("timesteps", [1, 2, 10])
def test_mpd_agl_is_the_closed_form(timesteps, decay, form):
    gamma = torch.tensor([1.3, 0.2, 0.75, -0.4], dtype=F64)
    given, strategy = DECAYS[form](decay), strategies.get("mpd-agl")
    for v_th in (0.5, 1.0, 0.3):
        expected = torch.tensor(paper(timesteps, decay, v_th, (1.3 + 0.2 + 0.75 - 0.4) / 4), dtype=F64)
        kappa = strategy.kappa(timesteps, given, v_th, gamma.clone().requires_grad_(), beta=torch.ones(4))
        assert kappa.shape == (timesteps,)
        torch.testing.assert_close(kappa, expected, rtol=1e-14, atol=0)
        assert not kappa.requires_grad
        single = strategy.kappa(timesteps, given, v_th, gamma.float())
        assert single.dtype == torch.float32
        torch.testing.assert_close(single, expected.float(), rtol=2e-7, atol=0)


def test_mpd_agl_at_the_reference_s_start():
    """Gamma 1, v_th 0.5: the first width is 1, the fixed baseline's; later ones sqrt(1.04)."""
    kappa = strategies.get("mpd-agl").kappa(3, 0.2, 0.5, torch.ones(64, dtype=F64))
    assert kappa.tolist() == pytest.approx([1.0, 1.0198039027185570, 1.0198039027185570], rel=1e-15)


def test_mpd_agl_never_uses_beta():
    gamma = torch.rand(8) + 0.1
    kappas = [
        strategies.get("mpd-agl").kappa(4, 0.2, 0.5, gamma, beta) for beta in (None, torch.randn(8) * 100)
    ]
    assert torch.equal(*kappas)


@pytest.mark.parametrize("gamma_mean", [1e-30, 1e-6, 0.001, 0.0099, 0.01])
def test_any_positive_gamma_is_the_paper_s_width_without_a_floor(gamma_mean):
    kappa = strategies.get("mpd-agl").kappa(2, 0.5, 0.5, torch.tensor([gamma_mean], dtype=F64))
    assert kappa.tolist() == pytest.approx(paper(2, 0.5, 0.5, gamma_mean), rel=1e-14)


@pytest.mark.parametrize(
    ("gamma_mean", "counts_as"), [(-0.7, 0.7), (-0.0101, 0.0101), (-0.001, 0.01), (0.0, 0.01), (-0.0, 0.01)]
)
def test_a_gamma_that_is_not_positive_counts_as_its_magnitude(gamma_mean, counts_as):
    assert MPDAGL.FLOOR == 0.01
    with pytest.warns(MpdvizWarning, match=r"mpd-agl.*not positive.*0\.01") as said:
        kappa = strategies.get("mpd-agl").kappa(3, 0.5, 0.5, torch.tensor([gamma_mean], dtype=F64))
    assert kappa.tolist() == pytest.approx(paper(3, 0.5, 0.5, counts_as), rel=1e-14)
    assert len(said) == 1
    assert "\n" not in str(said[0].message)


def test_channels_that_cancel_are_a_gamma_of_zero():
    with pytest.warns(MpdvizWarning):
        kappa = strategies.get("mpd-agl").kappa(1, 0.5, 0.5, torch.tensor([1.0, -1.0]))
    assert kappa.tolist() == pytest.approx([0.01])


def test_the_warning_is_said_once_under_python_s_default_filter():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for _ in range(5):  # other objects, other layers, other values: the same advice
            for gamma in (torch.tensor([-1.0]), torch.tensor([0.0]), torch.tensor([-0.2, -0.3])):
                strategies.get("mpd-agl").kappa(2, 0.2, 0.5, gamma)
    assert [warning.category for warning in said] == [MpdvizWarning]


def test_a_nan_gamma_stays_visible():
    kappa = strategies.get("mpd-agl").kappa(2, 0.2, 0.5, torch.tensor([float("nan")]))
    assert kappa.isnan().all()


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_says_what_it_is(name):
    strategy = strategies.get(name)
    assert strategy.name == name
    assert strategy.scope
    assert strategy.source
    assert strategy.changes_forward is (name in ("ds-atgo", "asgl"))
    assert (strategy.shape is None) == (strategy.own_shape is None)
    assert strategy.own_shape in (None, getattr(strategy.shape, "name", None))
    assert strategies.get(name) is not strategy


def own_or_all(own_shape):
    return sorted(DERIVATIVES) if own_shape is None else [own_shape]


WITH_SHAPES = [(name, shape) for name in NAMES for shape in own_or_all(strategies.STRATEGIES[name].own_shape)]


@pytest.mark.parametrize("neuron", ["lif", "plif"])
@pytest.mark.parametrize(("name", "shape"), WITH_SHAPES)
def test_every_strategy_s_gradient_is_that_of_its_widths(name, shape, neuron):
    own = strategies.STRATEGIES[name].own_shape is not None
    options = {"strategy": name, "neuron": neuron, "decay": 0.4} | ({} if own else {"surrogate": shape})
    network = small(seed=8, **options)
    layer = network.double().train().encode
    seen = []
    layer.neuron.observers.append(lambda *parts: seen.append(parts))
    for _ in range(2):  # the second forward has what was learned from the first
        layer.zero_grad()
        spikes = layer(torch.randn(3, 5, 1, 8, 8, dtype=F64))
        grad = torch.randn(spikes.shape, dtype=F64)
        current, *observed, _ = seen.pop()
        current.retain_grad()
        spikes.backward(grad)
        v, s, kappa, v_th = (part.detach().numpy() for part in observed)
        decay = layer.neuron.decay_value  # plif's starts in float32
        thresholds = v_th.reshape(3, 1, 1, 1, 1)
        if not layer.strategy.mixes:
            np.testing.assert_array_equal(s, v >= thresholds)
        expected, grad_decay = lif_backward(grad.numpy(), v, s, decay, v_th, kappa, DERIVATIVES[shape])
        np.testing.assert_allclose(current.grad, expected, rtol=1e-9, atol=1e-12)
        assert bool((kappa > 0).all())
        lower, upper = layer.neuron.surrogate.interval(float(v_th[0]), float(kappa[0]), 0.1)
        assert -math.inf < lower < v_th[0] < upper < math.inf
        if neuron == "plif":
            assert layer.neuron.w.grad.item() == pytest.approx(grad_decay * decay * (1 - decay), rel=1e-9)
    fresh = small(**options)
    fresh.double().load_state_dict(network.state_dict())
    x = torch.randn(2, 1, 8, 8, dtype=F64)
    assert torch.equal(fresh.eval()(x), network.eval()(x))
    assert fresh.widths() == network.widths()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mpd_agl", ["unknown strategy 'mpd_agl'", "did you mean 'mpd-agl'"]),
        ("MPD-AGL", ["did you mean 'mpd-agl'"]),
        ("fixd", ["did you mean 'fixed'"]),
        ("", ["unknown strategy ''", "choose one of", "fixed", "mpd-agl"]),
        ("qqqq", ["'qqqq'", "fixed, lsg, mpd-agl"]),
        ("fixed:kappa", ["'fixed:kappa'", "'kappa' is no option", "fixed:kappa=2.5"]),
        ("fixed:kappa=", ["'kappa='"]),
        ("fixed:kappa=wide", ["'kappa=wide'"]),
        ("fixed:", ["'fixed:'"]),
        ("fixed:width=2", ["'fixed'", "no option", "'width'"]),
        ("mpd-agl:kappa=2", ["'mpd-agl'", "no option", "'kappa'"]),
        ("fixed:kappa=0", ["'fixed'", "kappa=0", "positive"]),
        ("fixed:kappa=-1", ["kappa=-1", "positive"]),
        ("fixed:kappa=nan", ["kappa=nan", "positive"]),
        ("fixed:kappa=inf", ["kappa=inf", "positive"]),
        ("observed:ratio=1", ["'observed'", "ratio=1.0", "between 0 and 1"]),
        ("observed:ratio=nan", ["ratio=nan"]),
        ("observed:momentum=0", ["momentum=0.0"]),
        ("lsg:kappa=1", ["'lsg'", "no option"]),
        ("fixed:shape=", ["unknown surrogate ''"]),
        ("fixed:shape=atan:k=2", ["'fixed'", "no option", "'k'"]),
        ("fixed:k=2:shape=fast-sigmoid", ["'fixed'", "no option", "'k'"]),
        ("fixed:shape=fast-sigmoid:k=0", ["'fast-sigmoid'", "k is 0.0", "positive"]),
        ("fixed:shape=fast-sigmoid:k=x", ["'k=x'"]),
        ("dspike:shape=atan", ["'dspike'", "shape of its own, dspike", "leave shape= out"]),
        ("asgl:shape=sigmoid", ["'asgl'", "shape of its own, sigmoid"]),
        ("deeptage:shape=atan", ["'deeptage'", "shape of its own, lorentz"]),
        ("slope-schedule:shape=atan", ["'slope-schedule'", "shape of its own, superspike"]),
        ("dspike:kappa=0", ["'dspike'", "kappa=0", "positive"]),
        ("dspike:alpha=-1", ["'dspike'", "alpha is -1.0", "positive"]),
        ("asgl:alpha=0", ["'asgl'", "alpha=0.0", "at least 0.01"]),
        ("asgl:alpha=nan", ["alpha=nan"]),
        ("asgl:p=1.5", ["'asgl'", "p=1.5", "from 0 to 1"]),
        ("deeptage:w=1", ["'deeptage'", "w=1.0"]),
        ("deeptage:momentum=2", ["'deeptage'", "momentum=2.0"]),
        ("slope-schedule:end=0", ["'slope-schedule'", "end=0.0", "positive slope"]),
        ("slope-schedule:start=inf", ["'slope-schedule'", "start=inf"]),
    ],
)
def test_bad_strings_get_one_line(text, words):
    with pytest.raises(BadInput) as caught:
        strategies.get(text)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "shape", "width"),
    [
        ("fixed:shape=fast-sigmoid:k=10", surrogates.FastSigmoid(10.0), 1.0),
        ("fixed:kappa=2:shape=triangular:half_base=0.4", surrogates.Triangular(0.4), 2.0),
        ("fixed:shape=dspike:alpha=3:kappa=2", surrogates.get("dspike", alpha=3.0), 2.0),
        ("dspike:alpha=3:kappa=2", surrogates.get("dspike", alpha=3.0), 2.0),
        ("dspike", surrogates.get("dspike"), 1.0),
        ("mpd-agl:shape=sigmoid:a=7", surrogates.Sigmoid(7.0), 1.0),
    ],
)
def test_a_shape_takes_its_own_parameters(text, shape, width):
    strategy = strategies.get(text)
    assert strategy.shape == shape
    assert strategy.kappa(1, 0.2, 0.5, torch.ones(3)).tolist() == [width]
    layer = small(strategy=text).encode
    assert layer.neuron.surrogate == shape


@pytest.mark.parametrize("name", ["dspike", "asgl", "deeptage", "slope-schedule"])
def test_a_surrogate_beside_a_strategy_that_has_its_own_is_refused(name):
    with pytest.raises(BadInput, match=f"`surrogate` atan with `strategy` {name}, whose surrogate is"):
        small(strategy=name, surrogate="atan")


@pytest.mark.parametrize("decay", [0.0, 0.2, 0.9])
def test_lsg_is_its_closed_form(decay):
    learned = torch.tensor(decay, dtype=F64, requires_grad=True)
    for given in (decay, learned):
        kappa = strategies.get("lsg").kappa(3, given, 0.4, torch.full((5,), 7.0, dtype=F64))
        assert kappa.tolist() == pytest.approx([0.8 * math.sqrt(1 + decay**2)] * 3, rel=1e-14)
        assert not kappa.requires_grad


def test_lsg_follows_a_learned_decay():
    torch.manual_seed(0)
    network = networks.build("convsnn", strategy="lsg", neuron="plif", timesteps=2, num_classes=3)
    for _, layer in network.spiking_layers():
        layer.neuron.w.data.fill_(0.3)
    decay = 1 / (1 + math.exp(-0.3))
    for row in network.widths():
        assert row["kappa"] == pytest.approx(2 * 0.5 * math.sqrt(1 + decay**2), rel=1e-6)


def test_lsg_says_that_it_is_a_fixed_width_unless_the_decay_is_learned():
    for neuron, strategy, said in (
        ("lif", "lsg", ["strategy lsg with neurons of constant decay is one fixed width, kappa = 1.02"]),
        ("plif", "lsg", []),
        ("lif", "mpd-agl", []),
    ):
        heard = cautions(small(strategy=strategy, neuron=neuron))
        assert [line.partition(";")[0] for line in heard] == said


@pytest.mark.parametrize(("progress", "slope"), [(0.0, 1.0), (0.5, 50.5), (0.25, 25.75), (1.0, 100.0)])
def test_slope_schedule_is_linear_in_progress(progress, slope):
    network = small(strategy="slope-schedule").double()
    network.stage = (1, progress)
    layer = network.encode
    assert layer.widths(3).tolist() == pytest.approx([1 / slope] * 3, rel=1e-14)
    x = torch.linspace(-2, 2, 41, dtype=F64)
    h = layer.neuron.surrogate.h(x, layer.widths(3)[0])
    torch.testing.assert_close(h, 1 / (1 + slope * x.abs()) ** 2, rtol=1e-12, atol=0)
    other = strategies.get("slope-schedule:start=8:end=4")
    situation = strategies.Situation(1, 0.2, 0.5, torch.ones(2), torch.zeros(2), progress=progress)
    assert other.widths(situation).tolist() == pytest.approx([1 / (8 - 4 * progress)])


@pytest.mark.parametrize("decay", [0.2, 0.9])
def test_mpd_agl_reset_is_twice_the_predicted_spread(decay):
    """Its recursion in torch against `predict.reset` in NumPy."""
    random = np.random.default_rng(1)
    gamma, beta = random.normal(1, 0.5, 40), random.normal(-0.1, 0.4, 40)
    kappa = strategies.get("mpd-agl-reset").kappa(
        6, torch.tensor(decay), 0.5, torch.tensor(gamma).requires_grad_(), torch.tensor(beta)
    )
    predicted = predict(
        "reset", timesteps=6, decay=float(torch.tensor(decay)), v_th=0.5, gamma=gamma, beta=beta
    )
    assert kappa.tolist() == pytest.approx((2 * predicted.std).tolist(), rel=1e-12)
    assert not kappa.requires_grad


def test_mpd_agl_reset_is_mpd_agl_at_the_first_timestep_of_equal_channels():
    gamma = torch.full((8,), 1.3, dtype=F64)
    kappa = strategies.get("mpd-agl-reset").kappa(1, 0.2, 0.5, gamma)
    assert kappa.tolist() == pytest.approx(paper(1, 0.2, 0.5, 1.3), rel=1e-14)


def test_mpd_agl_reset_has_a_floor():
    kappa = strategies.get("mpd-agl-reset").kappa(3, 0.2, 0.5, torch.zeros(4, dtype=F64))
    assert kappa.tolist() == pytest.approx([0.01] * 3)


def test_observed_holds_the_quantile_of_normal_potentials():
    """|v - v_th| < q for a share r of v ~ N(v_th, s^2): q = s Phi^-1((1 + r) / 2)."""
    strategy = strategies.get("observed:ratio=0.6:momentum=0.25")
    assert strategy.kappa(2, 0.2, 0.5, torch.ones(3)).tolist() == [1, 1]
    generator = torch.Generator().manual_seed(2)
    z = scipy.stats.norm.ppf(0.8)
    for batch, expected in ((1.0, 1.0), (3.0, 1.5)):  # 0.75 x 1 + 0.25 x 3
        v = (
            0.5
            + batch * torch.randn(2, 4, 20_000, generator=generator) * torch.tensor([1.0, 2.0])[:, None, None]
        )
        strategy.observe(v, 0.5)
        kappa = strategy.kappa(2, 0.2, 0.5, torch.ones(3))
        assert kappa.tolist() == pytest.approx([2 * expected * z, 4 * expected * z], rel=0.05)


def test_observed_leaves_out_what_is_not_finite():
    strategy = strategies.get("observed:momentum=1")
    v = torch.tensor([[0.6, 0.7, 0.8, math.nan, math.inf, -math.inf]])
    strategy.observe(v, 0.5)
    assert strategy.half_widths.tolist() == pytest.approx([0.2], rel=1e-6)
    strategy.observe(torch.full((1, 3), math.nan), 0.5)
    assert strategy.half_widths.tolist() == pytest.approx([0.2], rel=1e-6)


def observing(**options):
    return small(seed=4, strategy="observed", **options)


@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_observed_reaches_its_ratio_in_a_network(neuron):
    network = observing(neuron=neuron)
    x = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    for _ in range(3):
        network(x)
    with mpdviz.record(network.train()) as mpd, frozen_statistics(network), torch.no_grad():
        network(x)
    table = mpd.table()
    assert table["available_ratio"].to_numpy() == pytest.approx(np.full(len(table), 0.5), abs=0.06)


def test_observed_learns_in_training_alone():
    network = observing()
    x = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(6))
    network(x)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert sum(name.endswith("half_widths") for name in before) == 5
    network.eval()(x)
    with frozen_statistics(network.train()):
        network(x)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network(x + 1)
    assert not torch.equal(network.encode.strategy.half_widths, before["encode.strategy.half_widths"])


def test_observed_survives_saving(tmp_path):
    trained, fresh = observing(), observing()
    trained(torch.randn(8, 1, 8, 8))
    fresh.load_state_dict(trained.state_dict())
    assert trained.widths() == fresh.widths()
    with pytest.raises(BadInput, match="T=3, not of T=2"):
        fresh.encode.widths(2)
