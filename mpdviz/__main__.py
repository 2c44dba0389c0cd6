"""`python -m mpdviz`: the command line."""

import sys
from importlib import import_module

if __name__ == "__main__":
    # Python has put the working folder first: what lies there is not to stand in for a library.
    if not sys.flags.safe_path:
        del sys.path[0]
    # By name: the library itself knows nothing of its command line.
    import_module("mpdviz.cli.entry").run()
