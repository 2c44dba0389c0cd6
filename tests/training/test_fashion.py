"""The recipe for all of Fashion-MNIST, on the real pictures."""

import pytest

import mpdviz
from mpdviz.data import fashion_mnist
from mpdviz.errors import BadInput


@pytest.mark.slow
def test_all_of_fashion_mnist_in_a_few_epochs(tmp_path):
    try:
        fashion_mnist.NAMED.load(None, None)
    except BadInput as error:
        pytest.skip(f"Fashion-MNIST is not at hand: {error}")
    rows = []
    result = mpdviz.train(recipe="fashion-mnist", out=tmp_path / "run", on_epoch=rows.append)
    assert rows[0]["val_accuracy"] >= 0.8
    assert result.test_accuracy >= 0.9
