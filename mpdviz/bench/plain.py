"""What one writes first: a loop of autograd operations over timesteps, batch norm by hand.

The loop computes the spikes of `mpdviz.kernels.eager` bit for bit; each step's spikes go into one output by
a slice write, whose backward copies the whole output's gradient once a step.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mpdviz.networks.base import SpikingNetwork
from mpdviz.norm import TDBatchNorm1d, TDBatchNorm2d


class PlainSpike(torch.autograd.Function):
    """1[x >= 0] with the rectangular surrogate of width kappa."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kappa: Tensor) -> Tensor:
        """Spikes of one step."""
        ctx.save_for_backward(x, kappa)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """The surrogate's gradient."""
        x, kappa = ctx.saved_tensors
        return grads[0] * (x.abs() < kappa / 2).to(x.dtype) / kappa, None


class PlainLIF(nn.Module):
    """The LIF neuron as a loop; autograd finds its way back, through the reset too."""

    def __init__(self, decay: float = 0.2, v_th: float = 0.5) -> None:
        """The constants of `mpdviz.neurons.LIF`."""
        super().__init__()
        self.decay, self.v_th = decay, v_th

    def forward(
        self,
        current: Tensor,
        kappa: Tensor | None = None,
        v_th: Tensor | None = None,
        shape: object = None,
    ) -> Tensor:
        """Spikes `[T, ...]` of the current; `kappa` `[T]` or 1; `v_th` `[T]` or its own."""
        widths = current.new_ones(len(current)) if kappa is None else kappa
        thresholds = current.new_full((len(current),), self.v_th) if v_th is None else v_th
        spikes = torch.empty_like(current)
        v, s = torch.zeros_like(current[0]), torch.zeros_like(current[0])
        for t in range(len(current)):
            v = self.decay * v * (1 - s) + current[t]
            s = PlainSpike.apply(v - thresholds[t], widths[t])  # type: ignore[no-untyped-call]
            spikes[t] = s
        return spikes


class PlainNorm(nn.Module):
    """tdBN in training mode, written as its formula."""

    def __init__(self, norm: TDBatchNorm1d | TDBatchNorm2d) -> None:
        """The parameters and buffers of `norm`."""
        super().__init__()
        self.weight, self.bias, self.frozen = norm.weight, norm.bias, False
        self.scale, self.eps, self.momentum = norm.alpha * norm.v_th, norm.eps, norm.momentum
        self.running_mean, self.running_var = norm.running_mean.clone(), norm.running_var.clone()

    def factors(self, timesteps: int) -> None:
        """It is the same at every timestep."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `[T, N, C, ...]` over all but the channels."""
        axes = [axis for axis in range(x.dim()) if axis != 2]
        shape = [-1 if axis == 2 else 1 for axis in range(x.dim())]
        mean = x.mean(axes)
        var = ((x - mean.view(shape)) ** 2).mean(axes)
        with torch.no_grad():
            count = x.numel() // len(mean)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        normal = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
        return self.weight.view(shape) * self.scale * normal + self.bias.view(shape)


def plain_build(network: SpikingNetwork) -> SpikingNetwork:
    """A copy of a LIF network with the same weights, its neurons plain loops, its batch norms by hand."""
    plain = copy.deepcopy(network)
    for _, layer in plain.spiking_layers():
        layer.neuron = PlainLIF(layer.neuron.decay_value, layer.neuron.v_th)  # type: ignore[assignment]
        assert isinstance(layer.norm, TDBatchNorm1d | TDBatchNorm2d)
        layer.norm = PlainNorm(layer.norm)  # type: ignore[assignment]
    return plain
