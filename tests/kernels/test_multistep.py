"""The multi-step LIF against autograd's own way through a plain loop and against NumPy in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import DERIVATIVES, lif_backward, lif_forward, plain_lif

from mpdviz import surrogates
from mpdviz.kernels import multistep_lif

NAMES = sorted(DERIVATIVES)
RECT = surrogates.get("rectangular")


@st.composite
def cases(draw):
    """Sizes, constants, widths and a seed for the numbers."""
    timesteps = draw(st.integers(1, 12))
    shape = (timesteps, *draw(st.lists(st.integers(1, 4), min_size=0, max_size=4)))
    decay = draw(st.sampled_from([0.0, 1.0, 0.2]) | st.floats(0, 1))
    v_th = draw(st.sampled_from([0.5, 1.0, 0.3]))
    widths = st.floats(0.05, 5)
    kappa = draw(widths | st.lists(widths, min_size=timesteps, max_size=timesteps))
    return shape, decay, v_th, kappa, draw(st.sampled_from(NAMES)), draw(st.integers(0, 2**31))


def numbers(shape, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    current = torch.randn(shape, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    return current.to(dtype), torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def as_argument(kappa):
    return torch.tensor(kappa, dtype=torch.float64) if isinstance(kappa, list) else kappa


def per_step(kappa, timesteps):
    return kappa if isinstance(kappa, list) else [kappa] * timesteps


@given(cases(), st.booleans())
@settings(max_examples=150)
def test_spikes_equal_the_plain_loop_bit_for_bit_in_float32(case, gradient):
    shape, decay, v_th, kappa, name, seed = case
    current, _ = numbers(shape, seed, torch.float32)
    expected = plain_lif(current, decay, v_th, per_step(kappa, shape[0]), DERIVATIVES[name])
    spikes, potentials = multistep_lif(
        current.requires_grad_(gradient),
        decay,
        v_th,
        as_argument(kappa),
        surrogates.get(name),
        keep_potentials=True,
    )
    assert torch.equal(spikes.detach(), expected)
    assert spikes.dtype == potentials.dtype == torch.float32
    twin, _ = lif_forward(current.detach().numpy(), decay, v_th)
    np.testing.assert_array_equal(potentials.numpy(), twin)


@given(cases(), st.booleans())
@settings(max_examples=150)
def test_gradients_equal_the_plain_loop_and_the_twin_in_float64(case, learned):
    shape, decay, v_th, kappa, name, seed = case
    current, grad = numbers(shape, seed, torch.float64)
    ours, theirs = current.clone().requires_grad_(), current.clone().requires_grad_()
    a = torch.tensor(decay, dtype=torch.float64, requires_grad=learned)
    b = torch.tensor(decay, dtype=torch.float64, requires_grad=learned)

    spikes, potentials = multistep_lif(
        ours, a if learned else decay, v_th, as_argument(kappa), surrogates.get(name), keep_potentials=True
    )
    spikes.backward(grad)
    expected = plain_lif(theirs, b if learned else decay, v_th, per_step(kappa, shape[0]), DERIVATIVES[name])
    expected.backward(grad)

    assert torch.equal(spikes, expected)
    # Rounding scales with the largest gradient: narrow widths multiply up to 1 / kappa each timestep.
    scale = max(1.0, float(theirs.grad.abs().max()))
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-10 * scale)
    v, s = lif_forward(current.numpy(), decay, v_th)
    np.testing.assert_array_equal(potentials.numpy(), v)
    twin, twin_decay = lif_backward(
        grad.numpy(), v, s, decay, v_th, np.array(per_step(kappa, shape[0])), DERIVATIVES[name]
    )
    np.testing.assert_allclose(ours.grad, twin, rtol=1e-10, atol=1e-10 * scale)
    if learned:
        # The loop reaches the decay even at T = 1, as decay * v(0) with v(0) = 0.
        scale_decay = scale * max(1.0, float(np.abs(v).max())) * v.size
        assert float(a.grad) == pytest.approx(float(b.grad), rel=1e-10, abs=1e-10 * scale_decay)
        assert float(a.grad) == pytest.approx(twin_decay, rel=1e-10, abs=1e-10 * scale_decay)


def test_a_neuron_by_hand():
    # decay .5, v_th 1, kappa 1: v = .8, then .4 + .9 = 1.3 (spikes, reset), then .7.
    current = torch.tensor([0.8, 0.9, 0.7], dtype=torch.float64, requires_grad=True)
    spikes, v = multistep_lif(current, 0.5, 1.0, 1.0, RECT, keep_potentials=True)
    spikes.backward(torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64))
    torch.testing.assert_close(v, torch.tensor([0.8, 1.3, 0.7], dtype=torch.float64))
    assert spikes.tolist() == [0, 1, 0]
    # g3 = 100; g2 = 10 + 100*.5*(0 - 1.3) = -55; g1 = 1 - 55*.5*(1 - .8) = -4.5
    torch.testing.assert_close(current.grad, torch.tensor([-4.5, -55.0, 100.0], dtype=torch.float64))


def test_a_potential_exactly_at_the_threshold_spikes():
    for gradient in (False, True):
        current = torch.full((2, 1), 0.5, requires_grad=gradient)
        spikes, v = multistep_lif(current, 1.0, 0.5, 1.0, RECT, keep_potentials=True)
        assert spikes.flatten().tolist() == [1, 1]
        assert v.flatten().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("shape", [(3, 0, 4), (1, 0), (4, 2, 0, 3)])
def test_empty_batch(shape, gradient):
    current = torch.zeros(shape, requires_grad=gradient)
    decay = torch.tensor(0.2, requires_grad=gradient)
    spikes, v = multistep_lif(current, decay, 0.5, 1.0, RECT, keep_potentials=True)
    assert spikes.shape == v.shape == shape
    if gradient:
        spikes.sum().backward()
        assert current.grad.shape == shape
        assert decay.grad == 0


LAYOUTS = {
    "batch-first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "channels-last": lambda x: x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
    "every second": lambda x: x.repeat_interleave(2, dim=4)[..., ::2],
    "offset": lambda x: torch.cat([x[:1], x])[1:],
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("gradient", [False, True])
def test_any_memory_layout(layout, gradient):
    current, grad = numbers((3, 2, 4, 5, 6), 1, torch.float64)
    laid = LAYOUTS[layout](current)
    assert torch.equal(laid, current)
    spikes, v = multistep_lif(laid.requires_grad_(gradient), 0.4, 0.5, 1.0, RECT, keep_potentials=True)
    twin_v, twin_s = lif_forward(current.numpy(), 0.4, 0.5)
    np.testing.assert_array_equal(v.numpy(), twin_v)
    np.testing.assert_array_equal(spikes.detach().numpy(), twin_s)
    if gradient:
        spikes.backward(LAYOUTS[layout](grad))
        twin, _ = lif_backward(grad.numpy(), twin_v, twin_s, 0.4, 0.5, np.ones(3), DERIVATIVES["rectangular"])
        np.testing.assert_allclose(laid.grad, twin, rtol=1e-12, atol=1e-12)


def test_a_static_image_expanded_over_time():
    # Stride 0 in time, forward and backward.
    image = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    spikes, _ = multistep_lif(image.expand(4, 2, 3), 0.9, 0.5, 1.0, RECT)
    spikes.sum().backward()
    repeated = image.detach().repeat(4, 1, 1).numpy()
    v, s = lif_forward(repeated, 0.9, 0.5)
    twin, _ = lif_backward(np.ones_like(v), v, s, 0.9, 0.5, np.ones(4), DERIVATIVES["rectangular"])
    np.testing.assert_array_equal(spikes.detach().numpy(), s)
    np.testing.assert_allclose(image.grad[0], twin.sum(0), rtol=1e-12)


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.2, 1.0])
def test_nan_and_infinity_propagate_as_in_the_equation(decay, gradient):
    values = [float("nan"), float("inf"), float("-inf"), 0.2, 0.7]
    current = torch.tensor([[a, b, c] for a in values for b in values for c in values]).T.contiguous()
    spikes, v = multistep_lif(current.requires_grad_(gradient), decay, 0.5, 1.0, RECT, keep_potentials=True)
    with np.errstate(invalid="ignore"):
        twin_v, twin_s = lif_forward(current.detach().numpy(), decay, 0.5)
    np.testing.assert_array_equal(v.numpy(), twin_v)
    np.testing.assert_array_equal(spikes.detach().numpy(), twin_s)


def test_an_infinite_potential_spoils_the_gradient_as_in_autograd():
    values = [float("nan"), float("inf"), float("-inf"), 0.2, 0.7]
    numbers_ = torch.tensor([[a, b] for a in values for b in values], dtype=torch.float64).T
    for name in NAMES:
        ours, theirs = numbers_.clone().requires_grad_(), numbers_.clone().requires_grad_()
        multistep_lif(ours, 0.2, 0.5, 1.0, surrogates.get(name))[0].sum().backward()
        with np.errstate(invalid="ignore"):
            plain_lif(theirs, 0.2, 0.5, [1.0, 1.0], DERIVATIVES[name]).sum().backward()
        finite = numbers_.isfinite().all(0)
        torch.testing.assert_close(ours.grad[:, finite], theirs.grad[:, finite])
        # Where autograd's gradient is spoilt, ours says so too instead of inventing a number.
        assert not (theirs.grad.isnan() & ~ours.grad.isnan()).any(), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gradient", [False, True])
def test_half_precision_accumulates_in_float32(dtype, gradient):
    current, grad = (x.to(dtype) for x in numbers((6, 300), 3, torch.float32))
    spikes, v = multistep_lif(current.requires_grad_(gradient), 0.9, 0.5, 1.5, RECT, keep_potentials=True)
    twin_v, twin_s = lif_forward(current.detach().float().numpy(), 0.9, 0.5)
    assert (v.dtype, spikes.dtype) == (torch.float32, dtype)
    np.testing.assert_array_equal(v.numpy(), twin_v)
    np.testing.assert_array_equal(spikes.detach().float().numpy(), twin_s)
    if gradient:
        spikes.backward(grad)
        assert current.grad.dtype == dtype
        twin, _ = lif_backward(
            grad.double().numpy(),
            twin_v.astype(float),
            twin_s.astype(float),
            0.9,
            0.5,
            np.full(6, 1.5),
            DERIVATIVES["rectangular"],
        )
        tolerance = 2 * torch.finfo(dtype).eps
        np.testing.assert_allclose(current.grad.double(), twin, rtol=tolerance, atol=tolerance)


def test_without_gradient_the_same_spikes_and_potentials_only_if_asked():
    current, _ = numbers((5, 40), 4, torch.float32)
    wanted = current.clone().requires_grad_()
    spikes, potentials = multistep_lif(wanted, 0.3, 0.5, 1.0, RECT, keep_potentials=True)
    with torch.no_grad():
        alone, none = multistep_lif(wanted, 0.3, 0.5, 1.0, RECT)
        again, kept = multistep_lif(wanted, 0.3, 0.5, 1.0, RECT, keep_potentials=True)
    assert none is None
    assert torch.equal(alone, spikes)
    assert torch.equal(again, spikes)
    assert torch.equal(kept, potentials)
    with torch.inference_mode():
        assert torch.equal(multistep_lif(current, 0.3, 0.5, 1.0, RECT)[0], spikes)
    assert not alone.requires_grad


def test_the_input_is_left_as_it_was():
    current, _ = numbers((5, 40), 4, torch.float32)
    before = current.clone()
    multistep_lif(current, 0.3, 0.5, 1.0, RECT, keep_potentials=True)
    multistep_lif(current.requires_grad_(), 0.3, 0.5, 1.0, RECT)[0].sum().backward()
    assert torch.equal(current.detach(), before)


def graph(tensor):
    """Every autograd node behind a tensor."""
    seen, todo = set(), [tensor.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [following for following, _ in node.next_functions]
    return seen


def test_cost_is_linear_in_time():
    """The same few autograd nodes and saved tensors for any T, and memory in proportion to T."""
    nodes, tensors, bytes_ = [], [], []
    for timesteps in (2, 4, 32):
        saved = []

        def keep(tensor, saved=saved):
            saved.append(tensor)
            return tensor

        current = torch.randn(timesteps, 64, requires_grad=True)
        decay = torch.tensor(0.2, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            spikes, _ = multistep_lif(current, decay, 0.5, torch.ones(timesteps), RECT)
        nodes.append(len(graph(spikes)))
        tensors.append(len(saved))
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in saved
        }
        bytes_.append(sum(storages.values()) / timesteps)
    assert nodes == [3, 3, 3]  # the neuron and its two leaves
    assert tensors[0] == tensors[1] == tensors[2]
    assert max(bytes_) < 1.02 * min(bytes_)


def test_each_input_gets_a_gradient_only_where_it_asks():
    current, grad = numbers((4, 30), 5, torch.float64)
    v, s = lif_forward(current.numpy(), 0.6, 0.5)
    twin, twin_decay = lif_backward(grad.numpy(), v, s, 0.6, 0.5, np.ones(4), DERIVATIVES["atan"])
    for wants_current in (False, True):
        for wants_decay in (False, True):
            x = current.clone().requires_grad_(wants_current)
            decay = torch.tensor(0.6, dtype=torch.float64, requires_grad=wants_decay)
            spikes, _ = multistep_lif(x, decay, 0.5, 1.0, surrogates.get("atan"))
            assert spikes.requires_grad == (wants_current or wants_decay)
            np.testing.assert_array_equal(spikes.detach().numpy(), s)
            if not spikes.requires_grad:
                continue
            spikes.backward(grad)
            assert (x.grad is not None) == wants_current
            assert (decay.grad is not None) == wants_decay
            if wants_current:
                np.testing.assert_allclose(x.grad, twin, rtol=1e-10, atol=1e-12)
            if wants_decay:
                assert float(decay.grad) == pytest.approx(twin_decay, rel=1e-10)


def test_potentials_carry_no_gradient():
    current = torch.randn(3, 10, requires_grad=True)
    spikes, potentials = multistep_lif(current, 0.2, 0.5, torch.ones(3), RECT, keep_potentials=True)
    assert spikes.requires_grad
    assert not potentials.requires_grad


def test_backward_twice_gives_the_same_again():
    current, grad = numbers((5, 30), 6, torch.float32)
    decay = torch.tensor(0.7, requires_grad=True)
    spikes, _ = multistep_lif(current.requires_grad_(), decay, 0.5, 1.0, RECT)
    first = torch.autograd.grad(spikes, (current, decay), grad, retain_graph=True)
    second = torch.autograd.grad(spikes, (current, decay), grad)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_incoming_gradient_is_left_as_it_was():
    current, grad = numbers((5, 30), 7, torch.float64)
    before = grad.clone()
    multistep_lif(current.requires_grad_(), 0.7, 0.5, 1.0, RECT)[0].backward(grad)
    assert torch.equal(grad, before)
