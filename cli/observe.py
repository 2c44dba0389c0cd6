"""Recording a network over a data set, batch by batch, by one process or several."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mpdviz.errors import BadInput

from .output import console

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from mpdviz.api import Recording
    from mpdviz.data import Dataset
    from mpdviz.system.team import Team

    from .source import Source


def observe(
    network: "Module",
    forward: "Callable[[Tensor], Tensor | None]",
    dataset: "Dataset",
    split: str,
    source: "Source",
    team: "Team",
    check: Callable[[], None],
) -> "tuple[Recording | None, str]":
    """Record `network` over a split of the data.

    Args:
        network: what holds the neurons.
        forward: runs one batch; its logits `[N, K]`, None where it has none.
        dataset: the data.
        split: which part of it.
        source: options.
        team: the processes that share the work.
        check: called before the work starts.

    Returns:
        The recording, None for a process that does not lead, and what it ran over, in words.

    Raises:
        BadInput: the data do not fit the network.
    """
    from dataclasses import replace
    from functools import reduce

    import torch
    import torch.nn.functional as F
    from rich.progress import track

    import mpdviz
    from mpdviz import data
    from mpdviz.accumulations.layer import merge
    from mpdviz.api import Recording
    from mpdviz.kernels.backend import using
    from mpdviz.norm import frozen_statistics
    from mpdviz.system.devices import pick_device

    mpdviz.keep_large_buffers()
    device = pick_device(source.device)
    order = torch.arange(len(dataset.split(split)))[: source.limit]
    batches = data.batches(dataset, split, source.batch_size, order=order)
    network.to(device).train(source.mode == "train")
    terminal = console(stderr=True)
    shown = track(
        enumerate(batches),
        "recording",
        total=-(-len(order) // source.batch_size),
        console=terminal,
        transient=True,
        disable=not (terminal.is_terminal and team.leads),
    )
    correct = samples = judged = 0
    observing = mpdviz.record(
        network,
        gradients=source.gradients,
        what_if=widths(source.what_if),
        epsilon=source.epsilon,
    )
    with (
        using(source.backend),
        torch.set_grad_enabled(source.gradients),
        frozen_statistics(network),
        observing as recording,
    ):
        check()
        for number, (x, y) in shown:
            if not team.takes(number):
                continue
            logits = forward(x.to(device))
            samples += len(y)
            if logits is None or int(y.max()) >= logits.shape[1]:
                if source.gradients:
                    raise BadInput("--gradients: the model's output is no class scores", "leave it out")
                continue
            if source.gradients:
                F.cross_entropy(logits, y.to(device)).backward()
                network.zero_grad()
            correct += int((logits.argmax(1).cpu() == y).sum())
            judged += len(y)
    gathered = team.gather((dict(recording.layers), correct, samples, judged))
    if not team.leads:
        return None, ""
    layers = reduce(merge, (part for part, *_ in gathered if part))
    right, total, all_judged = (
        sum(numbers) for numbers in zip(*(part[1:] for part in gathered), strict=True)
    )
    accuracy = f", accuracy {right / all_judged:.2%}" if all_judged else ""
    whole = Recording(replace(recording.contents, layers=layers))
    return whole, f"{total} samples{accuracy}"


def widths(text: str | None) -> tuple[float, ...]:
    """Widths written as `0.5,1,2`.

    Raises:
        BadInput: not numbers.
    """
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise BadInput(f"--what-if {text}", "give widths like 0.5,1,2") from None
