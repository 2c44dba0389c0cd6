#!/usr/bin/env bash
# Makes the runs that docs/findings.md reports, and docs/figures:
#
#     bash docs/study.sh FOLDER WORK      # FOLDER holds CIFAR-10's data_batch_1.bin, WORK is for the runs
#
# One thread a run, JOBS runs side by side (default 2). What is finished is skipped: give the command again
# after an interruption.
set -euo pipefail
docs=$(cd "$(dirname "$0")" && pwd)
batches=$(cd "$1" && pwd)
mkdir -p "$2"
cd "$2"
export OMP_NUM_THREADS=1
jobs=${JOBS:-2}
widths=fixed:kappa=1,fixed:kappa=0.25,fixed:kappa=0.5,fixed:kappa=2.5,fixed:kappa=5
adaptive=mpd-agl,mpd-agl-reset,observed,lsg,ds-atgo
few=fixed:kappa=1,fixed:kappa=0.5,mpd-agl,mpd-agl-reset,observed

compare() { mpdviz compare --jobs "$jobs" "$@"; }

[ -e cifar10-10k.npz ] || python "$docs/subset.py" "$batches" cifar10-10k.npz
slim=(--data npz:cifar10-10k.npz --model resnet19:encode_channels=8:planes=8-16-32 --timesteps 2)
compare --out cifar10 --strategies "$widths,$adaptive" --seeds 0-2 --epochs 6 "${slim[@]}"

compare --out digits --strategies "$widths,$adaptive" --seeds 0-4
for decay in 0.5 0.9; do compare --out "digits-decay$decay" --strategies $few --seeds 0-2 --decay $decay; done
for gamma in 0.5 2; do compare --out "digits-gamma$gamma" --strategies $few --seeds 0-2 --gamma $gamma; done
compare --out digits-T2 --strategies $few --seeds 0-2 --timesteps 2

# The strategies of a figure have to be told apart by colour, so not all of them are drawn.
for study in cifar10 digits; do
    drawn=()
    for strategy in fixed-kappa=1 fixed-kappa=0.5 mpd-agl mpd-agl-reset observed lsg ds-atgo; do
        drawn+=("$study/runs/$strategy"/seed-*)
    done
    mpdviz figures "${drawn[@]}" --out "figures/$study" --format png
    mkdir -p "$docs/figures/$study"
    cp "figures/$study"/*.png "figures/$study"/*.txt "$docs/figures/$study"
done
python "$docs/tables.py" . > tables.md
echo "tables: $PWD/tables.md"
