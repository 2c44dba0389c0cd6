#!/usr/bin/env bash
# Packs what the runs of the study came to, without weights, so that `mpdviz compare FOLDER` can be asked without training:
#
#     bash docs/study/keep.sh WORK        # into docs/study/results/PART.tar.xz
#     tar -xf docs/study/results/fashion.tar.xz -C FOLDER && mpdviz compare FOLDER/fashion
#
# The study's own command goes on from an unpacked folder, too: runs that are finished stay finished.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/results"
for part in fashion gamma cifar10 decay; do
	[ -d "$1/$part" ] || continue
	# Sorted, without owners and times: the same results make the same file.
	(cd "$1" && find "$part" \( -name comparison.toml -o -name config.toml -o -name result.json -o -name metrics.csv \
		-o -name mpd.csv -o -name environment.json \) -print0 | LC_ALL=C sort -z |
		tar --null --no-recursion --files-from - --owner 0 --group 0 --numeric-owner --mtime @0 --create |
		xz -9e > "$here/results/$part.tar.xz")
done
