"""Each shape against the derivative of its known primitive, and its interval against its own definition."""

import math

import numpy as np
import pytest
import torch
from reference import PRIMITIVES

from mpdviz import surrogates
from mpdviz.errors import BadInput
from mpdviz.kernels import multistep_lif

NAMES = sorted(PRIMITIVES)
COMPACT = ["dspike", "rectangular", "triangular"]
INFINITE = [name for name in NAMES if name not in COMPACT]
PARAMETER = {"fast-sigmoid": "k", "atan": "a", "sigmoid": "a"}
UNLOWERED = ["lorentz", "superspike"]
"""Shapes that keep their height when they are widened, not their area."""
LOWERED = [name for name in NAMES if name not in UNLOWERED]
KAPPAS = [0.25, 1.0, 2.5]
AREAS = dict.fromkeys(LOWERED, 1.0) | {"fast-sigmoid": 2 / 25}
KINKS = {"rectangular": [-0.5, 0.5], "dspike": [-0.5, 0.5], "triangular": [-1, 0, 1]}
KINKS |= {"fast-sigmoid": [0], "superspike": [0]}

# At widths 1; an irregular grid whose points lie clear of every kink.
UNIT = np.linspace(-3, 3, 4001) + 1e-4 * math.pi


def available(shape, x, kappa, epsilon=surrogates.EPSILON):
    return x.abs() < kappa * shape.half_width(epsilon)


def spike(x, shape, kappa=1.0):
    return multistep_lif(x[None], 0.0, 0.0, kappa, shape)[0][0]


def test_every_registered_shape_is_tested():
    assert sorted(surrogates.SHAPES) == NAMES
    assert sorted(name for name in NAMES if surrogates.get(name).compact) == COMPACT


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("name", NAMES)
def test_h_is_the_derivative_of_the_known_primitive(name, kappa):
    step = 1e-5
    clear = np.all(
        [np.abs(UNIT - kink) > 2 * step for kink in KINKS.get(name, [])] or [np.inf > UNIT], axis=0
    )
    x = UNIT[clear] * kappa
    primitive, step = PRIMITIVES[name], step * kappa
    slope = (primitive(x + step, kappa) - primitive(x - step, kappa)) / (2 * step)
    h = surrogates.get(name).h(torch.from_numpy(x), kappa).numpy()
    np.testing.assert_allclose(h, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_shape_the_primitive_too(name):
    # The parameter a stretches the axis of sigmoid and atan; half_base is the triangle's; k the steepness.
    x = UNIT[np.abs(UNIT) > 1e-3]
    step = 1e-6
    changed = {
        "triangular": ({"half_base": 0.4}, lambda x: PRIMITIVES["triangular"](x, 0.4)),
        "sigmoid": ({"a": 7.0}, lambda x: 1 / (1 + np.exp(-7 * x))),
        "atan": ({"a": 5.0}, lambda x: np.arctan(math.pi / 2 * 5 * x) / math.pi),
        "fast-sigmoid": ({"k": 3.0}, lambda x: x / (1 + 3 * np.abs(x))),
        "dspike": (
            {"alpha": 3.0},
            lambda x: np.tanh(3 * np.clip(x, -0.5, 0.5)) / (2 * math.tanh(1.5)),
        ),
    }
    if name not in changed:
        return
    parameters, primitive = changed[name]
    x = x[(np.abs(np.abs(x) - 0.4) > 1e-3) & (np.abs(np.abs(x) - 0.5) > 1e-3)]
    slope = (primitive(x + step) - primitive(x - step)) / (2 * step)
    h = surrogates.get(name, **parameters).h(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(h, slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("name", NAMES)
def test_width_stretches_and_lowers(name, kappa):
    shape, x = surrogates.get(name), torch.from_numpy(UNIT)
    lowered = 1 if name in UNLOWERED else kappa
    torch.testing.assert_close(shape.h(x, kappa), shape.h(x / kappa) / lowered, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(shape.h(x, torch.tensor(kappa, dtype=x.dtype)), shape.h(x, kappa))
    torch.testing.assert_close(shape.h(-x, kappa), shape.h(x, kappa), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("name", LOWERED)
def test_area_does_not_depend_on_the_width(name, kappa):
    # A grid fixed in units of potential, so the width is not scaled away: midpoints of [-R, R] plus the
    # primitive's tails beyond.
    reach, cells = 20.0, 800_000
    x = torch.linspace(-reach, reach, cells + 1, dtype=torch.float64)
    middle = (x[1:] + x[:-1]) / 2
    inside = float(surrogates.get(name).h(middle, kappa).sum()) * 2 * reach / cells
    total = AREAS[name]
    tails = total - 2 * float(PRIMITIVES[name](np.array(reach), kappa))
    assert inside + tails == pytest.approx(total, abs=1e-4 * total)


@pytest.mark.parametrize("name", NAMES)
def test_maximum_lies_at_the_threshold(name):
    h = surrogates.get(name).h(torch.from_numpy(UNIT))
    assert float(h.max()) <= float(surrogates.get(name).h(torch.zeros((), dtype=torch.float64)))


@pytest.mark.parametrize("epsilon", [0.001, 0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("parameter", [0.5, None, 10.0])
@pytest.mark.parametrize("name", INFINITE)
def test_half_width_of_infinite_support_is_where_h_falls_to_epsilon(name, parameter, epsilon):
    key = PARAMETER.get(name)
    shape = surrogates.get(name, **({key: parameter} if parameter and key else {}))
    ends = torch.tensor([0.0, shape.half_width(epsilon)], dtype=torch.float64)
    top, edge = shape.h(ends).tolist()
    assert edge == pytest.approx(epsilon * top, rel=1e-9)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_dspike_by_hand(kappa):
    """METHOD section F at alpha = 2: 1 / tanh(1) at the threshold, times sech(1)^2 = .4199743 at the edge."""
    shape = surrogates.get("dspike")
    inside = torch.tensor([0.0, 0.25, 0.5 - 1e-9], dtype=torch.float64)
    expected = [1.3130352855, 1.3130352855 / math.cosh(0.5) ** 2, 1.3130352855 * 0.4199743416]
    assert (shape.h(inside * kappa, kappa) * kappa).tolist() == pytest.approx(expected, rel=1e-7)
    assert shape.h(torch.tensor([0.51, -0.51, 60.0, math.inf, math.nan]) * kappa, kappa).tolist() == [0] * 5
    almost = surrogates.get("dspike", alpha=1e-4).h(inside, 1.0)
    assert almost.tolist() == pytest.approx([1, 1, 1], rel=1e-8)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_shapes_of_constant_height_are_the_others_times_their_width(kappa):
    x = torch.from_numpy(UNIT)
    atan, fast = surrogates.get("atan"), surrogates.get("fast-sigmoid", k=1 / kappa)
    torch.testing.assert_close(
        surrogates.get("lorentz").h(x, kappa), kappa * atan.h(x, kappa), rtol=1e-12, atol=0
    )
    torch.testing.assert_close(surrogates.get("superspike").h(x, kappa), fast.h(x), rtol=1e-12, atol=0)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_the_integral_of_the_sigmoid_is_its_primitive(kappa):
    x = torch.from_numpy(UNIT)
    expected = 0.5 + PRIMITIVES["sigmoid"](UNIT, kappa)
    np.testing.assert_allclose(surrogates.get("sigmoid").integral(x, kappa), expected, rtol=1e-12, atol=1e-15)
    with pytest.raises(BadInput, match="'atan' gives no analog output"):
        surrogates.get("atan").integral(x, kappa)


def test_default_epsilon_is_a_tenth():
    assert surrogates.EPSILON == 0.1
    for name in NAMES:
        assert surrogates.get(name).half_width() == surrogates.get(name).half_width(0.1)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("name", COMPACT)
def test_compact_support_ends_at_the_half_width_whatever_epsilon(name, kappa):
    shape = surrogates.get(name)
    half = kappa * shape.half_width(0.1)
    assert shape.half_width(0.1) == shape.half_width(0.7)
    x = torch.tensor([half * (1 - 1e-9), half, half * (1 + 1e-9)], dtype=torch.float64)
    for side in (x, -x):
        assert (shape.h(side, kappa) > 0).tolist() == [True, False, False]


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("name", NAMES)
def test_interval_is_centred_on_the_threshold(name, kappa):
    shape = surrogates.get(name)
    lower, upper = shape.interval(0.5, kappa, epsilon=0.2)
    assert (lower + upper) / 2 == pytest.approx(0.5)
    assert upper - lower == pytest.approx(2 * kappa * shape.half_width(0.2))
    ends = torch.tensor([lower, upper], dtype=torch.float64) - 0.5
    assert not available(shape, ends, kappa, 0.2 + 1e-9).any()


def test_interval_of_the_rectangle_is_the_paper_s():
    assert surrogates.get("rectangular").interval(0.5, 1.0) == (0.0, 1.0)
    assert surrogates.get("rectangular").interval(1.0, 2.5) == (-0.25, 2.25)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("name", NAMES)
def test_available_is_where_h_is_not_negligible(name, kappa, dtype):
    shape, epsilon = surrogates.get(name), 0.1
    x = torch.randn(20_000, dtype=dtype) * kappa
    h = shape.h(x.double(), kappa)
    top = shape.h(torch.zeros((), dtype=torch.float64), kappa)
    expected = h > 0 if shape.compact else h >= epsilon * top
    assert torch.equal(available(shape, x, kappa, epsilon), expected)
    assert 0 < int(expected.sum()) < len(x)


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_never_available_and_infinity_neither(name):
    x = torch.tensor([float("nan"), float("inf"), float("-inf"), 0.0])
    assert available(surrogates.get(name), x, 100.0).tolist() == [False, False, False, True]


@pytest.mark.parametrize("kappa", KAPPAS)
def test_rectangle_is_zero_exactly_on_its_edge(kappa):
    shape = surrogates.get("rectangular")
    x = torch.tensor([-kappa / 2, kappa / 2])  # exact in float32 for these widths
    inside = torch.nextafter(x, torch.zeros(2))
    assert shape.h(x, kappa).tolist() == [0, 0]
    assert not available(shape, x, kappa).any()
    assert shape.h(inside, kappa).tolist() == [torch.tensor(1 / kappa).item()] * 2
    assert available(shape, inside, kappa).all()


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("name", NAMES)
def test_spike_is_heaviside_forward_and_h_backward(name, kappa):
    x = torch.tensor(
        [-2.0, -1e-30, 0.0, -0.0, 1e-30, 3.0, 0.1, -0.1], dtype=torch.float64, requires_grad=True
    )
    out = spike(x, surrogates.get(name), kappa)
    assert out.tolist() == [0, 0, 1, 1, 1, 1, 1, 0]
    grad = torch.arange(1.0, 9, dtype=torch.float64)
    out.backward(grad)
    points, step = x.detach().numpy()[[0, 5, 6, 7]], 1e-6
    slope = (PRIMITIVES[name](points + step, kappa) - PRIMITIVES[name](points - step, kappa)) / (2 * step)
    np.testing.assert_allclose(x.grad[[0, 5, 6, 7]], slope * grad.numpy()[[0, 5, 6, 7]], rtol=1e-5, atol=1e-8)


def test_spike_keeps_the_dtype():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert spike(torch.zeros(3, dtype=dtype), surrogates.get("atan")).dtype == dtype


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: surrogates.get("rectangel"),
            ["unknown surrogate 'rectangel'", "did you mean 'rectangular'", "atan"],
        ),
        (lambda: surrogates.get("fast_sigmoid"), ["did you mean 'fast-sigmoid'"]),
        (lambda: surrogates.get("zzz"), ["'zzz'", "choose one of", "triangular"]),
        (lambda: surrogates.get("atan", k=2.0), ["'atan'", "'k'", "choose one of: a"]),
        (lambda: surrogates.get("rectangular", a=2.0), ["'rectangular'", "'a'", "none"]),
        (lambda: surrogates.get("sigmoid", a=0.0), ["'sigmoid'", "a is 0.0", "positive"]),
        (lambda: surrogates.get("triangular", half_base=-1.0), ["half_base is -1.0", "positive"]),
        (lambda: surrogates.get("fast-sigmoid", k=float("nan")), ["k is nan", "positive"]),
        (lambda: surrogates.get("fast-sigmoid", k=float("inf")), ["k is inf", "positive"]),
        (lambda: surrogates.get("atan", a="2"), ["a is '2'", "positive"]),
    ],
)
def test_bad_requests_get_one_line_that_names_things(call, words):
    with pytest.raises(BadInput) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert caught.value.exit_code == 2
