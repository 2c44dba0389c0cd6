"""The compiled backend against the definition: spikes bit for bit, gradients to rounding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpdviz import surrogates
from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.kernels import backends, compiled, multistep_lif

pytestmark = [
    pytest.mark.skipif(compiled.COMPILED.missing() is not None, reason=f"{compiled.COMPILED.missing()}"),
    # The compiler's own modules use things their dependencies have deprecated.
    pytest.mark.filterwarnings("ignore"),
]


def both(current, decay, kappa, surrogate, *, learned=False, keep=False):
    """Spikes, potentials, gradients of the eager and of the compiled backend for the same input."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(current.shape, generator=generator).to(current.dtype)
    results = []
    for name in ("eager", "compiled"):
        x = current.clone().requires_grad_()
        number = torch.tensor(decay, requires_grad=True) if learned else decay
        with backends.using(name):
            spikes, v = multistep_lif(x, number, 0.5, kappa, surrogate, keep_potentials=keep)
            spikes.backward(weights)
        results.append((spikes.detach(), v, x.grad, number.grad if learned else None))
    return results


def agree(eager, compiled, rtol=1e-5):
    assert torch.equal(eager[0], compiled[0])
    assert eager[0].dtype == compiled[0].dtype
    torch.testing.assert_close(compiled[2], eager[2], rtol=rtol, atol=1e-6, equal_nan=True)


@pytest.mark.thorough
@settings(max_examples=15, deadline=None)
@given(
    samples=st.integers(1, 9),
    neurons=st.integers(1, 70),
    decay=st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]),
    width=st.floats(0.1, 3.0),
    seed=st.integers(0, 99),
)
def test_any_size_and_width(samples, neurons, decay, width, seed):
    current = torch.randn(4, samples, neurons, generator=torch.Generator().manual_seed(seed))
    kappa = torch.linspace(width, 2 * width, 4)
    agree(*both(current, decay, kappa, surrogates.Rectangular()))


@pytest.mark.thorough
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100), timesteps=st.integers(1, 5), size=st.integers(1, 40))
def test_thresholds_of_every_timestep(seed, timesteps, size):
    generator = torch.Generator().manual_seed(seed)
    thresholds = torch.rand(timesteps, generator=generator) - 0.2
    grad = torch.randn(timesteps, size, generator=generator)
    current = torch.randn(timesteps, size, generator=generator)
    results = []
    for name in ("eager", "compiled"):
        x = current.clone().requires_grad_()
        with backends.using(name):
            spikes, _ = multistep_lif(x, 0.4, thresholds, 0.8, surrogates.Rectangular())
        (spikes * grad).sum().backward()
        results.append((spikes, x.grad))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-5, atol=1e-6)
    v, s = torch.zeros(size), torch.zeros(size)
    for t in range(timesteps):
        v = v * 0.4 * (1 - s) + current[t]
        s = (v >= thresholds[t]).float()
        assert torch.equal(s, results[0][0][t])


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in surrogates.SHAPES if name != "rectangular"])
def test_every_shape(name):
    current = torch.randn(3, 50)
    agree(*both(current, 0.3, 1.5, surrogates.get(name)))


@pytest.mark.thorough
@pytest.mark.parametrize("timesteps", [1, 2, 10, pytest.param(64, marks=pytest.mark.slow)])
def test_any_number_of_timesteps(timesteps):
    agree(*both(torch.randn(timesteps, 40), 0.7, 1.0, surrogates.Rectangular()))


@pytest.mark.thorough
@pytest.mark.parametrize("timesteps", [1, 4])
def test_a_learned_decay_gets_its_gradient(timesteps):
    eager, compiled = both(torch.randn(timesteps, 300), 0.4, 1.0, surrogates.ATan(), learned=True)
    agree(eager, compiled)
    torch.testing.assert_close(compiled[3], eager[3], rtol=1e-5, atol=1e-6)


def test_bfloat16_is_accumulated_in_float32():
    current = torch.randn(4, 200).bfloat16()
    eager, compiled = both(current, 0.2, 1.0, surrogates.Rectangular(), keep=True)
    agree(eager, compiled, rtol=1e-2)
    assert compiled[1].dtype == torch.float32
    assert torch.equal(eager[1], compiled[1])


@pytest.mark.thorough
def test_potentials_are_handed_over():
    eager, compiled = both(torch.randn(4, 6, 5), 0.2, 1.0, surrogates.Rectangular(), keep=True)
    agree(eager, compiled)
    assert torch.equal(eager[1], compiled[1])


def test_what_is_not_finite_propagates_alike():
    current = torch.randn(4, 32)
    current[0, :3] = torch.tensor([np.nan, np.inf, -np.inf])
    eager, compiled = both(current, 0.2, 1.0, surrogates.Rectangular(), keep=True)
    assert torch.equal(eager[0], compiled[0])
    torch.testing.assert_close(eager[1], compiled[1], rtol=0, atol=0, equal_nan=True)


def test_channels_last_stays_channels_last():
    maps = torch.randn(12, 5, 6, 6).to(memory_format=torch.channels_last).unflatten(0, (4, 3))
    eager, compiled = both(maps, 0.2, 1.0, surrogates.Rectangular())
    agree(eager, compiled)
    with backends.using("compiled"):
        spikes, _ = multistep_lif(maps, 0.2, 0.5, 1.0, surrogates.Rectangular())
    assert spikes.stride() == maps.stride()


def test_strided_expanded_and_empty_currents():
    for current in (torch.randn(4, 8, 6)[:, ::2], torch.randn(1, 5, 6).expand(4, 5, 6), torch.randn(4, 0, 6)):
        agree(*both(current, 0.2, 1.0, surrogates.Rectangular()))


def test_another_batch_size_compiles_nothing():
    from torch._dynamo.utils import counters

    agree(*both(torch.randn(4, 17, 6), 0.2, 1.0, surrogates.Rectangular()))
    before = counters["stats"]["unique_graphs"]
    for samples in (3, 8, 29):
        agree(*both(torch.randn(4, samples, 11), 0.2, 1.0, surrogates.Rectangular()))
    assert counters["stats"]["unique_graphs"] == before


def test_unknown_and_unusable_backends(monkeypatch):
    with pytest.raises(BadInput, match="did you mean 'compiled'"):
        backends.resolve("compile")
    assert backends.resolve("auto", potentials=1000) == "eager"
    assert backends.resolve("auto", potentials=5 * 10**9) == "fused"
    assert backends.resolve("auto", potentials=10**12) == "compiled"
    assert backends.resolve("auto", potentials=10**12, device="cuda") == "compiled"
    assert backends.resolve("auto", potentials=10**12, device="mps") == "eager"
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiled._missing.cache_clear()
    try:
        with pytest.warns(MpdvizWarning, match="no C\\+\\+ compiler found"):
            assert backends.resolve("compiled") == "eager"
        assert backends.resolve("auto", potentials=10**12) == "fused"
    finally:
        compiled._missing.cache_clear()
