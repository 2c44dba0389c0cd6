# Read by gpu.sh and cifar10_gpu.sh: mpdviz from this working tree on a machine where nobody installed it.

PYTHON=${PYTHON:-python3}

# stand_up FOLDER: let $PYTHON find mpdviz, its command line and, from $WHEELS, what the machine lacks.
stand_up() {
    local root site=$1/site
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    mkdir -p "$site/mpdviz"
    # The parts of the package as an installation puts them together.
    ln -sfn "$root"/mpdviz/* "$site/mpdviz/"
    ln -sfn "$root/cli" "$site/mpdviz/cli"
    ln -sfn "$root/sample_checkpoints" "$site/mpdviz/sample_checkpoints"
    export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
    if [ -n "${WHEELS:-}" ]; then
        "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --target "$1/wheels" "$WHEELS"/*.whl || return
        export PYTHONPATH=$PYTHONPATH:$1/wheels
    fi
    "$PYTHON" -c 'import mpdviz.cli.main, mpdviz.training.run, lightning_fabric' ||
        { echo "$PYTHON lacks a package that mpdviz needs: name a folder of wheels in WHEELS" >&2; return 1; }
}
