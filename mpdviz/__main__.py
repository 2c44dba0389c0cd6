"""`python -m mpdviz`: the command line."""

from mpdviz.cli.main import run

if __name__ == "__main__":
    run()
