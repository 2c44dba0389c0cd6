"""Recording a network against running it bare: VGGSNN in evaluation mode on frames of about 20 % ones.

Its batch norms are settled by one forward pass, so that its layers spike. Wiring is read and the scan
compiled before timing starts: the times are those of every later batch.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

import mpdviz
from mpdviz import networks
from mpdviz.bench import timing
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
    before, meter.COMPILE_AFTER = meter.COMPILE_AFTER, -1
    try:
        bare = network(x)
        with mpdviz.record(network) as mpd:
            assert torch.equal(network(x), bare), "recording changes the output"
            network(x)
        runs: timing.Contenders = {
            "bare": partial(network, x),
            "recorded": partial(_recorded, network, x, mpd),
        }
        times = timing.alternate(runs, repeats, device=x.device)
    finally:
        meter.COMPILE_AFTER = before
    return timing.rows(case, times, times["bare"]), mpd


def _recorded(network: SpikingNetwork, x: Tensor, mpd: LiveRecording) -> None:
    # The same recording goes on, so that its wiring is known and its scan compiled.
    mpd._recorder.attach()
    try:
        network(x)
    finally:
        mpd._recorder.detach()
