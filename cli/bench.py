"""`mpdviz bench`: the short form of the benchmarks, as one table."""

from typing import TYPE_CHECKING, Annotated

import typer

from mpdviz.errors import BadInput, unknown_name

from .fitted import Column, print_table
from .output import say

if TYPE_CHECKING:
    from mpdviz.bench.timing import Row

HELP = """Time neurons, a training step, recording and the data pipeline here, each against a reference.

WHAT is neurons, networks, recorder or pipeline; all four where it is left out (about a minute). The scripts
in benchmarks/ run the full sizes."""

FORMATS = ("table", "csv")


def bench(
    what: Annotated[str | None, typer.Argument(metavar="[WHAT]", help="one benchmark")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; as many as torch takes")] = None,
    repeats: Annotated[int, typer.Option(help="timed runs of each contender")] = 5,
    format_: Annotated[str, typer.Option("--format", help="table or csv")] = "table",
) -> None:
    """Measure and print."""
    if what is not None and what not in BENCHMARKS:
        raise unknown_name("benchmark", what, BENCHMARKS)
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    for option, value in (("--repeats", repeats), ("--threads", threads)):
        if value is not None and value < 1:
            raise BadInput(f"{option} {value}", "give at least 1")
    import torch

    from mpdviz.bench import timing

    if threads is not None:
        torch.set_num_threads(threads)
    say(f"{timing.machine()}, medians of {repeats} runs in turn")
    rows: list[Row] = []
    for name in [what] if what is not None else BENCHMARKS:
        say(f"{name} ...")
        rows += BENCHMARKS[name](repeats)
    if format_ == "csv":
        import pandas as pd

        print(pd.DataFrame(rows).to_csv(index=False), end="")
        return
    _print(rows)


def _neurons(repeats: int) -> "list[Row]":
    from mpdviz.bench import neurons

    return neurons.compare([(4, 8, 128, 32, 32), (10, 4, 128, 32, 32)], repeats)


def _networks(repeats: int) -> "list[Row]":
    from mpdviz.bench import networks

    contenders = networks.steps("vggsnn", 10, 4, 48, encode_channels=16, planes=(32, 64, 128))
    return networks.compare("slim vggsnn T=10", contenders, repeats)[0]


def _recorder(repeats: int) -> "list[Row]":
    from mpdviz.bench import recorder

    network, x = recorder.settled("vggsnn", 10, 4, encode_channels=32, planes=(64, 128, 256))
    return recorder.compare("recording half vggsnn T=10", network, x, repeats)[0]


def _pipeline(repeats: int) -> "list[Row]":
    from mpdviz.bench import pipeline

    return pipeline.compare("32x32 images, batch 100", "resnet19", pipeline.images(), repeats)


BENCHMARKS = {"neurons": _neurons, "networks": _networks, "recorder": _recorder, "pipeline": _pipeline}


def _print(rows: "list[Row]") -> None:
    cases = [row.case for row in rows]
    starts = [at for at in range(1, len(rows)) if cases[at] != cases[at - 1]]
    columns = [
        Column("case", [case if at in (0, *starts) else "" for at, case in enumerate(cases)], "name"),
        Column("contender", [row.contender for row in rows], "name"),
        Column("median ms", [f"{row.median_ms:.2f}" for row in rows]),
        Column("fastest", [f"{row.fastest_ms:.2f}" for row in rows], keep=1),
        Column("slowest", [f"{row.slowest_ms:.2f}" for row in rows], keep=1),
        Column("ratio", [f"{row.ratio:.2f}x" for row in rows]),
    ]
    print_table(columns, breaks=starts)
