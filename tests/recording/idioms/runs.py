"""Recordings in which a warning is an error, or is kept."""

import contextlib
import warnings

import mpdviz


@contextlib.contextmanager
def recorded(net, **options):
    """A recording that has nothing to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mpdviz.record(net, **options) as mpd:
            yield mpd


@contextlib.contextmanager
def warned(net, **options):
    """A recording, and what it says."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with mpdviz.record(net, **options) as mpd:
            yield mpd, said
