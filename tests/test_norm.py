"""tdBN against the reference's recorded step and against NumPy in float64; TEBN against tdBN's twin."""

import numpy as np
import pytest
import torch
from reference import tdbn_backward, tdbn_eval, tdbn_train

from mpdviz import checkpoint, inspect, networks, strategies
from mpdviz.errors import BadInput
from mpdviz.norm import NORMS as REGISTRY
from mpdviz.norm import TDBatchNorm1d, TDBatchNorm2d, TEBatchNorm1d, TEBatchNorm2d, frozen_statistics
from mpdviz.strategies import Situation

NORMS = {"tdbn1d": TDBatchNorm1d, "tdbn2d": TDBatchNorm2d}
SHAPES = {"tdbn1d": (3, 7, 5), "tdbn2d": (3, 4, 5, 2, 6)}


@pytest.mark.parametrize("name", sorted(NORMS))
def test_golden(golden, name):
    with np.load(golden / "tdbn.npz", allow_pickle=False) as archive:
        case = {
            key.split(".")[1]: torch.from_numpy(archive[key]) for key in archive.files if key.startswith(name)
        }
    swap = {key: a.transpose(0, 1) if a.dim() > 1 else a for key, a in case.items()}
    norm = NORMS[name](6)
    assert norm.weight.tolist() == [1] * 6
    assert norm.bias.tolist() == norm.running_mean.tolist() == [0] * 6
    assert norm.running_var.tolist() == [1] * 6
    with torch.no_grad():
        norm.weight.copy_(case["weight"])
        norm.bias.copy_(case["bias"])

    x = swap["x"].clone().requires_grad_()
    y = norm(x)
    y.backward(swap["grad_out"])

    def near(ours, theirs):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)

    near(y.detach(), swap["y_train"])
    near(x.grad, swap["grad_x"])
    near(norm.weight.grad, case["grad_weight"])
    near(norm.bias.grad, case["grad_bias"])
    near(norm.running_mean, case["running_mean"])
    near(norm.running_var, case["running_var"])
    near(norm.weight.mean().detach(), case["gamma_mean"])
    near(norm.eval()(swap["x"]).detach(), swap["y_eval"])
    near(norm.running_mean, case["running_mean"])  # evaluation leaves the statistics alone
    near(norm.running_var, case["running_var"])


@pytest.mark.parametrize(("v_th", "alpha"), [(0.5, 1.0), (1.3, 0.7)])
@pytest.mark.parametrize("name", sorted(NORMS))
def test_twin(name, v_th, alpha):
    norm = NORMS[name](5, v_th=v_th, alpha=alpha).double()
    with torch.no_grad():
        norm.weight.normal_(1, 0.5)
        norm.bias.normal_()
    weight, bias = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    mean, var = np.zeros(5), np.ones(5)
    for _ in range(3):
        x = (torch.randn(SHAPES[name], dtype=torch.float64) * 3 + 1).requires_grad_()
        grad = torch.randn(SHAPES[name], dtype=torch.float64)
        norm.zero_grad()
        y = norm(x)
        y.backward(grad)
        n = x.detach().numpy()
        twin, batch_mean, batch_var, count = tdbn_train(n, weight, bias, v_th, alpha)
        mean = 0.9 * mean + 0.1 * batch_mean
        var = 0.9 * var + 0.1 * batch_var * count / (count - 1)
        np.testing.assert_allclose(y.detach(), twin, rtol=1e-10, atol=1e-12)
        for ours, theirs in zip(
            (x.grad, norm.weight.grad, norm.bias.grad),
            tdbn_backward(grad.numpy(), n, weight, v_th, alpha),
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(norm.running_mean, mean, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(norm.running_var, var, rtol=1e-12)
    norm.eval()
    np.testing.assert_allclose(
        norm(x).detach(), tdbn_eval(n, weight, bias, mean, var, v_th, alpha), rtol=1e-10, atol=1e-12
    )


def test_theorem_1_at_the_start():
    """Whatever comes in, each channel leaves with mean beta = 0 and deviation gamma v_th = 0.5."""
    y = TDBatchNorm2d(4)(torch.randn(2, 50, 4, 9, 9) * torch.arange(1.0, 5)[:, None, None] + 7)
    torch.testing.assert_close(y.mean((0, 1, 3, 4)), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(y.std((0, 1, 3, 4)), torch.full((4,), 0.5), rtol=1e-3, atol=0)


def test_a_short_last_batch_and_a_batch_of_one_are_fine():
    norm = TDBatchNorm2d(2)
    assert norm(torch.randn(1, 1, 2, 3, 3)).shape == (1, 1, 2, 3, 3)
    assert TDBatchNorm1d(2)(torch.randn(2, 1, 2)).shape == (2, 1, 2)
    assert TDBatchNorm1d(2).eval()(torch.randn(1, 1, 2)).shape == (1, 1, 2)


@pytest.mark.parametrize("training", [True, False])
def test_memory_layout_changes_nothing_but_rounding(training):
    x = torch.randn(3, 4, 5, 2, 6, dtype=torch.float64)
    expected = TDBatchNorm2d(5).double().train(training)(x)
    channels_last = x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    batch_first = x.transpose(0, 1).contiguous().transpose(0, 1)
    for laid in (channels_last, batch_first):
        torch.testing.assert_close(TDBatchNorm2d(5).double().train(training)(laid), expected)


def test_state_has_the_four_names():
    assert sorted(TDBatchNorm1d(3).state_dict()) == ["bias", "running_mean", "running_var", "weight"]


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (TDBatchNorm1d(3), (2, 4, 4)),
        (TDBatchNorm1d(3), (4, 3)),
        (TDBatchNorm1d(3), (2, 4, 3, 5)),
        (TDBatchNorm2d(3), (2, 4, 3)),
        (TDBatchNorm2d(3), (4, 3, 5, 5)),
        (TDBatchNorm2d(3), (2, 3, 4, 5, 5)),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_wrong_shapes_are_refused(norm, shape, training):
    with pytest.raises(BadInput, match=r"TDBatchNorm[12]d\(3\) got an input \[.*\]; give \[T, N, 3"):
        norm.train(training)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("norm", "shape"), [(TDBatchNorm1d(3), (1, 1, 3)), (TDBatchNorm2d(3), (1, 1, 3, 1, 1))]
)
def test_one_value_per_channel_in_training_is_refused(norm, shape):
    with pytest.raises(BadInput, match="one single value per channel; use a larger batch"):
        norm(torch.zeros(shape))
    assert norm.running_mean.tolist() == [0, 0, 0]  # nothing was learned from it
    assert norm.eval()(torch.zeros(shape)).shape == shape


# TEBN ---------------------------------------------------------------------------------------------------

TEMPORAL = {"tdbn1d": TEBatchNorm1d, "tdbn2d": TEBatchNorm2d}
P = [1.5, -0.5, 0.25]


@pytest.mark.parametrize("name", sorted(NORMS))
def test_tebn_starts_as_tdbn_bit_for_bit(name):
    x = torch.randn(SHAPES[name])
    one, other = NORMS[name](5), TEMPORAL[name](5, 3)
    assert other.p.tolist() == [1, 1, 1]
    for training in (True, False):
        assert torch.equal(one.train(training)(x), other.train(training)(x))
    assert torch.equal(one.running_var, other.running_var)


@pytest.mark.parametrize("name", sorted(NORMS))
def test_tebn_is_tdbn_s_twin_times_its_factors(name):
    norm = TEMPORAL[name](5, 3, v_th=0.7).double()
    with torch.no_grad():
        norm.weight.normal_(1, 0.5)
        norm.bias.normal_()
        norm.p.copy_(torch.tensor(P))
    weight, bias = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    x = torch.randn(SHAPES[name], dtype=torch.float64, requires_grad=True)
    grad = torch.randn(SHAPES[name], dtype=torch.float64)
    y = norm(x)
    y.backward(grad)
    n, g = x.detach().numpy(), grad.numpy()
    each = np.array(P).reshape(-1, *[1] * (x.dim() - 1))
    twin, *_ = tdbn_train(n, weight, bias, 0.7, 1.0)
    np.testing.assert_allclose(y.detach(), each * twin, rtol=1e-10, atol=1e-12)
    # dL/dp_t is the sum of g BN(x)[t]; tdBN sees the gradient p_t g.
    np.testing.assert_allclose(norm.p.grad, (g * twin).reshape(3, -1).sum(1), rtol=1e-9)
    for ours, theirs in zip(
        (x.grad, norm.weight.grad, norm.bias.grad), tdbn_backward(each * g, n, weight, 0.7, 1.0), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def test_tebn_runs_fewer_timesteps_with_its_first_factors_and_refuses_more():
    norm = TEBatchNorm1d(4, 3).eval()
    with torch.no_grad():
        norm.p.copy_(torch.tensor(P))
    x = torch.randn(3, 6, 4)
    assert torch.equal(norm(x[:2]), norm(x)[:2])
    with pytest.raises(BadInput, match="norm 'tebn' holds factors of T=3, not of T=4; use the network"):
        norm.train()(torch.randn(4, 6, 4))
    assert norm.running_mean.tolist() == [0] * 4  # nothing was learned from it


def test_tebn_keeps_its_factors_and_freezes():
    norm = TEBatchNorm1d(3, 2)
    assert sorted(norm.state_dict()) == ["bias", "p", "running_mean", "running_var", "weight"]
    with frozen_statistics(norm):
        norm(torch.randn(2, 5, 3))
    assert norm.running_mean.tolist() == [0] * 3


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_networks_are_built_with_every_norm_from_the_same_weights(name):
    torch.manual_seed(0)
    network = networks.build("convsnn", norm=name, timesteps=3, num_classes=4)
    torch.manual_seed(0)
    plain = networks.build("convsnn", timesteps=3, num_classes=4)
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(network(x), plain(x))
    assert network.count_potentials(x) == plain.count_potentials(x)
    with pytest.raises(BadInput, match="unknown norm 'tdb'"):
        networks.build("convsnn", norm="tdb", timesteps=3, num_classes=4)


def situation(timesteps, factors, gamma, beta, decay=0.6):
    gamma, beta = (torch.tensor(values, dtype=torch.float64) for values in (gamma, beta))
    return Situation(timesteps, decay, 0.5, gamma, beta, factors=torch.tensor(factors, dtype=torch.float64))


def test_mpd_agl_s_width_follows_the_factors():
    """gamma_mean 1.2, v_th .5: 1.2 |p_1|, then 1.2 sqrt(p_t^2 + .36 p_(t-1)^2)."""
    kappa = strategies.get("mpd-agl").widths(situation(3, P, [1.0, 1.4], [0.0, 9.0]))
    expected = [1.2 * 1.5, 1.2 * (0.25 + 0.36 * 2.25) ** 0.5, 1.2 * (0.0625 + 0.36 * 0.25) ** 0.5]
    assert kappa.tolist() == pytest.approx(expected, rel=1e-14)
    none = strategies.get("mpd-agl").widths(situation(2, [0.0, 0.0], [1.0], [0.0]))
    assert bool((none > 0).all())


def test_mpd_agl_reset_s_width_follows_the_factors():
    """Twice the std of simulated potentials with a hard reset, exact up to t = 2."""
    gamma, beta = [1.0, 1.6, -0.5], [0.1, -0.2, 0.4]
    kappa = strategies.get("mpd-agl-reset").widths(situation(3, [0.8, -1.3, 0.4], gamma, beta))
    random, carried, simulated = np.random.default_rng(0), 0.0, []
    for p in (0.8, -1.3, 0.4):
        current = p * (random.normal(size=(400_000, 3)) * np.array(gamma) * 0.5 + beta)
        v = 0.6 * carried + current
        carried = np.where(v < 0.5, v, 0)
        simulated.append(2 * v.std())
    assert kappa.tolist()[:2] == pytest.approx(simulated[:2], rel=5e-3)
    assert kappa.tolist()[2] == pytest.approx(simulated[2], rel=2e-2)


def test_a_strategy_that_does_not_know_the_factors_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(type(strategies.get("fixed")), "knows_factors", False)
    with pytest.raises(BadInput, match="strategy 'fixed' does not know the factors of norm 'tebn'"):
        networks.build("convsnn", norm="tebn", strategy="fixed", timesteps=3, num_classes=4)


def test_recordings_of_tebn_predict_nothing_from_the_norm_and_say_why(tmp_path):
    architecture = networks.NetworkConfig("convsnn", 3, 10, norm="tebn", sizes={"in_channels": 1})
    network = architecture.build()
    with torch.no_grad():
        network.encode.norm.p.copy_(torch.tensor(P))
    checkpoint.save(tmp_path / "tebn.pt", network, architecture=architecture, config=None, metrics={})
    recording = inspect(tmp_path / "tebn.pt", data="digits", limit=20, device="cpu")
    table = recording.table()
    predicted = table.filter(regex="^(predicted_|ks|wasserstein)")
    # The recorded currents have the factors in them.
    assert predicted.filter(regex="^predicted_.*_correlated$").notna().to_numpy().all()
    assert predicted.filter(regex="(?<!_correlated)$").isna().to_numpy().all()
    assert table["available_ratio"].notna().all()
    assert "the same at every timestep" in recording.layers[1].info.not_measured["predicted_ratio"]
    # gamma_mean 1 and decay .2: the widths in force are those of the factors.
    expected = [1.5, (0.25 + 0.04 * 2.25) ** 0.5, (0.0625 + 0.04 * 0.25) ** 0.5]
    assert table["kappa"][:3].tolist() == pytest.approx(expected, rel=1e-6)
    assert torch.equal(checkpoint.load(tmp_path / "tebn.pt").network.encode.norm.p, network.encode.norm.p)
