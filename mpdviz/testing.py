"""Whether neurons are read right: what the author of an adapter, or of a `register` call, runs in a test.

from mpdviz.testing import check_neuron

def test_my_neuron():
    check_neuron(lambda: MyLIF(), torch.randn(5, 4, 10), potentials=by_hand)
"""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpdviz.api import Recording
from mpdviz.live import record

Potentials = Callable[[Any, NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Called with the module, its inputs and spikes `[T, N, ...]`; gives the pre-reset potentials, like them."""


def check_neuron(
    make: Callable[[], nn.Module],
    x: Tensor,
    *,
    stepped: bool = False,
    reset: Callable[[nn.Module], object] | None = None,
    potentials: Potentials | None = None,
    tolerance: float = 1e-5,
) -> Recording:
    """Check that a neuron module is recorded exactly, and left exactly as it was.

    * The recorded run gives the same outputs, gradients, random numbers and state as the bare one.
    * Nothing stays on the module: no attribute, no hook; copies made inside the block are whole.
    * The recorded firing rate of each timestep is that of the spikes that came out, to the last spike.
    * Where `potentials` are given, mean, spread and extremes are those of a float64 twin.

    Args:
        make: makes the module, the same one each time; its call gives spikes, or a tuple that begins with
            them.
        x: inputs `[T, N, ...]`, with which it spikes at some places and not at others.
        stepped: whether it is called once a timestep, with `[N, ...]`.
        reset: puts it to rest; None: a new module is at rest, and nothing else is needed.
        potentials: see `Potentials`.
        tolerance: how far means may be off the twin's, in shares of the largest potential.

    Returns:
        The recording, to check more of it.

    Raises:
        AssertionError: with what is wrong.
    """
    bare, watched = make(), make()
    watched.load_state_dict(bare.state_dict())
    torch.manual_seed(0)
    expected, gradient = _run(bare, x, stepped, reset)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    holder = nn.Sequential(watched)
    with warnings.catch_warnings(record=True) as said, record(holder, gradients=True) as recording:
        warnings.simplefilter("always")
        if stepped:
            recording.new_sequence()
        _check_copies(watched)  # before the run: a state with a graph cannot be copied by anybody
        spikes, found = _run(watched, x, stepped, reset)
    _check(torch.equal(torch.get_rng_state(), after), "recording draws random numbers")
    _check(torch.equal(spikes, expected), "the recorded run gives other spikes than the bare one")
    _check(torch.equal(found, gradient), "the recorded run gives other gradients than the bare one")
    left = _attributes(watched) - _attributes(bare)
    _check(not left, f"recording leaves {', '.join(sorted(left))} on the module")
    told = "; ".join(f"{name}: {why}" for name, why in recording.left_out.items())
    _check(not recording.left_out, f"the neurons are left out: {told}")
    _check(not said, f"recording warns: {said[0].message if said else ''}")
    _check(len(recording.layers) == 1, f"{len(recording.layers)} layers are found, not one")
    table = recording.table()
    _check(len(table) == len(x), f"{len(table)} timesteps are found, not {len(x)}")
    rates = spikes.detach().double().ne(0).flatten(1).mean(1, dtype=torch.float64).tolist()
    _check(0 < float(np.mean(rates)) < 1, "the inputs make all neurons spike, or none: give others")
    _check(
        table["firing_rate"].tolist() == rates,
        f"firing rates are {table['firing_rate'].tolist()}, not {rates}",
    )
    if potentials is not None:
        truth = potentials(make(), x.detach().double().numpy(), spikes.detach().double().numpy())
        _check_twin(table, truth.reshape(len(x), -1), tolerance)
    return recording


def _run(
    module: nn.Module, x: Tensor, stepped: bool, reset: Callable[[nn.Module], object] | None
) -> tuple[Tensor, Tensor]:
    """Spikes `[T, N, ...]`, and the gradient of their sum at the inputs."""
    inputs = x.detach().clone().requires_grad_()
    if reset is not None:
        reset(module)
    outputs = [module(step) for step in inputs] if stepped else [module(inputs)]
    spikes = [output[0] if isinstance(output, tuple) else output for output in outputs]
    emitted = torch.stack(spikes) if stepped else spikes[0]
    if not emitted.requires_grad:
        return emitted, torch.zeros_like(inputs)
    (gradient,) = torch.autograd.grad(emitted.sum(), inputs, allow_unused=True)
    return emitted, torch.zeros_like(inputs) if gradient is None else gradient


def _attributes(module: nn.Module) -> set[str]:
    found = {f"{path}.{name}" for path, part in module.named_modules() for name in vars(part)}
    hooks = {
        f"{path}.{kind}[{key}]"
        for path, part in module.named_modules()
        for kind, value in vars(part).items()
        if kind.endswith("_hooks")
        for key in value
    }
    return found | hooks


def _check_copies(module: nn.Module) -> None:
    """A copy that is made inside the block is one of the module alone."""
    _check(_attributes(copy.deepcopy(module)) == _attributes(module), "a copy made inside the block differs")


def _check_twin(table: Any, truth: NDArray[np.float64], tolerance: float) -> None:
    scale = max(1.0, float(np.abs(truth).max()))
    for name, values in (
        ("mean", truth.mean(1)),
        ("std", truth.std(1)),
        ("min", truth.min(1)),
        ("max", truth.max(1)),
    ):
        apart = np.abs(table[name].to_numpy(float) - values).max()
        _check(
            apart <= tolerance * scale, f"{name} of the potentials is off the float64 twin's by {apart:.3g}"
        )


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
