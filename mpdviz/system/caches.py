"""Where what is compiled is kept: a folder of the user's own, not one of a name that others can foresee."""

import os
from pathlib import Path

import platformdirs

COMPILERS = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
"""Variables that name the folders, which torch puts into the shared temporary one otherwise."""
HEADERS = "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"
"""Whether torch keeps compiled headers, which always go into the shared temporary folder."""


def user_cache() -> Path:
    """The user's cache folder; it may not exist yet."""
    return Path(platformdirs.user_cache_path("mpdviz"))


def keep_compiled() -> None:
    """Let torch's compilers keep what they make there, unless the user has said where."""
    for variable, name in COMPILERS.items():
        os.environ.setdefault(variable, str(user_cache() / name))
    os.environ.setdefault(HEADERS, "0")
