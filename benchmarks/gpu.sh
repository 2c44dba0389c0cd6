#!/usr/bin/env bash
# Everything that waits for a CUDA device, measured by one command of at most nine minutes.
#
#     benchmarks/gpu.sh [--rehearse] [FOLDER]
#
# FOLDER (default gpu-results) gets RESULTS.md, a section for benchmarks/RESULTS.md that grows stage by stage, and
# errors.txt with what went to stderr. Each stage has its own limit, and one that fails or is cut leaves what it had printed; the
# command goes on with the next and says at the end which they were, with exit code 1. The cheap and untried
# come first. `--rehearse` runs all of it on the CPU at tiny size.
#
# PYTHON names the interpreter (default: python3, one that has torch). WHEELS names a folder of wheels that are
# to be installed first, beside everything: for a machine without a network.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/gpu/machine.sh"

device=cuda rehearse=
if [ "${1:-}" = --rehearse ]; then
    rehearse=yes device=cpu
    shift
fi
out=${1:-gpu-results}
mkdir -p "$out"
out=$(cd "$out" && pwd)
results=$out/RESULTS.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stand_up "$work" || exit 2
if [ -z "$rehearse" ]; then
    "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
        { echo "gpu.sh: no CUDA device is usable; --rehearse runs all of it on the CPU" >&2; exit 2; }
fi

failed=
# stage NAME SECONDS COMMAND...: its output into the results as it comes, in a block of its own.
stage() {
    local name=$1 limit=$2 code
    shift 2
    printf '\n### %s\n\n```\n' "$name" >> "$results"
    echo "== $name (at most $limit s)"
    (cd "$here" && timeout --kill-after=5 "$limit" "$PYTHON" -u "$@") 2> "$work/said" | tee -a "$results"
    code=${PIPESTATUS[0]}
    printf '```\n' >> "$results"
    if [ "$code" -ne 0 ]; then
        failed="$failed $name"
        if [ "$code" -eq 124 ]; then
            printf '\nCut off after %s s.\n' "$limit" >> "$results"
        else
            printf '\nEnded with code %s: %s\n' "$code" "$(tail -n 1 "$work/said")" >> "$results"
        fi
        tail -n 5 "$work/said"
    fi
    [ ! -s "$work/said" ] || { echo "== $name"; cat "$work/said"; } >> "$out/errors.txt"
}

{
    printf '## benchmarks/gpu.sh%s\n\n' "${rehearse:+ --rehearse}"
    date -u +%Y-%m-%d
    [ -z "$rehearse" ] || printf '\nA rehearsal on the CPU at tiny size: no number in it means anything.\n'
} > "$results"
rm -f "$out/errors.txt"

# Seconds of limits add up to 530.
if [ -z "$rehearse" ]; then
    stage triton 170 gpu/triton_lif.py --repeats 20 --timesteps 2 4 10 --shape 64 128 32 32
    for timesteps in 2 4 10; do
        stage "neurons-$timesteps" 30 \
            neurons.py --device cuda --repeats 20 --timesteps "$timesteps" --shape 64 128 32 32
    done
    stage resnet19 80 networks.py --device cuda --repeats 10 --bf16 --only resnet19 --batch-size 100
    stage vggsnn 70 networks.py --device cuda --repeats 10 --bf16 --only vggsnn --batch-size 32
    stage recording 40 recorder.py --device cuda --repeats 10 --batch-size 32
    stage training 80 training.py --device cuda --repeats 10 --full --recipes
else
    # What is rehearsed is the way: compiling takes most of a minute, and threads that wait for others' cores more.
    export CXX=none OMP_NUM_THREADS=1
    if "$PYTHON" -c 'import triton' 2> "$work/no-triton"; then
        stage triton 300 gpu/triton_lif.py --repeats 1 --timesteps 2 --shape 4 16
    fi
    stage neurons 300 neurons.py --threads 1 --repeats 1 --timesteps 2 --shape 2 4 8 8
    stage resnet19 300 networks.py --threads 1 --repeats 1 --bf16 --only resnet19 --batch-size 2 --slim
    stage vggsnn 300 networks.py --threads 1 --repeats 1 --bf16 --only vggsnn --batch-size 1 --slim
    stage recording 300 recorder.py --threads 1 --repeats 1 --batch-size 1 --timesteps 2 --slim
    stage training 300 training.py --threads 1 --repeats 1
fi
echo "results in $results"
[ -z "$failed" ] || { echo "failed or cut off:$failed" >&2; exit 1; }
