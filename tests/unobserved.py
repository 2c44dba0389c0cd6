"""The same run with and without a recording: outputs, gradients, random numbers tell nothing."""

import re
import warnings

import numpy as np
import torch

import mpdviz
from mpdviz.recording.adapters import find
from mpdviz.recording.sites import functions


def observed(made, layer, run, *, told=None):
    """Record `run()` of the network `made`; nothing about it may change.

    Args:
        made: the network.
        layer: name of the neuron layer to read besides.
        run: gives the network's output.
        told: pattern of the warnings that there must be; None: there must be none.

    Returns:
        The recording; input, emitted spikes and potentials of the layer, `[T, N, ...]` in float64.
    """
    plain = run()
    plain.square().sum().backward()
    expected = gradients(made)
    made.zero_grad()
    module = made.get_submodule(layer)
    seen, inputs, outputs = [], [], []

    def keep(_, given, output):
        inputs.append(given[0])
        outputs.append(output[0] if isinstance(output, tuple) else output)

    hook, attributes = module.register_forward_hook(keep), set(vars(module))
    stop = look_into(made, layer, seen)
    before = torch.get_rng_state()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with mpdviz.record(made, gradients=True) as mpd:
            out = run()
            out.square().sum().backward()
    assert bool(said) == (told is not None)
    assert all(re.fullmatch(told, str(warning.message)) for warning in said)
    stop()
    hook.remove()
    assert torch.equal(out, plain)
    assert torch.equal(torch.get_rng_state(), before)
    assert set(vars(module)) == attributes
    # snnTorch's sigmoid has a NaN for a derivative far from the threshold.
    torch.testing.assert_close(gradients(made), expected, rtol=0, atol=0, equal_nan=True)
    read = torch.stack(seen).double().numpy()
    current, spikes = (torch.cat(parts).detach().double().numpy() for parts in (inputs, outputs))
    current, spikes = current.reshape(len(read), -1, *current.shape[1:][-1:]), spikes.reshape(read.shape)
    assert 0 < spikes.mean() < 1
    return mpd, current, spikes, read


def look_into(made, layer, seen):
    """Put the potentials that `layer` fires by, `[N, ...]` a timestep, into `seen`; returns what ends that."""
    module, running = made.get_submodule(layer), []
    adapter = find(made)[layer]
    enter = module.register_forward_pre_hook(lambda *_: running.append(True))
    leave = module.register_forward_hook(lambda *_: running.pop() and None)

    def look(_, args, result, frame):
        codes = []
        while frame is not None:
            codes.append(frame.f_code)
            frame = frame.f_back
        if running and isinstance(result, torch.Tensor) and adapter.fires(codes):
            seen.append(args[0].detach().double() + torch.as_tensor(adapter.threshold).detach().double())

    stop = functions.watch(look)

    def end():
        stop()
        enter.remove()
        leave.remove()

    return end


def gradients(made):
    return [p.grad.clone() for p in made.parameters() if p.grad is not None]


def check_potentials(read, truth):
    np.testing.assert_allclose(read, truth, rtol=0, atol=1e-6 * max(1, np.abs(truth).max()))


def check_table(table, inside, spikes, carries):
    """Ratios of one layer's rows against masks `[T, N, ...]`; `carries` as of `Adapter.carries`."""
    timesteps = len(inside)
    np.testing.assert_allclose(table["available_ratio"], inside.reshape(timesteps, -1).mean(1))
    np.testing.assert_allclose(table["firing_rate"], spikes.reshape(timesteps, -1).mean(1))
    reach, later = [], np.zeros_like(inside[0])
    for t in reversed(range(timesteps)):
        later = inside[t] | (later & np.where(spikes[t] > 0, carries[1], carries[0]))
        reach.insert(0, later.mean())
    np.testing.assert_allclose(table["reach_ratio"], reach)
