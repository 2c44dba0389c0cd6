"""Where numbers first stop being finite in a network, and the end of a run in which they do."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mpdviz.errors import Diverged
from mpdviz.runs.folder import RunFolder
from mpdviz.runs.state import Position
from mpdviz.training.engine import Gradients


class Guard:
    """Ends a run whose numbers are no longer finite."""

    def __init__(self, network: nn.Module, folder: RunFolder) -> None:
        """Guard the training of `network` into `folder`."""
        self._network, self._folder = network, folder

    def check_step(self, found: Gradients, position: Position, x: Callable[[], Tensor]) -> None:
        """Look at what a batch gave: spikes hide a NaN potential as silence, so the loss alone does not tell.

        Args:
            found: loss and gradient.
            position: before the step.
            x: gives this process's part of the batch.

        Raises:
            Diverged: one of them is not finite.
        """
        if math.isfinite(found.loss) and math.isfinite(found.norm):
            return
        penalty = f" of it a penalty of {found.penalty:g}," if found.penalty else ""
        raise self._diverged(
            f"{first_nonfinite(self._network, x())} (step {position.step + 1}, loss {found.loss:g},"
            f"{penalty} gradient norm {found.norm:g})",
            position,
        )

    def check_state(self, position: Position) -> None:
        """Look at weights and statistics, before they are saved.

        Raises:
            Diverged: some are not finite.
        """
        name = nonfinite_state(self._network)
        if name:
            raise self._diverged(name, position)

    def _diverged(self, first: str, position: Position) -> Diverged:
        last = self._folder.last
        kept = f"{last} is from before" if last.exists() else "no checkpoint was written yet"
        return Diverged(
            f"training diverged in epoch {position.epoch + 1}: first non-finite: {first}; {kept}",
            "lower `lr`",
        )


def nonfinite_state(network: nn.Module) -> str:
    """Name of the first weight or running statistic that is not finite; empty where all are.

    A training step can be finite and still leave some that are not.
    """
    state = network.state_dict().items()
    return next((name for name, value in state if not bool(value.isfinite().all())), "")


@torch.no_grad()
def first_nonfinite(network: nn.Module, x: Tensor) -> str:
    """Name the first layer, in execution order, whose output or weights are not finite for input `x`.

    Where the forward pass is finite throughout, the gradient is what overflowed: then the layer whose
    weight gradients are not finite and that runs last is named, since the backward pass starts there.
    Running statistics and gradients stay as they are.
    """
    named: dict[nn.Module, str] = {module: name for name, module in network.named_modules()}
    found: list[str] = []

    def look(module: nn.Module, _: object, output: Tensor) -> None:
        weights = [p for p in module.parameters(recurse=False) if not bool(p.isfinite().all())]
        if weights or not bool(output.isfinite().all()):
            found.append(f"{'weights' if weights else 'output'} of layer {named[module]}")

    leaves = [module for module in network.modules() if not any(module.children())]
    handles = [module.register_forward_hook(look) for module in leaves]
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        network(x)
    finally:
        for handle in handles:
            handle.remove()
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    if found:
        return found[0]
    broken = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all())
    ]
    return f"gradient of {broken[-1]}" if broken else "the loss itself"
