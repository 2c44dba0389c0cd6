"""Ways to watch the potentials of a SpikingJelly network: what a forward costs, what is kept after many.

Each way is a context manager around any number of forwards, which gives a function for what is held so far.
SpikingJelly's nodes show their potentials after the reset; mpdviz reads them before it.
"""

import gc
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import mpdviz
from mpdviz.bench import foreign, timing

BINS, LOW, HIGH = 64, -3.0, 3.0
"""Of the histograms that a hook adds up."""

Held = Callable[[], int]
"""Bytes kept so far."""
Way = Callable[[nn.Module], AbstractContextManager[Held]]


class Kept(NamedTuple):
    """What a way keeps after so many forwards."""

    way: str
    held: dict[int, int]
    """Bytes, by number of forwards."""


def nodes(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """SpikingJelly's neurons of a network, by name."""
    from spikingjelly.activation_based import neuron

    return [(name, node) for name, node in net.named_modules() if isinstance(node, neuron.BaseNode)]


def held(*roots: object) -> int:
    """Bytes of all tensors and arrays that can be reached, each storage once, networks and code apart."""
    storages: dict[int, int] = {}
    seen: set[int] = set()
    alive: list[object] = []  # what is made on the way must not give its id to another
    queue: list[object] = list(roots)
    while queue:
        one = queue.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        alive.append(one)
        if isinstance(one, Tensor):
            storage = one.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(one, np.ndarray):
            whole = one
            while isinstance(whole.base, np.ndarray):
                whole = whole.base
            storages[whole.ctypes.data] = whole.nbytes
        elif isinstance(one, FunctionType):
            queue += [one.__closure__, one.__defaults__]
        elif not isinstance(one, (nn.Module, ModuleType, type, BuiltinFunctionType)) and not _compiled(one):
            queue += gc.get_referents(one)
    return sum(storages.values())


def _compiled(one: object) -> bool:
    return type(one).__module__.partition(".")[0] in {"numba", "llvmlite", "torch"}


@contextmanager
def _whole(net: nn.Module) -> Iterator[None]:
    """The nodes keep the potentials of all timesteps of a forward, as `v_seq`."""
    every: list[Any] = [node for _, node in nodes(net)]
    for node in every:
        node.store_v_seq = True
    try:
        yield
    finally:
        for node in every:
            node.store_v_seq = False


@contextmanager
def bare(net: nn.Module) -> Iterator[Held]:
    """Nothing is watched."""
    yield lambda: 0


@contextmanager
def attribute_v(net: nn.Module) -> Iterator[Held]:
    """SpikingJelly's monitor of `v`: the last timestep of each forward."""
    from spikingjelly.activation_based import monitor, neuron

    with monitor.AttributeMonitor("v", pre_forward=False, net=net, instance=neuron.BaseNode) as seen:
        yield lambda: held(seen.records)
    seen.clear_recorded_data()


@contextmanager
def attribute_v_seq(net: nn.Module) -> Iterator[Held]:
    """SpikingJelly's monitor of `v_seq`: every timestep."""
    with foreign.v_seq_kept(net) as records:
        yield lambda: held(records)


@contextmanager
def hooked(net: nn.Module, look: Callable[[str, Tensor], None]) -> Iterator[None]:
    """A forward hook on each node, which looks at its `v_seq`."""

    def hook(node: Any, args: object, out: object, *, name: str) -> None:
        look(name, node.v_seq)

    with _whole(net), ExitStack() as handles:
        for name, node in nodes(net):
            handles.callback(node.register_forward_hook(partial(hook, name=name)).remove)
        yield


@contextmanager
def histc(net: nn.Module) -> Iterator[Held]:
    """The few lines that one writes by hand: `torch.histc` of each layer and timestep, added up."""
    sums: dict[tuple[str, int], Tensor] = {}

    def look(name: str, v_seq: Tensor) -> None:
        for t, v in enumerate(v_seq):
            counts = torch.histc(v, BINS, LOW, HIGH)
            sums[name, t] = sums[name, t] + counts if (name, t) in sums else counts

    with hooked(net, look):
        yield lambda: held(sums)


@contextmanager
def tensorboard(net: nn.Module) -> Iterator[Held]:
    """`SummaryWriter.add_histogram` of each layer, a step a forward; what is held is its file."""
    from torch.utils.tensorboard import SummaryWriter

    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        steps: dict[str, int] = {}

        def look(name: str, v_seq: Tensor) -> None:
            steps[name] = steps.get(name, -1) + 1
            writer.add_histogram(name, v_seq, steps[name])

        def size() -> int:
            writer.flush()
            return sum(path.stat().st_size for path in Path(folder).iterdir())

        with hooked(net, look):
            yield size


@contextmanager
def neurobench(net: nn.Module) -> Iterator[Held]:
    """NeuroBench's hooks, which keep inputs and outputs of one forward, and its share of zeros.

    They see potentials in snnTorch's neurons alone, so that its MembraneUpdates is 0 here.
    """
    from neurobench.hooks.neuron import NeuronHook
    from neurobench.metrics.workload import ActivationSparsity

    hooks = [NeuronHook(node, name) for name, node in nodes(net)]
    model, measure = SimpleNamespace(activation_hooks=hooks), ActivationSparsity()
    most = 0

    def after(*_: object) -> None:
        nonlocal most
        measure(model, None, None)
        if most == 0:  # the first forward, which is not timed, stands for all
            most = held(*((one.activation_inputs, one.activation_outputs) for one in hooks))
        for one in hooks:
            one.reset()

    handle = net.register_forward_hook(after)
    try:
        yield lambda: most
    finally:
        handle.remove()
        for one in hooks:
            one.close()


@contextmanager
def recorded(net: nn.Module) -> Iterator[Held]:
    """`mpdviz.record`."""
    with mpdviz.record(net) as mpd:
        yield lambda: held(mpd._recorder)


WAYS: dict[str, tuple[Way, str | None]] = {
    "bare": (bare, None),
    "AttributeMonitor v": (attribute_v, None),
    "AttributeMonitor v_seq": (attribute_v_seq, None),
    "torch.histc by hand": (histc, None),
    "add_histogram": (tensorboard, "tensorboard"),
    "NeuroBench sparsity": (neurobench, "neurobench"),
    "mpdviz.record": (recorded, None),
}
"""Each with the package it needs besides SpikingJelly."""


def usable() -> dict[str, Way]:
    """Those whose packages are here."""
    return {name: way for name, (way, needs) in WAYS.items() if needs is None or find_spec(needs) is not None}


def build(size: str, timesteps: int, batch_size: int) -> tuple[nn.Module, Callable[[], Any]]:
    """SpikingJelly's network of `mpdviz.bench.foreign` in evaluation mode, and its forward from rest."""
    torch.manual_seed(0)
    net, _, run = foreign.spikingjelly(size, timesteps, batch_size)
    net.eval()
    return net, run


@torch.no_grad()
def times(size: str, *, timesteps: int, batch_size: int, repeats: int) -> list[timing.Row]:
    """Milliseconds of a forward watched each way, on a network of its own that has seen two before.

    Raises:
        AssertionError: watching changes the output.
    """
    runs: timing.Contenders = {}
    within: dict[str, Callable[[], AbstractContextManager[object]]] = {}
    _, run = build(size, timesteps, batch_size)
    expected = run()
    with ExitStack() as watched:
        for name, way in usable().items():
            net, run = build(size, timesteps, batch_size)
            with ExitStack() as entered:
                mpd = entered.enter_context(mpdviz.record(net)) if way is recorded else None
                if mpd is None:
                    watched.enter_context(way(net))
                else:
                    within[name] = partial(foreign.observing, mpd)
                for _ in range(2):
                    assert torch.equal(run(), expected), f"{name} changes the output"
            runs[name] = run
        ms = timing.alternate(runs, repeats, within)
    return timing.rows(f"{size}, T={timesteps}, batch {batch_size}", ms, ms["bare"])


@torch.no_grad()
def kept(size: str, *, timesteps: int, batch_size: int, forwards: list[int]) -> list[Kept]:
    """Bytes that each way holds after so many forwards; of `add_histogram` those of its file."""
    net, run = build(size, timesteps, batch_size)
    table = []
    for name, way in usable().items():
        with way(net) as so_far:
            found, done = {}, 0
            for count in sorted(forwards):
                for _ in range(count - done):
                    run()
                done = count
                found[count] = so_far()
        table.append(Kept(name, found))
    return table
