"""`mpdviz check`: judge a recording; exit code 1 if anything fails, for use in CI pipelines."""

from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mpdviz.errors import unknown_name

from .options import takes
from .output import console, spelled
from .source import Source, prepared, record

if TYPE_CHECKING:
    from mpdviz.analysis.verdicts import Verdict

HELP = """Judge a trained network: starved or saturated layers, silent neurons, silent input, widths that
do not fit, gradients that are not finite. Exit code 1 if a check fails; what was not measured neither
passes nor fails.

CKPT is what `mpdviz inspect` takes. Every limit can be set."""

FORMATS = ("table", "json")
MARKS = {"ok": "[green]ok  [/]", "failed": "[red]FAIL[/]", "not measured": "[yellow]not measured[/]"}


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
    format_: Annotated[str, typer.Option("--format", help="table or json")] = "table",
    limits: Any = None,
) -> int:
    """Record, judge, print; 1 if a check failed."""
    if format_ not in FORMATS:
        raise unknown_name("format", format_, FORMATS)
    import json
    from dataclasses import asdict

    from mpdviz.analysis.limits import Limits

    chosen = Limits(**vars(limits))
    recording = record(source, prepared(source))
    if recording is None:
        return 0
    verdicts = recording.verdicts(chosen)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if format_ == "json":
        rows = [asdict(verdict) | {"passed": verdict.passed} for verdict in verdicts]
        print(json.dumps([{k: None if v != v else v for k, v in row.items()} for row in rows], indent=1))
        return 1 if failed else 0
    for verdict in verdicts:
        if verbose or not verdict.passed:
            limit = "" if verdict.passed else f" (limit {verdict.limit:g})"
            _say(verdict, f"layer {verdict.layer} {verdict.name}", limit)
    unknown = [verdict for verdict in verdicts if verdict.outcome == "not measured"]
    if not verbose:
        _say_unknown(unknown)
    layers = len({verdict.layer for verdict in verdicts})
    measured = len(verdicts) - len(unknown)
    counted = f", {len(unknown)} not measured" if unknown else ""
    console().print(f"{measured - len(failed)} of {measured} checks passed in {layers} layers{counted}")
    return 1 if failed else 0


def _say(verdict: "Verdict", where: str, limit: str = "") -> None:
    said = escape(f"{where}: {verdict.check}: {spelled(verdict.sentence)}{limit}")
    console().print(f"{MARKS[verdict.outcome]} {said}")


def _say_unknown(verdicts: "list[Verdict]") -> None:
    """What was not measured, once a check and reason, with the layers that it is about."""
    alike: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        alike.setdefault((verdict.check, verdict.sentence), []).append(verdict)
    for first, *others in alike.values():
        numbers = ", ".join(str(verdict.layer) for verdict in (first, *others))
        _say(first, f"layer{'s' if others else ''} {numbers}")
