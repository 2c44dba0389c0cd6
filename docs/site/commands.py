"""The command line as a click command, for mkdocs-click."""

import typer
from mpdviz.cli.main import app

mpdviz = typer.main.get_command(app)
