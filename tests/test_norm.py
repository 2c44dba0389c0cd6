"""tdBN against the reference's recorded step and against NumPy in float64."""

import numpy as np
import pytest
import torch
from reference import tdbn_backward, tdbn_eval, tdbn_train

from mpdviz.errors import BadInput
from mpdviz.norm import TDBatchNorm1d, TDBatchNorm2d

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
