"""A Ray cluster: connected to, what its machines have, and whether they see a folder."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpdviz.compare.executors.process import cores
from mpdviz.errors import BadInput
from mpdviz.system.files import exists

TIMEOUT = 10
"""Seconds for an address to answer: Ray itself tries for minutes, and then ends the process."""
Machines = Sequence[dict[str, Any]]
"""As of `ray.nodes`, those that are there."""


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Ray, connected and quiet inside the block; a connection that the caller has is used and left.

    Raises:
        BadInput: there is no cluster at the address.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a study is nobody else's business
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    before = signal.getsignal(signal.SIGTERM)  # Ray takes its place
    try:
        try:
            ray.init(address=address or "auto", **quiet)
        except ConnectionError:
            if address:
                problem = f"no Ray cluster at `address` {address}"
                raise BadInput(problem, "start one with `ray start --head`, or leave it out") from None
            ray.init(num_cpus=cores(), include_dashboard=False, **quiet)
        yield
    finally:
        ray.shutdown()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _check_answers(address: str) -> None:
    """Refuse an address where nothing listens."""
    if address in ("", "auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    remedy = "give HOST:PORT of a cluster's head, as `ray start --head` says it"
    if not host or not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise BadInput(f"`address` {address!r} is none", remedy)
    try:
        socket.create_connection((host.strip("[]"), int(port)), TIMEOUT).close()
    except (OSError, UnicodeError) as error:
        raise BadInput(f"nothing answers at `address` {address} ({error})", remedy) from None


def check_seen(machines: Machines, mark: Path) -> None:
    """Refuse a cluster of which a machine does not see the study's folder.

    Raises:
        BadInput: naming the machine.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for machine in machines:
        there = NodeAffinitySchedulingStrategy(machine["NodeID"], soft=False)
        task = ray.remote(exists).options(num_cpus=0, scheduling_strategy=there).remote(mark)
        asked[task] = machine["NodeManagerAddress"]
    for task, address in asked.items():
        try:
            seen = ray.get(task)
        except ray.exceptions.RayTaskError as error:
            problem = f"machine {address} of the Ray cluster cannot run mpdviz: {told(error)}"
            raise BadInput(problem, "install the same mpdviz on every machine") from None
        except ray.exceptions.RayError:
            continue  # it has gone, and its runs will go elsewhere
        if not seen:
            problem = f"machine {address} of the Ray cluster does not see {mark.parent}"
            raise BadInput(problem, "choose an `out` on a folder that all its machines share")


def share(machines: Machines, gpus: int) -> int:
    """CPUs that go with so many GPUs: an equal share, on the machine where it is least."""
    shares = [has(one, "CPU") * gpus / has(one, "GPU") for one in machines if has(one, "GPU") >= gpus]
    return max(int(min(shares, default=1)), 1)


def sums(machines: Machines) -> str:
    """What a cluster has, in words."""
    cpus, gpus = (sum(has(machine, what) for machine in machines) for what in ("CPU", "GPU"))
    return f"Ray: {len(machines)} machine{'s' * (len(machines) != 1)}, {cpus:g} CPUs, {gpus:g} GPUs"


def has(machine: dict[str, Any], resource: str) -> float:
    """How much a machine has of CPU or GPU."""
    return float(machine["Resources"].get(resource, 0))


def told(error: BaseException) -> str:
    """The last line of an error of Ray's, which carries a traceback."""
    return next(
        (line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no reason given"
    )
