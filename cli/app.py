"""The `mpdviz` command itself; `main` gives it its subcommands."""

import typer

app = typer.Typer(
    name="mpdviz",
    help="Do my spiking neurons still get a gradient, and if not, where, when and why?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
