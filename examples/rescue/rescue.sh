#!/usr/bin/env bash
# Three networks that train badly: found, advised, and the remedies trained against them; README.md tells what
# came of it.
#
#     bash examples/rescue/rescue.sh WORK      # a folder for runs and results; some 35 minutes on two cores
#
# What is finished is skipped: give the command again after an interruption.
set -euo pipefail
mkdir -p "$1"
cd "$1"
export OMP_NUM_THREADS=1

rescue() {
    local name=$1 grid=$2
    shift 2
    mkdir -p "$name"
    [ -e "$name/trained" ] || mpdviz train "$@" --epochs 10 --out "$name/trained"
    mpdviz check "$name/trained" > "$name/check.txt" || [ $? -eq 1 ]
    mpdviz advise "$name/trained" --out "$name/advice.toml" > "$name/advice.txt"
    mpdviz compare --arms "$name/advice.toml" --grid "lr=$grid" --seeds 0-4 --jobs 2 --out "$name/study" \
        > "$name/comparison.txt"
    mpdviz figures "$name/study" --out "$name/figures" --format png
    mpdviz report "$name/study" --out "$name/report.html"
}

rescue default 0.1,0.3,1 --strategy fixed:shape=fast-sigmoid
rescue starved 0.03,0.1,0.3 --strategy mpd-agl --gamma 0.25
rescue wide 0.03,0.1,0.3 --strategy fixed:kappa=10
