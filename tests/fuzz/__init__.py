"""A seeded fuzzer of the command line: whatever it is given, it ends soon, in one line, harming nothing.

`make test` runs a few inputs of every kind (`test_fuzz.py`); `PYTHONPATH=tests python -m fuzz` runs many.
"""
