"""What a command imports: nothing heavy that it does not use, in a process of its own."""

import os
import subprocess
import sys

import pytest

RUN = """
import sys
sys.argv = ["mpdviz", *sys.argv[1:]]
from mpdviz.cli.entry import run
try:
    run()
finally:
    print("imported", *sys.modules)
"""
SAMPLE = "sample:fixed"
TABLES = {"torch", "pandas", "numpy", "scipy"}
NEVER = {"sklearn", "joblib", "scipy.stats", "scipy.optimize", "seaborn", "numba", "sympy", "ray", "kornia"}
"""What is read as a file, is one function of many, or pays in long jobs alone."""
COMPILERS = {"torch._dynamo", "torch._inductor", "torch.distributed.tensor", "triton"}
PICTURES = {"matplotlib", "PIL", "altair", "jinja2", "vl_convert", "narwhals", "mpdviz.figures.style"}
TRAINING = {"lightning_fabric", "torchmetrics", "mpdviz.training", "mpdviz.compare", "mpdviz.bench", "pooch"}
OTHERS = {"tensorboard", "wandb", "mlflow", "pytorch_lightning", "submitit", "tonic", "h5py", "tabulate"}
FRAMEWORKS = {"spikingjelly", "snntorch", "norse", "sinabs"}
EVER = NEVER | COMPILERS | PICTURES | TRAINING | OTHERS | FRAMEWORKS


def imported(*words, folder):
    """Names of all modules that `mpdviz WORDS` has imported when it ends."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words], capture_output=True, text=True, cwd=folder, env=environment
    )
    assert done.returncode in (0, 1), done.stderr
    name, *modules = done.stdout.splitlines()[-1].split()
    assert name == "imported"
    return set(modules)


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["train", "--help"], ["inspect", "--help"], ["list", "columns"]]
)
def test_what_only_tells_imports_nothing_heavy(words, tmp_path):
    assert not imported(*words, folder=tmp_path) & (EVER | TABLES)


@pytest.mark.thorough
@pytest.mark.parametrize("what", ["models", "neurons", "surrogates", "data"])
def test_a_list_imports_what_it_lists_alone(what, tmp_path):
    assert not imported("list", what, folder=tmp_path) & (EVER | {"pandas", "scipy"})


@pytest.mark.thorough
@pytest.mark.parametrize("options", [[], ["--layer", "2"], ["--what-if", "0.5"], ["--save", "recording.npz"]])
def test_an_inspection_imports_torch_and_pandas_alone(options, tmp_path):
    """The sample was trained on the digits of scikit-learn, which is not imported either."""
    found = imported("inspect", SAMPLE, *options, folder=tmp_path)
    assert {"torch", "pandas"} <= found
    assert not found & (EVER | {"scipy"})


@pytest.mark.thorough
@pytest.mark.parametrize(
    "words",
    [
        ["check", SAMPLE],
        ["advise", SAMPLE],
        ["inspect", SAMPLE, "--full"],
        ["inspect", SAMPLE, "--format", "csv"],
    ],
)
def test_what_predicts_imports_special_functions_besides(words, tmp_path):
    found = imported(*words, folder=tmp_path)
    assert "scipy.special" in found
    assert not found & EVER


@pytest.mark.thorough
def test_figures_and_tables_of_an_inspection_import_what_draws_them(tmp_path):
    found = imported("inspect", SAMPLE, "--out", "made", folder=tmp_path)
    assert "matplotlib" in found
    assert not found & ((EVER - PICTURES) | {"matplotlib.pyplot", "altair", "jinja2"})


@pytest.mark.thorough
def test_a_report_imports_what_it_is_made_of(tmp_path):
    found = imported("report", SAMPLE, "--out", "report.html", folder=tmp_path)
    assert {"altair", "jinja2"} <= found
    assert not found & ((EVER - PICTURES) | {"matplotlib.pyplot"})
