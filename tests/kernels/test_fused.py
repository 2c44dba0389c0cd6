"""The fused backend against the definition: spikes bit for bit, and a rectangle's gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpdviz import surrogates
from mpdviz.kernels import Reset, backends, fused, loops, multistep_lif, packed
from mpdviz.kernels.base import Job

RESETS = [Reset(soft, detached) for soft in (False, True) for detached in (False, True)]
RECTANGLE = surrogates.Rectangular()
V_TH = 0.3  # which no binary format holds exactly


def both(current, decay, kappa, surrogate, *, reset=RESETS[0], learned=False, keep=False):
    """Spikes, potentials, gradients of the eager and of the fused backend for the same input."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(current.shape, generator=generator).to(current.dtype)
    results = []
    for name in ("eager", "fused"):
        x = current.clone().requires_grad_()
        number = torch.tensor(decay, requires_grad=True) if learned else decay
        with backends.using(name):
            spikes, v = multistep_lif(x, number, V_TH, kappa, surrogate, reset=reset, keep_potentials=keep)
            spikes.backward(weights)
        results.append((spikes.detach(), v, x.grad, number.grad if learned else None))
    return results


def equal(eager, ours):
    assert torch.equal(eager[0], ours[0])
    assert eager[0].dtype == ours[0].dtype
    assert eager[2].dtype == ours[2].dtype
    torch.testing.assert_close(ours[2], eager[2], rtol=0, atol=0, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(
    timesteps=st.integers(1, 17),
    size=st.sampled_from([1, 2, 7, 8, 9, 63, 64, 1000, loops.BLOCK, loops.BLOCK + 1, 3 * loops.BLOCK - 5]),
    decay=st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]),
    width=st.floats(0.1, 3.0),
    reset=st.sampled_from(RESETS),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_any_size_width_reset_and_type(timesteps, size, decay, width, reset, dtype, seed):
    current = torch.randn(timesteps, size, generator=torch.Generator().manual_seed(seed)).to(dtype)
    kappa = torch.linspace(width, 2 * width, timesteps)
    equal(*both(current, decay, kappa, RECTANGLE, reset=reset))


@pytest.mark.parametrize("name", [name for name in surrogates.SHAPES if name != "rectangular"])
def test_every_shape(name):
    current = torch.randn(3, 5000)
    eager, ours = both(current, 0.3, 1.5, surrogates.get(name))
    assert torch.equal(eager[0], ours[0])
    torch.testing.assert_close(ours[2], eager[2], rtol=1e-5, atol=1e-6)
    assert (
        "surrogates of no closed form"
        not in Job(
            current, 0.3, torch.ones(3), torch.ones(3), (surrogates.get(name),), RESETS[0], False
        ).needs
    )


def test_a_surrogate_of_somebodys_own_is_left_to_the_definition():
    class Own(surrogates.Surrogate):
        name, compact = "own", False

        def h(self, x, kappa=1.0):
            return 1 / (1 + x.abs() ** 3 / kappa)

        def half_width(self, epsilon=0.1):
            return (1 / epsilon - 1) ** (1 / 3)

    equal(*both(torch.randn(3, 50), 0.3, 1.5, Own()))


@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_a_learned_decay_gets_its_gradient(reset):
    eager, ours = both(torch.randn(4, 3000), 0.4, 1.0, RECTANGLE, reset=reset, learned=True)
    equal(eager, ours)
    torch.testing.assert_close(ours[3], eager[3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_potentials_are_handed_over(reset, dtype):
    eager, ours = both(torch.randn(4, 6, 500).to(dtype), 0.2, 1.0, RECTANGLE, reset=reset, keep=True)
    equal(eager, ours)
    assert ours[1].dtype == torch.float32
    assert torch.equal(eager[1], ours[1])


def test_what_is_not_finite_propagates_alike():
    current = torch.randn(4, 32)
    current[0, :3] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    for dtype in (torch.float32, torch.bfloat16):
        for reset in RESETS:
            eager, ours = both(current.to(dtype), 0.2, 1.0, RECTANGLE, reset=reset, keep=True)
            equal(eager, ours)
            torch.testing.assert_close(eager[1], ours[1], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("reset", RESETS, ids=str)
def test_what_is_not_finite_reaches_a_learned_decay_alike(reset, value):
    current = torch.randn(4, 32)
    current[1, 3] = value
    eager, ours = both(current, 0.4, 1.0, RECTANGLE, reset=reset, learned=True)
    equal(eager, ours)
    torch.testing.assert_close(ours[3], eager[3], rtol=1e-4, atol=1e-4, equal_nan=True)


def test_channels_last_stays_channels_last():
    maps = torch.randn(12, 5, 6, 6).to(memory_format=torch.channels_last).unflatten(0, (4, 3))
    equal(*both(maps, 0.2, 1.0, RECTANGLE))
    with backends.using("fused"):
        spikes, _ = multistep_lif(maps, 0.2, 0.5, 1.0, RECTANGLE)
    assert spikes.stride() == maps.stride()


def test_strided_expanded_and_empty_currents():
    for current in (torch.randn(4, 8, 6)[:, ::2], torch.randn(1, 5, 6).expand(4, 5, 6), torch.randn(4, 0, 6)):
        equal(*both(current, 0.2, 1.0, RECTANGLE))


def test_the_number_of_threads_changes_nothing():
    current, threads, results = torch.randn(4, 70_000), torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append(both(current, 0.4, 1.0, RECTANGLE, keep=True)[1])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(*pair) for pair in zip(results[0][:3], other[:3], strict=True))


def test_a_soft_or_detached_reset_keeps_two_bits_a_potential():
    current = torch.randn(8, 4096).requires_grad_()
    kept = {}
    for reset in RESETS:
        sizes = []
        with (
            backends.using("fused"),
            torch.autograd.graph.saved_tensors_hooks(
                lambda t, sizes=sizes: sizes.append(t.numel() * t.element_size()) or t, lambda t: t
            ),
        ):
            multistep_lif(current, 0.5, 0.5, 1.0, RECTANGLE, reset=reset)
        kept[reset.name] = max(sizes)
    assert kept["hard-detached"] == kept["soft-detached"] == kept["soft"] == 2 * current.numel() // 8
    assert kept["hard"] == 4 * current.numel()


def test_nothing_of_the_current_outlives_the_forward_where_bits_are_kept():
    import weakref

    current = torch.randn(4, 4096).requires_grad_()
    doubled = current * 2
    gone = weakref.ref(doubled.untyped_storage())
    with backends.using("fused"):
        spikes, _ = multistep_lif(doubled, 0.5, 0.5, 1.0, RECTANGLE, reset=Reset(detached=True))
    del doubled
    assert gone() is None
    spikes.sum().backward()
    assert current.grad.abs().sum() > 0


def test_every_bit_is_found_again():
    flags = torch.randint(0, 2, (4096,), dtype=torch.uint8).numpy()
    bytes_, found = torch.empty(512, dtype=torch.uint8).numpy(), torch.empty(4096, dtype=torch.uint8).numpy()
    packed.pack(flags, bytes_)
    assert bytes_.tolist() == [
        int("".join(map(str, bits[::-1])), 2) for bits in flags.reshape(-1, 8).tolist()
    ]
    packed.unpack(bytes_, found)
    assert found.tolist() == flags.tolist()


def test_a_second_derivative_is_refused():
    current = torch.randn(2, 9, requires_grad=True)
    with backends.using("fused"):
        spikes, _ = multistep_lif(current, 0.5, 0.5, 1.0, RECTANGLE)
    weights = torch.ones(2, 9, requires_grad=True)
    (grad,) = torch.autograd.grad((spikes * weights).sum(), current, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_it_is_there():
    assert fused.FUSED.missing() is None
    assert backends.best(potentials=5e9) == "fused"


def test_what_the_compiled_backend_cannot_do_it_does():
    current = torch.randn(3, 50)
    for reset, able in zip(RESETS, ("compiled", "fused", "fused", "fused"), strict=True):
        job = Job(current, 0.3, torch.ones(3), torch.ones(3), (RECTANGLE,), reset, False)
        with backends.using("compiled"):
            picked = backends.pick(job)
        if "compiled" in backends.usable():
            assert picked is backends.KERNELS[able]
