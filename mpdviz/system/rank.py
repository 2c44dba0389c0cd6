"""Which of several processes this one is; without torch, for a command line that must answer at once."""

import os


def rank() -> int:
    """This process's number among those that torchrun or Lightning Fabric started; 0 where neither did."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))
