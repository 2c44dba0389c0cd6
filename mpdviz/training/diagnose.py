"""Where numbers first stop being finite in a network."""

import torch
from torch import Tensor, nn


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
