"""Which cases of a test the quick suite runs, and which `make test-thorough` alone."""

import pytest


def thorough_but(quick, values):
    """`values` to parametrize with, of which all but those in `quick` are thorough."""
    return [value if value in quick else pytest.param(value, marks=pytest.mark.thorough) for value in values]
