"""What every test shares: where the golden vectors lie, a fixed seed, two threads, repeatable hypothesis."""

import os
import time
from pathlib import Path

import hypothesis
import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")

# torch says some warnings once a process; said always, they fail the test they belong to, in any order.
torch.set_warn_always(True)


@pytest.fixture
def golden() -> Path:
    """Folder of the vectors recorded from the reference implementation (batch-first, see its README)."""
    return GOLDEN


def pytest_runtest_setup() -> None:
    """Skip what would begin after TESTS_UNTIL, in seconds since 1970; CI has a limit to keep."""
    if time.time() > float(os.environ.get("TESTS_UNTIL", "inf")):
        pytest.skip("began after TESTS_UNTIL: the half hour that .ci/run has was used up by a slow machine")


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.set_num_threads(2)
    torch.manual_seed(0)
