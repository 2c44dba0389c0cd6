"""The blocks of networks against what torch does in float64."""

import subprocess
import sys

import pytest

GRADIENT = """
import sys, torch
from mpdviz.networks.blocks import ConvSpike, NeuronSpec
torch.manual_seed(0)
channels, out = map(int, sys.argv[1:])
conv = ConvSpike(channels, out, NeuronSpec(), kernel=1, stride=2).to(memory_format=torch.channels_last).conv
exact = torch.nn.Conv2d(channels, out, 1, 2, bias=False).double()
exact.load_state_dict(conv.state_dict())
for _ in range(60):
    x = (torch.rand(16, channels, 16, 16) < 0.5).float().to(memory_format=torch.channels_last)
    grad = torch.randn(16, out, 8, 8).to(memory_format=torch.channels_last)
    for each, as_type in ((conv, torch.float32), (exact, torch.float64)):
        leaf, each.weight.grad = x.clone().to(as_type).requires_grad_(), None
        each(leaf).backward(grad.to(as_type))
        each.of_input = leaf.grad
    torch.testing.assert_close(conv.weight.grad.double(), exact.weight.grad, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(conv.of_input.double(), exact.of_input, rtol=1e-4, atol=1e-5)
"""


@pytest.mark.parametrize("sizes", [(4, 8), (16, 32)])
def test_a_strided_convolution_of_one_pixel_has_its_gradient(sizes):
    """In a process of its own: where oneDNN writes past its memory, it hangs or crashes."""
    command = [sys.executable, "-c", GRADIENT, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
