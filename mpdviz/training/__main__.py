"""A run as a process of its own, as `training.command` starts it: `python -m mpdviz.training OUT SETTINGS`.

SETTINGS are a JSON object. What is in OUT already is continued. Lines on stderr and stdout and exit codes are
those of `mpdviz train`, but that settings stand in backticks.
"""

import json
import os
import sys
import warnings

from mpdviz.errors import BadInput, MpdvizError, MpdvizWarning
from mpdviz.system.failures import told
from mpdviz.system.parent import end_with_parent
from mpdviz.system.rank import rank
from mpdviz.training import prepare
from mpdviz.training.lines import epoch_line, last_line


def main(out: str, settings: str) -> int:
    """Train; the exit code."""
    end_with_parent()
    warnings.simplefilter("ignore")
    warnings.simplefilter("once", MpdvizWarning)
    if sys.flags.safe_path:  # Lightning Fabric starts the other processes of a run without our -P
        os.environ["PYTHONSAFEPATH"] = "1"
    leads = rank() == 0

    def say(line: str) -> None:
        if leads:
            print(line, file=sys.stderr, flush=True)

    try:
        run = prepare(json.loads(settings), out=out, resume=True)
        result = run.fit(on_epoch=lambda row: say(epoch_line(row)))
    except BaseException as error:
        # What ends a run ends it in every process of it; bad input may be one process's alone.
        leads = leads or not isinstance(error, MpdvizError) or isinstance(error, BadInput)
        line, status = told(error)
        say(f"mpdviz: {line}")
        return status
    if leads:
        print(last_line(run.config, result))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
