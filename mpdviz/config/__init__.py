"""Validated settings of a run: every value is checked before any work starts."""

from mpdviz.config.own import check_code, is_own
from mpdviz.config.reading import read_recipe, recipes, validate
from mpdviz.config.run import MOST_TIMESTEPS, RunConfig, differences, role

__all__ = [
    "MOST_TIMESTEPS",
    "RunConfig",
    "check_code",
    "differences",
    "is_own",
    "read_recipe",
    "recipes",
    "role",
    "validate",
]
