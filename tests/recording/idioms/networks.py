"""Spiking networks as papers write them: each an idiom of its own, none of them knows mpdviz.

What happens inside is told to `NOTES` where that is a list: the layer, the argument of the spike function,
the spikes, the surrogate's derivative at the argument by the paper's formula, and the potential where that is
another tensor. That is the truth the recordings are held against.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NOTES: list["Note"] | None = None


@dataclass(eq=False)
class Note:
    layer: str
    u: Tensor
    s: Tensor
    h: Tensor
    v: Tensor
    spikes: Tensor
    top: float
    th: Tensor | None


def note(layer, u, s, h, v=None, top=1.0, th=None):
    """Layer `layer` turned `u` into `s`; `h` is the derivative there."""
    if NOTES is not None:
        v = u if v is None else v
        for tensor in (u, s, v):
            if tensor.requires_grad:
                tensor.retain_grad()
        NOTES.append(Note(layer, u, s, h.detach().clone(), v, s.detach().clone(), top, th))


NETWORKS = {}


def network(*shape):
    """Register a network class with the shape of its input."""

    def register(cls):
        NETWORKS[cls.__name__] = (cls, shape)
        return cls

    return register


# STBP: globals, the threshold inside of the function, a loop over time in the root.
thresh, lens, decay = 0.5, 0.5, 0.2


class ActFun(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.gt(thresh).float()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * ((x - thresh).abs() < lens).float()


act_fun = ActFun.apply


def inside(x, half):
    return (x.abs() < half).float()


def mem_update(ops, x, mem, spike, name):
    mem = mem * decay * (1.0 - spike) + ops(x)
    spike = act_fun(mem)
    note(name, mem, spike, inside(mem - thresh, lens))
    return mem, spike


@network(4, 1, 8, 8)
class STBP(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(16, 12), nn.Linear(12, 5)

    def forward(self, input, time_window=5):
        n = len(input)
        c1_mem = c1_spike = torch.zeros(n, 3, 8, 8)
        c2_mem = c2_spike = torch.zeros(n, 4, 4, 4)
        h1_mem = h1_spike = h1_sum = torch.zeros(n, 12)
        h2_mem = h2_spike = h2_sum = torch.zeros(n, 5)
        for _ in range(time_window):
            x = (input - 0.3).relu()
            c1_mem, c1_spike = mem_update(self.conv1, 2 * x, c1_mem, c1_spike, "c1")
            x = F.avg_pool2d(c1_spike, 2)
            c2_mem, c2_spike = mem_update(self.conv2, 3 * x, c2_mem, c2_spike, "c2")
            x = F.avg_pool2d(c2_spike, 2).view(n, -1)
            h1_mem, h1_spike = mem_update(self.fc1, 3 * x, h1_mem, h1_spike, "h1")
            h1_sum = h1_sum + h1_spike
            h2_mem, h2_spike = mem_update(self.fc2, 3 * h1_spike, h2_mem, h2_spike, "h2")
            h2_sum = h2_sum + h2_spike
        return h2_sum / time_window


# tdBN-ResNet: time last, one neuron module for several places.
class SpikeAct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, V_th, alpha):
        ctx.save_for_backward(input)
        ctx.V_th, ctx.alpha = V_th, alpha
        return torch.gt(input, V_th).to(input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        hu = abs(input - ctx.V_th) < ctx.alpha / 2
        return grad_output * hu.float() / ctx.alpha, None, None


class LIFSpike(nn.Module):
    def __init__(self, tau=0.25, V_th=0.6, alpha=0.8):
        super().__init__()
        self.tau, self.V_th, self.alpha = tau, V_th, alpha

    def forward(self, x, name):
        steps = x.shape[-1]
        u = torch.zeros(x.shape[:-1])
        out = torch.zeros(x.shape)
        for step in range(steps):
            u, out[..., step] = self.state_update(u, out[..., max(step - 1, 0)], x[..., step], name)
        return out

    def state_update(self, u_t_n1, o_t_n1, W_mul_o, name):
        u = self.tau * u_t_n1 * (1 - o_t_n1) + W_mul_o
        o = SpikeAct.apply(u, self.V_th, self.alpha)
        note(name, u, o, inside(u - self.V_th, self.alpha / 2) / self.alpha)
        return u, o


class TDLayer(nn.Module):
    def __init__(self, layer, bn=None):
        super().__init__()
        self.layer, self.bn = layer, bn

    def forward(self, x):
        steps = x.shape[-1]
        y = torch.stack([self.layer(x[..., t]) for t in range(steps)], -1)
        return y if self.bn is None else self.bn(y)


class TDBN(nn.BatchNorm3d):
    """Over the batch, space and time, which is last."""

    def __init__(self, channels):
        super().__init__(channels)
        self.weight.data.fill_(0.6)


class BasicBlock(nn.Module):
    def __init__(self, channels, name):
        super().__init__()
        self.conv1_s = TDLayer(nn.Conv2d(channels, channels, 3, padding=1), TDBN(channels))
        self.conv2_s = TDLayer(nn.Conv2d(channels, channels, 3, padding=1), TDBN(channels))
        self.spike = LIFSpike()
        self.name = name

    def forward(self, x):
        out = self.spike(self.conv1_s(x), f"{self.name}1")
        out = self.conv2_s(out)
        out += x
        return self.spike(out, f"{self.name}2")


@network(3, 1, 6, 6)
class TDBNResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1_s = TDLayer(nn.Conv2d(1, 4, 3, padding=1), TDBN(4))
        self.layer1 = nn.Sequential(BasicBlock(4, "1."), BasicBlock(4, "2."))
        self.spike = LIFSpike()
        self.fc1_s, self.fc2_s = TDLayer(nn.Linear(36, 10)), TDLayer(nn.Linear(10, 3))

    def forward(self, x):
        x = x.unsqueeze(-1).repeat(1, 1, 1, 1, 4)
        x = self.spike(self.conv1_s(x), "in")
        x = self.layer1(x)
        x = torch.stack([F.avg_pool2d(x[..., t], 2).flatten(1) for t in range(4)], -1)
        x = self.spike(self.fc1_s(x) * 2, "fc")
        return self.fc2_s(x).mean(-1)


# TET: time second, folded into the batch for what is not a neuron.
class ZIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, gama):
        out = (input > 0).float()
        ctx.save_for_backward(input, out, torch.tensor([gama]))
        return out

    @staticmethod
    def backward(ctx, grad_output):
        input, _, others = ctx.saved_tensors
        gama = others[0].item()
        tmp = (1 / gama) * (1 / gama) * ((gama - input.abs()).clamp(min=0))
        return grad_output.clone() * tmp, None


class TETLIF(nn.Module):
    def __init__(self, name, thresh=1.0, tau=0.5, gama=1.0):
        super().__init__()
        self.act, self.name = ZIF.apply, name
        self.thresh, self.tau, self.gama = thresh, tau, gama

    def forward(self, x):
        mem = 0
        spike_pot = []
        for t in range(x.shape[1]):
            mem = mem * self.tau + x[:, t, ...]
            over = mem - self.thresh
            spike = self.act(over, self.gama)
            note(self.name, over, spike, (1 - over.abs()).clamp(min=0), mem)
            mem = (1 - spike) * mem
            spike_pot.append(spike)
        return torch.stack(spike_pot, dim=1)


class SeqToANN(nn.Module):
    def __init__(self, *modules):
        super().__init__()
        self.module = nn.Sequential(*modules)

    def forward(self, x_seq):
        y = self.module(x_seq.flatten(0, 1).contiguous())
        return y.view(x_seq.shape[0], x_seq.shape[1], *y.shape[1:])


@network(3, 4, 1, 6, 6)
class TET(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            SeqToANN(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)),
            TETLIF("1"),
            SeqToANN(nn.AvgPool2d(2)),
            SeqToANN(nn.Conv2d(4, 5, 3, padding=1), nn.BatchNorm2d(5)),
            TETLIF("2"),
        )
        self.classifier = SeqToANN(nn.Linear(45, 3))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(2))


# A surrogate that evolves while training: the slope passed, or an attribute of the class.
class EvolvingSpike(torch.autograd.Function):
    k = 1.0

    @staticmethod
    def forward(ctx, x, half):
        ctx.save_for_backward(x)
        ctx.half = half
        return (x >= 0.5).float()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ((x - 0.5).abs() < ctx.half).float() * EvolvingSpike.k, None


class TanhSpike(torch.autograd.Function):
    K = 2.0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x >= 0).float()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 0.5 * TanhSpike.K * (1 - torch.tanh(TanhSpike.K * x).square())


@network(5, 9)
class Evolving(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(9, 11), nn.Linear(11, 7), nn.Linear(7, 3)
        self.half = 0.5

    def anneal(self, share):
        self.half, EvolvingSpike.k, TanhSpike.K = 0.5 * (1 - share), 1 + share, 2 + 8 * share

    def forward(self, x):
        v1 = v2 = 0.0
        out = 0
        for _ in range(3):
            v1 = 0.5 * v1 + self.fc1(x)
            s1 = EvolvingSpike.apply(v1, self.half)
            note("1", v1, s1, inside(v1 - 0.5, self.half) * EvolvingSpike.k)
            v1 = v1 * (1 - s1.detach())
            v2 = 0.5 * v2 + self.fc2(s1)
            over = v2 - 0.1
            s2 = TanhSpike.apply(over)
            K = TanhSpike.K
            note("2", over, s2, 0.5 * K * (1 - torch.tanh(K * over).square()), v2, top=0.5 * K)
            v2 = v2 - s2 * 0.1
            out = out + self.fc3(s2)
        return out


# MPBN: what is compared is the normalised membrane.
class MPBNNeuron(nn.Module):
    def __init__(self, channels, name):
        super().__init__()
        self.bn, self.name = nn.BatchNorm1d(channels), name
        self.mem = None

    def forward(self, x):
        self.mem = x if self.mem is None else 0.25 * self.mem + x
        u = self.bn(self.mem)
        spike = SpikeAct.apply(u, 1.0, 1.0)
        note(self.name, u, spike, inside(u - 1, 0.5))
        self.mem = u * (1 - spike)
        return spike


@network(6, 9)
class MPBN(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.n1 = nn.Linear(9, 12), MPBNNeuron(12, "1")
        self.fc2, self.n2, self.fc3 = nn.Linear(12, 8), MPBNNeuron(8, "2"), nn.Linear(8, 3)

    def forward(self, x):
        self.n1.mem = self.n2.mem = None
        return sum(self.fc3(self.n2(self.fc2(self.n1(self.fc1(x))))) for _ in range(4))


# CLIF: a second, complementary potential decides how strongly the first is reset.
class RectSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.heaviside(x, torch.zeros(()))

    @staticmethod
    def backward(ctx, grad):
        return grad * (ctx.saved_tensors[0].abs() < 0.5).float()


class CLIFNeuron(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name, self.tau = name, 2.0

    def forward(self, xs):
        u = m = torch.zeros_like(xs[0])
        spikes = []
        for x in xs:
            u = u * (1 - 1 / self.tau) + x
            over = u - 0.5
            s = RectSpike.apply(over)
            note(self.name, over, s, inside(over, 0.5), u)
            m = m * torch.sigmoid(u / self.tau) + s
            u = u - s * (0.5 + torch.sigmoid(m))
            spikes.append(s)
        return torch.stack(spikes)


@network(4, 6, 9)
class CLIF(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(9, 12), CLIFNeuron("1"), nn.Linear(12, 8), CLIFNeuron("2"), nn.Linear(8, 3)
        )

    def forward(self, x):
        return self.net(x)


# PLIF: the decay is learned, the state is the module's.
class PLIFNeuron(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.w, self.name, self.v = nn.Parameter(torch.tensor(0.3)), name, None

    def forward(self, x):
        v = torch.zeros_like(x) if self.v is None else self.v
        v = v + (x - v) * self.w.sigmoid()
        over = v - 0.4
        s = AtanSpike.apply(over, 2.0)
        note(self.name, over, s, 1 / (1 + (torch.pi * over).square()), v)
        self.v = (1 - s.detach()) * v
        return s


class AtanSpike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return ctx.alpha / 2 / (1 + (torch.pi / 2 * ctx.alpha * x).square()) * grad, None


@network(6, 9)
class PLIF(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.n1 = nn.Linear(9, 12), PLIFNeuron("1")
        self.fc2, self.n2, self.fc3 = nn.Linear(12, 8), PLIFNeuron("2"), nn.Linear(8, 3)

    def forward(self, x):
        self.n1.v = self.n2.v = None
        return sum(self.fc3(self.n2(3 * self.fc2(self.n1(2 * self.fc1(x))))) for _ in range(4))


# Learnable thresholds, one a channel: subtracted outside, or given to the function.
class WithThreshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v, th):
        ctx.save_for_backward(v, th)
        return (v >= th).float()

    @staticmethod
    def backward(ctx, grad):
        v, th = ctx.saved_tensors
        h = grad * ((v - th).abs() < 0.3).float()
        return h, -h.sum_to_size(th.shape)


class ChannelThreshold(nn.Module):
    def __init__(self, channels, name, outside):
        super().__init__()
        self.th = nn.Parameter(torch.linspace(0.1, 0.4, channels))
        self.name, self.outside = name, outside

    def forward(self, xs):
        v = torch.zeros_like(xs[0])
        spikes = []
        th = self.th.view(1, -1, 1, 1)
        for x in xs:
            v = 0.5 * v + x
            if self.outside:
                over = v - th
                s = RectSpike.apply(over)
                note(self.name, over, s, inside(over, 0.5), v)
            else:
                s = WithThreshold.apply(v, th)
                note(self.name, v, s, inside(v - th, 0.3), th=th)
            v = v - s * th
            spikes.append(s)
        return torch.stack(spikes)


@network(3, 1, 6, 6)
class ChannelThresholds(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.n1 = nn.Conv2d(1, 4, 3, padding=1), ChannelThreshold(4, "out", outside=True)
        self.conv2, self.n2 = nn.Conv2d(4, 5, 3, padding=1), ChannelThreshold(5, "in", outside=False)
        self.fc = nn.Linear(180, 3)

    def forward(self, x):
        s = self.n1(self.conv1(x).expand(4, *[-1] * 4))
        s = self.n2(self.conv2(s.flatten(0, 1)).unflatten(0, s.shape[:2]))
        return self.fc(s.mean(0).flatten(1))


@network(6, 9)
class OneThreshold(nn.Module):
    """One learnable number a layer, inside the function and outside."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(9, 12), nn.Linear(12, 8), nn.Linear(8, 3)
        self.th1, self.th2 = nn.Parameter(torch.tensor(0.25)), nn.Parameter(torch.tensor(0.15))

    def forward(self, x):
        v1 = v2 = torch.zeros(())
        out = 0
        for _ in range(3):
            v1 = 0.9 * v1 + self.fc1(x)
            s1 = WithThreshold.apply(v1, self.th1)
            note("1", v1, s1, inside(v1 - self.th1, 0.3))
            v1 = v1 - s1 * self.th1
            v2 = 0.9 * v2 + self.fc2(s1)
            over = v2 - self.th2
            s2 = RectSpike.apply(over)
            note("2", over, s2, inside(over, 0.5), v2)
            v2 = v2 - s2 * self.th2
            out = out + self.fc3(s2)
        return out


# MPD-AGL: one function at the first timestep, another later, a width of each timestep's own.
class FirstStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, kappa):
        ctx.save_for_backward(u, kappa)
        return (u >= 0.5).float()

    @staticmethod
    def backward(ctx, grad):
        u, kappa = ctx.saved_tensors
        return grad * ((u - 0.5).abs() < kappa / 2).float() / kappa, None


class LaterSteps(FirstStep):
    pass


class AGLNeuron(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        u = o = torch.zeros(x.shape[:-1])
        out = torch.zeros(x.shape)
        for t in range(x.shape[-1]):
            current = x[..., t]
            kappa = (0.3 + current.detach().std() * (t + 1)).clone()
            if t == 0:
                u = current
                o = FirstStep.apply(u, kappa)
            else:
                u = 0.2 * u * (1 - o) + current
                o = LaterSteps.apply(u, kappa)
            note(self.name, u, o, inside(u - 0.5, kappa / 2) / kappa)
            out[..., t] = o
        return out


@network(4, 9, 3)
class MPDAGL(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = (
            TDLayer(nn.Linear(9, 12)),
            TDLayer(nn.Linear(12, 8)),
            TDLayer(nn.Linear(8, 3)),
        )
        self.n1, self.n2 = AGLNeuron("1"), AGLNeuron("2")

    def forward(self, x):
        return self.fc3(self.n2(2 * self.fc2(self.n1(2 * self.fc1(x))))).mean(-1)


# The newer way to write functions, and one bound at construction.
class NewStyle(torch.autograd.Function):
    @staticmethod
    def forward(x, threshold, slope=5.0):
        return (x > threshold).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.threshold, ctx.slope = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + ctx.slope * (x - ctx.threshold).abs()).square(), None, None


class Bound(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.act, self.name = NewStyle.apply, name

    def forward(self, xs):
        v, spikes = torch.zeros_like(xs[0]), []
        for x in xs:
            v = 0.7 * v + x
            spikes.append(self.act(v, 0.25))
            note(self.name, v, spikes[-1], 1 / (1 + 5 * (v - 0.25).abs()).square())
            v = torch.where(spikes[-1] > 0, torch.zeros_like(v), v)
        return torch.stack(spikes)


@network(4, 6, 9)
class NewStyles(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(9, 12), Bound("1"), nn.Linear(12, 8), Bound("2"), nn.Linear(8, 3))

    def forward(self, x):
        return self.net(x).mean(0)


# No module at all besides the root: weights, and a loop.
@network(5, 9)
class OnlyParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1, self.w2 = nn.Parameter(0.4 * torch.randn(9, 12)), nn.Parameter(0.4 * torch.randn(12, 4))
        self.r1 = nn.Parameter(0.2 * torch.randn(12, 12))

    def forward(self, x):
        syn, mem, out = torch.zeros(len(x), 12), torch.zeros(len(x), 12), torch.zeros(len(x), 12)
        mem2 = torch.zeros(len(x), 4)
        recorded = []
        for _ in range(6):
            over = mem - 1.0
            out = FastSigmoid.apply(over)
            note("hidden", over, out, 1 / (10 * over.abs() + 1).square(), mem)
            rst = out.detach()
            syn = 0.8 * syn + x @ self.w1 + out @ self.r1
            mem = (0.9 * mem + syn) * (1.0 - rst)
            mem2 = 0.9 * mem2 + out @ self.w2
            recorded.append(mem2)
        return torch.stack(recorded, 1)


class FastSigmoid(torch.autograd.Function):
    scale = 10.0

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        out = torch.zeros_like(input)
        out[input > 0] = 1.0
        return out

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output.clone() / (FastSigmoid.scale * torch.abs(input) + 1.0) ** 2


# Evaluated twice a step: to fire, and detached for the reset; before it or after.
class Twice(nn.Module):
    def __init__(self, name, first):
        super().__init__()
        self.name, self.first, self.mem = name, first, None

    def forward(self, x):
        mem = torch.zeros_like(x) if self.mem is None else self.mem
        if self.first:
            reset = FastSigmoid.apply(mem - 0.5).detach()
            mem = 0.9 * mem + x - reset * 0.5
            over = mem - 0.5
            s = FastSigmoid.apply(over)
        else:
            mem = 0.9 * mem + x
            over = mem - 0.5
            s = FastSigmoid.apply(over)
        note(self.name, over, s, 1 / (10 * over.abs() + 1).square(), mem)
        if not self.first:
            mem = mem - FastSigmoid.apply((mem - 0.5).detach()) * 0.5
        self.mem = mem
        return s


@network(5, 9)
class TwiceAStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.n1 = nn.Linear(9, 12), Twice("1", first=True)
        self.fc2, self.n2, self.fc3 = nn.Linear(12, 8), Twice("2", first=False), nn.Linear(8, 3)

    def forward(self, x):
        self.n1.mem = self.n2.mem = None
        return sum(self.fc3(self.n2(self.fc2(self.n1(self.fc1(x))))) for _ in range(5))


# Spikes of another height than 1.
class High(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, height):
        ctx.save_for_backward(x)
        ctx.height = height
        return height * (x >= 0.3).float()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.height * ((ctx.saved_tensors[0] - 0.3).abs() <= 0.4).float(), None


@network(5, 9)
class Heights(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(9, 12), nn.Linear(12, 8), nn.Linear(8, 3)

    def forward(self, x):
        v1 = v2 = out = 0
        for _ in range(3):
            v1 = 0.5 * v1 + self.fc1(x)
            s1 = High.apply(v1, 2.5)
            note("1", v1, s1, ((v1 - 0.3).abs() <= 0.4).float() * 2.5)
            v1 = v1 * (s1 == 0)
            v2 = 0.5 * v2 + self.fc2(s1)
            s2 = High.apply(v2, 0.5)
            note("2", v2, s2, ((v2 - 0.3).abs() <= 0.4).float() * 0.5)
            v2 = v2 * (s2 == 0)
            out = out + self.fc3(s2)
        return out


# BNTT: a batch norm of each timestep's own.
@network(5, 1, 6, 6)
class BNTT(nn.Module):
    def __init__(self, timesteps=4):
        super().__init__()
        self.timesteps = timesteps
        self.conv1, self.conv2 = (
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            nn.Conv2d(4, 4, 3, padding=1, bias=False),
        )
        self.bntt1 = nn.ModuleList([nn.BatchNorm2d(4, eps=1e-4) for _ in range(timesteps)])
        self.bntt2 = nn.ModuleList([nn.BatchNorm2d(4, eps=1e-4) for _ in range(timesteps)])
        self.fc = nn.Linear(144, 3)
        self.spike_fn = TriangularAt1.apply
        self.conv1.threshold, self.conv2.threshold, self.leak_mem = 1.0, 0.8, 0.95

    def forward(self, inp):
        mem1 = mem2 = torch.zeros(len(inp), 4, 6, 6)
        out = 0
        for t in range(self.timesteps):
            mem1 = self.leak_mem * mem1 + self.bntt1[t](self.conv1(inp))
            mem_thr = (mem1 / self.conv1.threshold) - 1.0
            s = self.spike_fn(mem_thr)
            note("1", mem_thr, s, 0.3 * (1 - mem_thr.abs()).clamp(min=0))
            rst = torch.zeros_like(mem1)
            rst[mem_thr > 0] = self.conv1.threshold
            mem1 = mem1 - rst
            mem2 = self.leak_mem * mem2 + self.bntt2[t](self.conv2(s))
            mem_thr = (mem2 / self.conv2.threshold) - 1.0
            s = self.spike_fn(mem_thr)
            note("2", mem_thr, s, 0.3 * (1 - mem_thr.abs()).clamp(min=0))
            rst = torch.zeros_like(mem2)
            rst[mem_thr > 0] = self.conv2.threshold
            mem2 = mem2 - rst
            out = out + self.fc(s.flatten(1))
        return out / self.timesteps


class TriangularAt1(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        out = torch.zeros_like(input)
        out[input > 0] = 1.0
        return out

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output.clone() * 0.3 * F.threshold(1.0 - torch.abs(input), 0, 0)


# A loop over layers, one spike module for all.
@network(4, 5, 9)
class LoopOverLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(9, 12), nn.Linear(12, 12), nn.Linear(12, 8)])
        self.norms = nn.ModuleList([nn.LayerNorm(n) for n in (12, 12, 8)])
        self.spike, self.fc = CallsIt(), nn.Linear(8, 3)

    def forward(self, x):
        out = 0
        mems = [torch.zeros(())] * 3
        for step in x:
            for i, layer in enumerate(self.layers):
                mems[i] = 0.5 * mems[i] + self.norms[i](layer(step))
                step = self.spike(mems[i], str(i))
                mems[i] = mems[i] * (1 - step)
            out = out + self.fc(step)
        return out


class CallsIt(nn.Module):
    def forward(self, v, name):
        s = SpikeAct.apply(v, 1.0, 2.0)
        note(name, v, s, inside(v - 1, 1.0) / 2)
        return s


# Thresholds that adapt: a tensor of the potential's own shape is subtracted.
@network(5, 9)
class Adaptive(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.rec, self.fc2 = nn.Linear(9, 12), nn.Linear(12, 12), nn.Linear(12, 3)

    def forward(self, x):
        v = a = s = torch.zeros(len(x), 12)
        out = 0
        for _ in range(5):
            v = 0.8 * v + self.fc1(x) + self.rec(s) - s * 0.3
            a = 0.9 * a + s
            threshold = 0.3 + 0.2 * a
            over = v - threshold
            s = RectSpike.apply(over)
            note("1", over, s, inside(over, 0.5), v)
            out = out + self.fc2(s)
        return out


# The same, folded: time and batch in one dimension, a function called once for all timesteps.
@network(4, 5, 9)
class Parallel(nn.Module):
    """PSN's way: the potential of all timesteps by one matrix product over time."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(9, 12), nn.Linear(12, 3)
        self.weight, self.bias = (
            nn.Parameter(torch.eye(4).tril() + 0.2),
            nn.Parameter(torch.full((4, 1), -0.2)),
        )

    def forward(self, x):
        x = self.fc1(x)
        h = torch.addmm(self.bias, self.weight, x.flatten(1))
        s = AtanSpike.apply(h, 2.0)
        note("1", h, s, 1 / (1 + (torch.pi * h).square()))
        return self.fc2(s.view(x.shape)).mean(0)


# Checked by control flow: list comprehensions, generators, `while`, nested functions.
@network(4, 5, 9)
class ControlFlow(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(9, 12), nn.Linear(12, 8), nn.Linear(8, 3)

    def forward(self, x):
        def charge(v, current, name):
            v = 0.5 * v + current
            s = SpikeAct.apply(v, 0.3, 0.6)
            note(name, v, s, inside(v - 0.3, 0.3) / 0.6)
            return v * (1 - s), s

        def spikes(xs, layer, name):
            v = torch.zeros(())
            for step in xs:
                v, s = charge(v, layer(step), name)
                yield s

        out, t, v = 0, 0, torch.zeros(())
        hidden = list(spikes(x, self.fc1, "1"))
        while t < len(hidden):
            v, s = charge(v, self.fc2(hidden[t]), "2")
            out, t = out + self.fc3(s), t + 1
        return out
