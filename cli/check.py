"""`mpdviz check`: judge a recording; exit code 1 if anything fails, for use in CI pipelines."""

import json
from dataclasses import asdict, fields, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpdviz.errors import unknown_name

from .completion import names
from .options import takes
from .output import note
from .source import Source, prepared, record, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpdviz.analysis.verdicts import Verdict

HELP = """Judge a trained network: starved or saturated layers, silent neurons, silent input, widths that
do not fit, gradients that are not finite. Exit code 1 if a check fails; what was not measured neither
passes nor fails.

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
    verbose: Annotated[bool, typer.Option("--verbose", help="every check of every layer")] = False,
    format_: Annotated[
        str, typer.Option("--format", help="table or json", autocompletion=names(FORMATS))
    ] = "table",
    limits: Any = None,
) -> int:
    """Record, judge, print; 1 if a check failed."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    from mpdviz.analysis.limits import Limits

    chosen = Limits(**vars(limits))
    inspection = prepared(source)
    recording = record(source, inspection)
    if recording is None:
        return 0
    verdicts = recording.verdicts(chosen)
    if format_ == "json":
        _as_json(verdicts)
    else:
        from . import judged

        judged.show(recording, verdicts, chosen, verbose=verbose)
    for line in told(source, inspection):
        note("", line)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _as_json(verdicts: "Sequence[Verdict]") -> None:
    rows = [asdict(verdict) | {"passed": verdict.passed} for verdict in verdicts]
    print(json.dumps([{k: None if v != v else v for k, v in row.items()} for row in rows], indent=1))
