"""The engine of training, Lightning Fabric: which devices a step runs on, how precisely, by how many ranks.

Several ranks compute what one process would: each takes an equal part of every batch, what is computed from
the batch as a whole (tdBN, moving averages of strategies) is computed from all parts, and the gradients are
averaged. In float64 the runs agree to rounding; in float32 a spike flipped by rounding moves them apart.
"""

import gc
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mpdviz.config import RunConfig
from mpdviz.errors import BadInput
from mpdviz.networks import SpikingNetwork
from mpdviz.system.caches import keep_compiled
from mpdviz.system.devices import pick_device
from mpdviz.system.rank import local_world_size, rank, world_size
from mpdviz.system.team import Team, Watch, lost_team, synchronise
from mpdviz.training.objective import Objective
from mpdviz.training.targets import labels

PATIENCE = 20
"""Seconds after which this process has not noticed by itself that another has died."""


class Gradients(NamedTuple):
    """What a batch gave, over all ranks and pieces."""

    loss: float
    """What is minimised, the penalty included."""
    penalty: float
    """The regulariser's part of it; 0 where there is no regulariser."""
    correct: int
    norm: float
    """Length of the gradient, before clipping; 0 where float16 scales it and skips what overflows."""


class Engine:
    """Gradients and steps of one network, by this process as one of `team`."""

    def __init__(self, config: RunConfig) -> None:
        """Find the devices; no process is started yet.

        Raises:
            BadInput: no such device, fewer devices than asked for, a batch that does not divide among ranks
                and pieces, a precision that the device does not have, or no such loss or regulariser.
        """
        self.objective = Objective(config)
        device = pick_device(config.device)
        size = _size(config, device)
        if config.batch_size % (size * config.accumulate):
            parts = {"processes": size, "pieces": config.accumulate}
            among = " and ".join(f"{count} {what}" for what, count in parts.items() if count > 1)
            raise BadInput(
                f"`batch_size` {config.batch_size} does not divide among {among}",
                f"choose a multiple of {size * config.accumulate}",
            )
        if config.precision == "16-mixed" and device.type == "cpu":
            raise BadInput("`precision` 16-mixed needs a GPU", "choose bf16-mixed or 32")
        # Here, not above: it takes half a second that only training needs.
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        here = local_world_size(size)
        self._fabric = Fabric(
            accelerator=device.type,
            devices=here if device.index is None or device.type == "cpu" else [device.index],
            num_nodes=size // here,
            precision=config.precision,
            # torchrun or this process starts the others: a cluster's own job is to Fabric a team of its own.
            plugins=TorchElasticEnvironment() if TorchElasticEnvironment.detect() else LightningEnvironment(),
            # Batch norms and strategies keep their buffers equal themselves.
            strategy=DDPStrategy(broadcast_buffers=False) if size > 1 else "auto",
        )
        self.team = Team(rank() if size > 1 else 0, size)
        self.device: torch.device = self._fabric.device
        self._watch: Watch | None = None
        self._pieces, self._compile = config.accumulate, config.compile
        self._scales, self._clip = config.precision == "16-mixed", config.clip

    def setup(self, network: SpikingNetwork, optimizer: torch.optim.Optimizer, *, time_major: bool) -> None:
        """Take over `network` and `optimizer`, and start the other processes where they are not there yet.

        Args:
            network: to train.
            optimizer: of its parameters.
            time_major: whether the second axis of a batch counts the samples, not the first.

        Raises:
            TeamLost: another process ended before it could join.
        """
        self._network, self._own_optimizer, self._axis = network, optimizer, int(time_major)
        if self.team.size > 1:
            synchronise(network)
            self.objective.synchronise()
            watch = Watch(self._children, patience=0)
            with lost_team():
                self._fabric.launch()
            watch.end()
            _dismiss_observer()
            self._watch = Watch(self._children, PATIENCE)
        if self._compile:
            keep_compiled()
        module: nn.Module = torch.compile(network, dynamic=False) if self._compile else network  # type: ignore[assignment]
        self._module, self._optimizer = self._fabric.setup(module, optimizer)

    def _children(self) -> list[Any]:
        """The processes that Fabric has started; none where torchrun did."""
        return getattr(getattr(self._fabric.strategy, "launcher", None), "procs", [])

    def close(self) -> None:
        """Leave the team; the engine trains no more."""
        if self._watch is not None:
            self._watch.end()
        if self.team.size > 1 and dist.is_initialized():
            # DDP's reducer would end the group with Python's lock held, which gloo's thread may wait for.
            del self._module
            gc.collect()
            dist.destroy_process_group()

    def part(self, x: Tensor, y: Tensor, piece: int = 0) -> tuple[Tensor, Tensor]:
        """This rank's part of a piece of a batch.

        Args:
            x: the whole batch, `[N, ...]` or time-major `[T, N, ...]`.
            y: its labels `[N]`, or shares of the classes `[N, classes]`.
            piece: which of the pieces that the batch is computed in.

        Returns:
            The same with `N / (ranks * pieces)` samples.
        """
        x, y = x.tensor_split(self._pieces, self._axis)[piece], y.tensor_split(self._pieces)[piece]
        return self.team.part(x, self._axis), self.team.part(y, 0)

    def gradients(self, x: Tensor, y: Tensor) -> Gradients:
        """Leave the gradient of the mean loss of the whole batch `x`, `y` (see `part`) in the parameters."""
        losses, penalties, correct = [], [], 0
        self._optimizer.zero_grad()
        for piece in range(self._pieces):
            own_x, own_y = self.part(x, y, piece)
            with self._fabric.no_backward_sync(self._module, enabled=piece < self._pieces - 1):
                found = self.objective.of(self._network, partial(self._module, own_x), own_y)
                self._fabric.backward(found.total / self._pieces)
            losses.append(found.total.item())
            penalties.append(0.0 if found.penalty is None else found.penalty.item())
            correct += int((found.logits.detach().mean(0).argmax(1) == labels(own_y)).sum())
        mean = [sum(values) / self._pieces for values in (losses, penalties)]
        loss, penalty, correct_of_all = self.team.total(*mean, correct, device=self.device)
        size = self.team.size
        return Gradients(loss / size, penalty / size, int(correct_of_all), self._norm())

    def step(self) -> None:
        """Move the weights along the gradients, clipped where the run asks for it."""
        if self._clip is not None:
            # Whatever is not finite has been noticed, or is float16's to skip.
            self._fabric.clip_gradients(
                self._module, self._optimizer, max_norm=self._clip, error_if_nonfinite=False
            )
        self._optimizer.step()

    def set_lr(self, lr: float) -> None:
        """Step with this learning rate from now on."""
        for group in self._own_optimizer.param_groups:
            group["lr"] = lr

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in the precision of training inside the block."""
        return self._fabric.autocast()

    def state(self) -> dict[str, Any]:
        """What a resumed run needs besides the weights."""
        scaler = {"scaler": self._fabric.strategy.precision.state_dict()} if self._scales else {}
        return {"optimizer": self._own_optimizer.state_dict()} | scaler

    def restore(self, optimizer: Mapping[str, Any], scaler: Mapping[str, Any] | None) -> None:
        """Take back what `state` gave."""
        self._own_optimizer.load_state_dict(dict(optimizer))
        if self._scales and scaler is not None:
            self._fabric.strategy.precision.load_state_dict(dict(scaler))

    def _norm(self) -> float:
        if self._scales:
            return 0.0
        gradients = [p.grad for p in self._network.parameters() if p.grad is not None]
        return torch.nn.utils.get_total_norm(gradients).item()


def _dismiss_observer() -> None:
    """Take away Fabric's watch over the other processes, which kills this one without a word."""
    for thread in threading.enumerate():
        if thread.name == "child-process-observer" and hasattr(thread, "_child_processes"):
            thread._child_processes = []


def _size(config: RunConfig, device: torch.device) -> int:
    """Processes that take part.

    Raises:
        BadInput: more than there are devices, or another number than torchrun started.
    """
    started = world_size()
    size = config.devices or started
    if started not in (1, size):
        raise BadInput(f"`devices` {size} under torchrun with {started} processes", "leave `devices` out")
    there = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    what = "GPUs" if device.type == "cuda" else "CPU cores"
    if device.type not in ("cpu", "cuda"):
        there, what = 1, f"{device.type} devices"
    if local_world_size(size) > there:
        raise BadInput(f"`devices` {size}: there are {there} {what}", f"choose at most {there}")
    if size > 1 and device.index is not None and device.type != "cpu":
        raise BadInput(f"`devices` {size} with `device` {device}", f"choose `device` {device.type}")
    return size
