"""`mpdviz check`: judge a recording; exit code 1 if anything fails, for use in CI pipelines."""

from dataclasses import fields, make_dataclass
from typing import Annotated, Any

import typer

from mpdviz.errors import unknown_name

from .options import takes
from .output import console
from .source import Source, prepared, record

HELP = """Judge a trained network: starved or saturated layers, silent neurons, silent input, widths that
do not fit. Exit code 1 if a check fails.

CKPT is what `mpdviz inspect` takes. Every limit can be set."""

FORMATS = ("table", "json")


def _limits() -> type:
    # The limits' names, defaults and meanings are the library's; reading them takes pandas, not torch.
    from mpdviz.analysis.limits import Limits

    options: list[tuple[str, Any, Any]] = [
        (
            limit.name,
            Annotated[
                float, typer.Option(help=limit.metadata["meaning"], metavar="X", rich_help_panel="Limits")
            ],
            limit.default,
        )
        for limit in fields(Limits)
    ]
    return make_dataclass("LimitOptions", options)


LimitOptions = _limits()


@takes(LimitOptions, "limits")
@takes(Source, "source")
def check(
    source: Source,
    verbose: Annotated[bool, typer.Option("--verbose", help="also the checks that passed")] = False,
    format_: Annotated[str, typer.Option("--format", help="table or json")] = "table",
    limits: Any = None,
) -> int:
    """Record, judge, print; 1 if a check failed."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    import json
    from dataclasses import asdict

    from mpdviz.analysis.limits import Limits

    recording = record(source, prepared(source))
    if recording is None:
        return 0
    verdicts = recording.verdicts(Limits(**vars(limits)))
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if format_ == "json":
        rows = [asdict(verdict) for verdict in verdicts]
        print(json.dumps([{k: None if v != v else v for k, v in row.items()} for row in rows], indent=1))
        return 1 if failed else 0
    for verdict in verdicts:
        if verbose or not verdict.passed:
            mark = "[green]ok  [/]" if verdict.passed else "[red]FAIL[/]"
            limit = "" if verdict.passed else f" (limit {verdict.limit:g})"
            console().print(
                f"{mark} layer {verdict.layer} {verdict.name}: {verdict.check}: {verdict.sentence}{limit}"
            )
    layers = len({verdict.layer for verdict in verdicts})
    console().print(f"{len(verdicts) - len(failed)} of {len(verdicts)} checks passed in {layers} layers")
    return 1 if failed else 0
