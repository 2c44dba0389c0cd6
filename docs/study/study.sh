#!/usr/bin/env bash
# Makes the runs that docs/findings.md reports:
#
#     bash docs/study/study.sh WORK CIFAR      # WORK is for the runs, CIFAR holds cifar-10-batches-bin
#
# One thread a run, JOBS runs side by side (default 2). What is finished is skipped: give the command again after an
# interruption. `PART=gamma bash docs/study/study.sh ...` makes one part alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
for part in ${PART:-fashion gamma cifar10 decay}; do
	data=()
	[ "$part" != cifar10 ] || data=(--data-dir "$2")
	mpdviz compare --arms "$here/$part.toml" --grid lr=0.03,0.1,0.3 --grid-seeds 0-1 --seeds 0-4 \
		--jobs "${JOBS:-2}" --out "$1/$part" "${data[@]}"
done
