"""`python -m mpdviz`: the command line."""

from importlib import import_module

if __name__ == "__main__":
    # By name: the library itself knows nothing of its command line.
    import_module("mpdviz.cli.main").run()
