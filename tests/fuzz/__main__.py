"""Many inputs, until their number or the time is through; `PYTHONPATH=tests python -m fuzz --help`."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a process with threads of its own is not to be forked

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fuzz.harness import Fuzzer
from fuzz.kinds import KINDS


def main():
    """Run, print a table by kind and each distinct fault once; 1 if there is one."""
    given = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="mpdviz-fuzz-")) if given.keep is None else given.keep
    fuzzer, end = Fuzzer(folder, given.seed), time.monotonic() + 60 * given.minutes
    kinds = [kind for kind in KINDS if not given.kind or kind in given.kind]
    rows = {kind: {"inputs": 0, "codes": Counter(), "slowest": (0.0, ""), "faults": 0} for kind in kinds}
    distinct = {}
    for number in range(given.first, given.first + -(-given.inputs // len(kinds))):
        for kind in kinds:
            if time.monotonic() > end:
                break
            outcome = fuzzer.run(kind, number, keep=True)
            _count(rows[kind], outcome)
            for fault in outcome.faults:
                _note(distinct.setdefault((kind, _shape(fault)), []), fault, outcome, folder)
    _print(rows, distinct, folder)
    return 1 if distinct else 0


def _arguments():
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="at most")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only these; may be repeated")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    parser.add_argument(
        "--keep", type=Path, help="new folder for inputs with faults (default: a temporary one)"
    )
    return parser.parse_args()


def _count(row, outcome):
    row["inputs"] += 1
    row["codes"]["time" if outcome.status is None else outcome.status] += 1
    row["slowest"] = max(row["slowest"], (outcome.seconds, outcome.name))
    row["faults"] += bool(outcome.faults)


def _note(seen, fault, outcome, folder):
    if not seen:
        print(f"{outcome.name}: {fault}\n    {outcome}", file=sys.stderr, flush=True)
    seen.append((fault, outcome, folder / outcome.name))


def _shape(fault):
    """A fault without what differs from input to input."""
    return re.sub(r"'[^']*'|-?\d+(\.\d+)?(e[+-]?\d+)?", "_", fault)


def _print(rows, distinct, folder):
    print(f"{'kind':12} {'inputs':>6} {'faults':>6}  exit codes; slowest")
    for kind, row in rows.items():
        seconds, name = row["slowest"]
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(row["codes"].items(), key=str))
        print(f"{kind:12} {row['inputs']:6} {row['faults']:6}  {codes}; {seconds:.1f} s, {name}")
    for (kind, _), seen in sorted(distinct.items()):
        fault, outcome, place = min(seen, key=lambda found: len(str(found[1])))
        print(f"\n{kind}, {len(seen)} times: {fault}\n    {outcome}\n    {place}")
    print(f"\n{len(distinct)} distinct faults; what found them is in {folder}")


if __name__ == "__main__":
    sys.exit(main())
