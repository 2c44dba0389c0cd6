#!/usr/bin/env bash
# The paper's ResNet-19 on CIFAR-10 (T = 2, 150 epochs; Jiang et al. report 96.18 %) in pieces of nine minutes, on
# machines that keep nothing: each call goes on where the last one stopped.
#
#     benchmarks/cifar10_gpu.sh [--seconds N] [--run DIR] [--state DIR] [--data DIR] [--send A-B DIR]
#                               [--rehearse] [-- SETTINGS]
#
# Joins the state of --state (default cifar10-state) into --run (default runs/cifar10-gpu) unless the run is there
# already; trains until --seconds (default 520) have gone by, when the run is interrupted and saves; and splits the
# run into files of 15 MiB and their SHA-256 in --state. The state is about 150 MB (weights, momentum and the best
# checkpoint), so where less than that may travel at once, --send 1-4 DIR copies the files 1 to 4 and the list, and
# further calls with `--seconds 0 --send 5-8 DIR` the others; coming back, a call says which files are missing yet.
#
# --data (default ../shared/data) is a folder with cifar10_jpeg.npz and unpack_cifar10.py: all 60,000 images, each of
# which went once through JPEG. SETTINGS go to `mpdviz train`, and to the first call alone matter. --rehearse
# trains a tiny network on noise by the CPU for two calls, the first run's folder deleted between them, and checks
# that the second went on from the first. PYTHON and WHEELS are those of gpu.sh.
set -u
started=$SECONDS
here=$(cd "$(dirname "$0")" && pwd)
. "$here/gpu/machine.sh"

seconds=520 run=runs/cifar10-gpu state=cifar10-state data=../shared/data size=15M
send= to= rehearse=
settings=(--recipe cifar10 --save-every 200)
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=$2; shift 2 ;;
        --run) run=$2; shift 2 ;;
        --state) state=$2; shift 2 ;;
        --data) data=$2; shift 2 ;;
        --send) send=$2 to=$3; shift 3 ;;
        --rehearse) rehearse=yes; shift ;;
        --) shift; settings+=("$@"); break ;;
        *) echo "cifar10_gpu.sh: unknown option $1; the head of the script tells them" >&2; exit 2 ;;
    esac
done

# join: the run's folder from the files of the state, where it is not here yet.
join() {
    [ ! -e "$run/checkpoints/last.pt" ] && [ -e "$state/SHA256SUMS" ] || return 0
    (cd "$state" && sha256sum --check --quiet SHA256SUMS) ||
        { echo "cifar10_gpu.sh: files of $state are missing or damaged; bring them, then again" >&2; return 2; }
    mkdir -p "$run"
    cat "$state"/run.tar.[0-9][0-9] | tar -xf - -C "$run"
    echo "joined $(wc -l < "$state/SHA256SUMS") files"
}

# train: until the time is up; 0 finished, 130 interrupted and saved.
train() {
    local left=$((seconds - (SECONDS - started))) code
    [ "$left" -gt 0 ] || { echo "cifar10_gpu.sh: no time is left to train; give more --seconds" >&2; return 2; }
    timeout --signal=INT --kill-after=30 --preserve-status "$left" \
        "$PYTHON" -m mpdviz train --out "$run" --resume "${settings[@]}" > "$work/said" 2>&1
    code=$?
    tail -n 3 "$work/said"
    [ "$code" -eq 0 ] || [ "$code" -eq 130 ]
}

# part: the run's folder as files that may travel; the old ones stay until the new ones are whole.
part() {
    rm -rf "$state.new"
    mkdir -p "$state.new"
    tar -cf - -C "$run" . | split -b "$size" -d -a 2 - "$state.new/run.tar."
    (cd "$state.new" && sha256sum run.tar.* > SHA256SUMS) || return
    rm -rf "$state"
    mv "$state.new" "$state"
}

# far: what the run has done.
far() {
    "$PYTHON" - "$run" "$images" <<'SAY'
import sys
from pathlib import Path
import pandas as pd
run, images = Path(sys.argv[1]), sys.argv[2]
table = pd.read_csv(run / "metrics.csv") if (run / "metrics.csv").exists() else pd.DataFrame()
if table.empty:
    sys.exit("no epoch is finished yet")
best = table.loc[table["val_accuracy"].idxmax()]
print(
    f"{len(table)} epochs, the last in {table['seconds'].iloc[-1]:.1f} s; best validation accuracy "
    f"{best['val_accuracy']:.2%} after epoch {int(best['epoch'])}, on {images}"
)
SAY
    echo "state: $(wc -l < "$state/SHA256SUMS") files in $state"
}

# sent: the files A to B of the state, with the list of all.
sent() {
    local number file
    mkdir -p "$to"
    cp "$state/SHA256SUMS" "$to/"
    for number in $(seq "${send%-*}" "${send#*-}"); do
        file=$state/run.tar.$(printf %02d $((number - 1)))
        [ ! -e "$file" ] || cp "$file" "$to/"
    done
}

call() {
    join || return
    if [ "$seconds" -gt 0 ]; then
        train || return
        part || return
    fi
    far
    [ -z "$send" ] || sent
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stand_up "$work" || exit 2
if [ -z "$rehearse" ]; then
    folder=$(dirname "$run")/cifar10-jpeg images="images that went once through JPEG: not the published data"
    [ -e "$folder/cifar-10-batches-bin/test_batch.bin" ] || [ "$seconds" -eq 0 ] ||
        "$PYTHON" "$data/unpack_cifar10.py" "$folder" || exit 2
    settings+=(--data-dir "$folder")
    call
    exit
fi

export OMP_NUM_THREADS=1
seconds=60 run=$work/run state=$work/state size=100K images=noise
"$PYTHON" - "$work/noise.npz" <<'MAKE' || exit
import sys
import numpy as np
x = np.random.default_rng(0).standard_normal((40, 3, 16, 16), dtype=np.float32)
np.savez(sys.argv[1], x=x, y=np.arange(40) % 10)
MAKE
settings+=(--data "npz:$work/noise.npz" --no-auto-augment --device cpu --backend eager --epochs 100000)
settings+=(--batch-size 16 --model resnet19:encode_channels=4:planes=4-4-8:hidden=8)
echo "rehearsal: noise and a tiny network on the CPU"
call || exit
cp "$run/metrics.csv" "$work/before.csv"
rm -rf "$run"
started=$SECONDS
call || exit
lines=$(wc -l < "$work/before.csv")
[ "$lines" -gt 1 ] && head -n "$lines" "$run/metrics.csv" | cmp - "$work/before.csv" &&
    [ "$(wc -l < "$run/metrics.csv")" -gt "$lines" ] && [ "$(wc -l < "$state/SHA256SUMS")" -gt 1 ] ||
    { echo "cifar10_gpu.sh: the second call did not go on from the first" >&2; exit 1; }
echo "the second call went on from the first: $((lines - 1)) epochs, then $(($(wc -l < "$run/metrics.csv") - 1))"
