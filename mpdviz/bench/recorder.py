"""Recording a network against running it bare: VGGSNN in evaluation mode on frames of about 20 % ones.

Its batch norms are settled by one forward pass, so that its layers spike. Wiring is read and the scan
compiled before timing starts: the times are those of every later batch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

import mpdviz
from mpdviz import networks
from mpdviz.bench import timing
from mpdviz.bench.networks import Step
from mpdviz.kernels import backends
from mpdviz.live import LiveRecording
from mpdviz.networks.base import SpikingNetwork
from mpdviz.norm import TDBatchNorm2d
from mpdviz.recording.measure import meter


def settled(
    name: str, timesteps: int, batch_size: int, *, device: torch.device = timing.CPU, **options: Any
) -> tuple[SpikingNetwork, Tensor]:
    """A network in evaluation mode whose batch norms know its input, and that input."""
    torch.manual_seed(0)
    network = networks.build(name, strategy="mpd-agl", timesteps=timesteps, num_classes=10, **options)
    shape = [size or 8 for size in network.sample_shape]
    frames = (torch.rand(timesteps, batch_size, *shape) < 0.2).float().to(device)
    network.to(device)
    norms = [module for module in network.modules() if isinstance(module, TDBatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network(frames)
    for norm in norms:
        norm.momentum = 0.1
    return network.eval(), frames


@torch.no_grad()
def compare(
    case: str, network: SpikingNetwork, x: Tensor, repeats: int
) -> tuple[list[timing.Row], LiveRecording]:
    """Times of the bare forward and of the recorded one, and the recording.

    Raises:
        AssertionError: recording changes the output.
    """
    bare = network(x)
    with scanned(), mpdviz.record(network) as mpd:
        assert torch.equal(network(x), bare), "recording changes the output"
    times = _times(partial(network, x), mpd, repeats, x.device)
    return timing.rows(case, times, times["bare"]), mpd


def training(case: str, network: SpikingNetwork, x: Tensor, repeats: int) -> list[timing.Row]:
    """Times of a bare training step and of a recorded one, on the backend for long runs."""
    step = Step(network, x, torch.arange(x.shape[1]) % 10, backends.best(x.device.type))
    step()
    with scanned(), mpdviz.record(network) as mpd:
        step()
    times = _times(step, mpd, repeats, x.device)
    return timing.rows(case, times, times["bare"])


def _times(
    run: Callable[[], object], mpd: LiveRecording, repeats: int, device: torch.device
) -> dict[str, list[float]]:
    # The same recording goes on, so that its wiring is known and its scan compiled.
    @contextmanager
    def going_on() -> Iterator[None]:
        mpd._recorder.attach()
        try:
            yield
        finally:
            mpd._recorder.detach()

    with scanned():
        with going_on():
            run()
        runs: timing.Contenders = {"bare": run, "recorded": run}
        return timing.alternate(runs, repeats, {"recorded": going_on}, device=device)


@contextmanager
def scanned(always: bool = True) -> Iterator[None]:
    """Measure by the compiled scans from the first potential on, or never."""
    before = meter.SCAN_AFTER, meter.SCAN_SOON_AFTER
    meter.SCAN_AFTER = meter.SCAN_SOON_AFTER = 0 if always else 1 << 62
    try:
        yield
    finally:
        meter.SCAN_AFTER, meter.SCAN_SOON_AFTER = before
