"""The multi-step LIF neuron in Triton: one kernel forward and one backward over all timesteps; a trial.

The equations are those of `mpdviz.kernels.eager`, every operation in its order and none fused, so that spikes
are equal bit for bit. A program owns a block of neurons and takes it through all timesteps in registers.

What the backward pass needs of the forward one is either the current, from which it recomputes the
potentials, or less: where it asks of a potential only whether it spiked and whether it was available (a
rectangular surrogate whose reset is detached or soft, with a decay that does not learn), those two bits for
each neuron and timestep, 16 neurons in a 32-bit word.

Nothing here is a backend of mpdviz: no CUDA device has run it. `triton_lif.py` checks and times it.
"""

import triton
import triton.language as tl

NEURONS_A_WORD = 16
"""Of two bits each: whether it stayed below its threshold, then whether its gradient was available."""
SHAPES = (
    "rectangular",
    "triangular",
    "atan",
    "sigmoid",
    "fast-sigmoid",
    "superspike",
    "lorentz",
    "dspike",
)
"""Their places here are their numbers in the kernels."""
PI = tl.constexpr(3.141592653589793)


@triton.jit
def charged(current, carried, FIRST: tl.constexpr):
    """The potential before the reset; nothing is carried into the first timestep."""
    if FIRST:
        v = current
    else:
        v = carried + current
    return v


@triton.jit
def left(v, fired, threshold, decay, SOFT: tl.constexpr):
    """What is carried on after the reset, in the definition's order of operations."""
    if SOFT:
        carried = (v - threshold * fired) * decay
    else:
        carried = (v * decay) * (1.0 - fired)
    return carried


@triton.jit
def height_of(kappa):
    """1 / kappa rounded to the nearest, as torch's; `/` of float32 is not."""
    one = tl.full((), 1.0, kappa.dtype)
    if kappa.dtype == tl.float64:
        height = one / kappa
    else:
        height = tl.div_rn(one, kappa)
    return height


@triton.jit
def derivative(x, kappa, SHAPE: tl.constexpr, A: tl.constexpr, HEIGHT: tl.constexpr):
    """h(x; kappa) of `mpdviz.surrogates`; A is the shape's parameter, HEIGHT that of `dspike`."""
    if SHAPE == 0:
        h = tl.where(tl.abs(x) < kappa * 0.5, height_of(kappa), 0.0)
    elif SHAPE == 1:
        edge = kappa * A
        h = tl.maximum(edge - tl.abs(x), 0.0) / (edge * edge)
    elif SHAPE == 2:
        z = x * ((A / kappa) * (PI / 2))
        h = (A / kappa) / 2 / (1.0 + z * z)
    elif SHAPE == 3:
        s = 1.0 / (1.0 + tl.exp(x * (-A / kappa)))
        h = s * (A / kappa) * (1.0 - s)
    elif SHAPE == 4:
        root = 1.0 + tl.abs(x) * (A / kappa)
        h = 1.0 / (root * root) / kappa
    elif SHAPE == 5:
        root = 1.0 + tl.abs(x) / kappa
        h = 1.0 / (root * root)
    elif SHAPE == 6:
        z = x * (PI / kappa)
        h = 1.0 / (1.0 + z * z)
    else:
        e = tl.exp(x * (A / kappa))
        cosh = (e + 1.0 / e) * 0.5
        h = tl.where(tl.abs(x) < kappa * 0.5, 1.0 / (cosh * cosh) * (HEIGHT / kappa), 0.0)
    return h


@triton.jit
def block_of(ROWS: tl.constexpr):
    """Where this program's neurons are, `[ROWS, 16]`, and its words, `[ROWS]`."""
    words = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    neurons = words[:, None] * 16 + tl.arange(0, 16)[None, :]
    return neurons, words


@triton.jit
def forward_kernel(
    current_at,
    spikes_at,
    potentials_at,
    words_at,
    counts_at,
    decay_at,
    v_th_at,
    kappa_at,
    halves_at,
    M,
    T: tl.constexpr,
    SOFT: tl.constexpr,
    KEEP: tl.constexpr,
    BITS: tl.constexpr,
    COUNT: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Spikes `[T, M]` of the current `[T, M]` and, as asked for, potentials, bits `[T, words]` and counts.

    Counts `[T, 3]`, zero before: finite potentials below, in and above the available interval v_th +- half,
    whose ends lie outside.
    """
    neurons, words = block_of(ROWS)
    here = neurons < M
    size = M.to(tl.int64)
    total_words = (size + 15) // 16
    decay = tl.load(decay_at)
    carried = decay  # of the first timestep, not read
    for t in tl.static_range(T):
        threshold = tl.load(v_th_at + t)
        step = tl.load(current_at + t * size + neurons, mask=here, other=0.0).to(decay.dtype)
        v = charged(step, carried, t == 0)
        over = v >= threshold
        fired = over.to(decay.dtype)
        tl.store(spikes_at + t * size + neurons, fired, mask=here)
        if KEEP:
            tl.store(potentials_at + t * size + neurons, v, mask=here)
        x = tl.abs(v - threshold)
        if BITS:
            # The surrogate's own support: kappa / 2 is exact.
            # Not the complement of the spike: the definition takes an undefined potential as neither.
            pair = (v < threshold).to(tl.int32) + 2 * (x < tl.load(kappa_at + t) * 0.5).to(tl.int32)
            word = tl.sum(pair << (2 * tl.arange(0, 16))[None, :], axis=1)
            tl.store(words_at + t * total_words + words, word, mask=words < total_words)
        if COUNT:
            available = here & (x < tl.load(halves_at + t))
            outside = here & (x < float("inf")) & (available == 0)
            tl.atomic_add(counts_at + 3 * t, _number(outside & (over == 0)))
            tl.atomic_add(counts_at + 3 * t + 1, _number(available))
            tl.atomic_add(counts_at + 3 * t + 2, _number(outside & over))
        carried = left(v, fired, threshold, decay, SOFT)


@triton.jit
def _number(there):
    return tl.sum(tl.sum(there.to(tl.int32), axis=1), axis=0).to(tl.int64)


@triton.jit
def backward_bits_kernel(
    words_at,
    grad_at,
    grad_current_at,
    decay_at,
    v_th_at,
    kappa_at,
    M,
    T: tl.constexpr,
    SOFT: tl.constexpr,
    DETACHED: tl.constexpr,
    ROWS: tl.constexpr,
):
    """dL/dcurrent `[T, M]` from the bits and dL/ds: rectangular, the reset detached or soft."""
    neurons, words = block_of(ROWS)
    here = neurons < M
    size = M.to(tl.int64)
    total_words = (size + 15) // 16
    decay = tl.load(decay_at)
    later = decay  # of the last timestep, not read
    for back in tl.static_range(T):
        t = T - 1 - back
        kappa = tl.load(kappa_at + t)
        word = tl.load(words_at + t * total_words + words, mask=words < total_words, other=0)
        pair = (word[:, None] >> (2 * tl.arange(0, 16))[None, :]) & 3
        h = tl.where(pair >= 2, height_of(kappa), 0.0)
        grad = tl.load(grad_at + t * size + neurons, mask=here, other=0.0).to(decay.dtype)
        if back == 0:
            later = h * grad
        else:
            carried = later * decay
            if DETACHED:
                through = h * grad
            else:
                through = (grad - carried * tl.load(v_th_at + t)) * h
            if SOFT:
                later = through + carried
            else:
                later = through + carried * (pair & 1).to(decay.dtype)
        tl.store(grad_current_at + t * size + neurons, later, mask=here)


@triton.jit
def backward_kernel(
    current_at,
    grad_at,
    grad_current_at,
    grad_decay_at,
    decay_at,
    v_th_at,
    kappa_at,
    M,
    T: tl.constexpr,
    SOFT: tl.constexpr,
    DETACHED: tl.constexpr,
    LEARNED: tl.constexpr,
    SHAPE: tl.constexpr,
    A: tl.constexpr,
    HEIGHT: tl.constexpr,
    ROWS: tl.constexpr,
):
    """dL/dcurrent `[T, M]` from the current and dL/ds, and each program's part of dL/ddecay `[programs]`."""
    neurons, _ = block_of(ROWS)
    here = neurons < M
    size = M.to(tl.int64)
    decay = tl.load(decay_at)
    # The potentials once more, all of them in registers: a tuple grows while the loop is unrolled.
    potentials = ()
    carried = decay  # of the first timestep, not read
    for t in tl.static_range(T):
        threshold = tl.load(v_th_at + t)
        step = tl.load(current_at + t * size + neurons, mask=here, other=0.0).to(decay.dtype)
        v = charged(step, carried, t == 0)
        potentials = potentials + (v,)
        carried = left(v, (v >= threshold).to(decay.dtype), threshold, decay, SOFT)
    later = decay  # of the last timestep, not read
    grad_decay = tl.zeros((ROWS, 16), dtype=decay.dtype)
    for back in tl.static_range(T):
        t = T - 1 - back
        threshold = tl.load(v_th_at + t)
        v = potentials[T - 1 - back]
        h = derivative(v - threshold, tl.load(kappa_at + t), SHAPE, A, HEIGHT)
        grad = tl.load(grad_at + t * size + neurons, mask=here, other=0.0).to(decay.dtype)
        if back == 0:
            later = h * grad
        else:
            paused = (v < threshold).to(decay.dtype)
            carried = later * decay
            if LEARNED:
                if SOFT:
                    grad_decay += later * (v - threshold * (1.0 - paused))
                else:
                    grad_decay += later * (v * paused)
            if DETACHED:
                through = h * grad
            elif SOFT:
                through = (grad - carried * threshold) * h
            else:
                through = (grad - carried * v) * h
            if SOFT:
                later = through + carried
            else:
                later = through + carried * paused
        tl.store(grad_current_at + t * size + neurons, later, mask=here)
    if LEARNED:
        part = tl.sum(tl.sum(tl.where(here, grad_decay, 0.0), axis=1), axis=0)
        tl.store(grad_decay_at + tl.program_id(0), part)
