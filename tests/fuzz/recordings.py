"""Hostile recordings (`inspect --save`) and data sets (`npz:FILE`): both are `.npz` archives."""

import io
import json
import zipfile
import zlib

import numpy as np

from fuzz import mutations, tensors, values
from fuzz.case import BEST, TINY, Case

DTYPES = ("<f2", "<f4", "<f8", "<i8", "<i4", "|u1", "<u8", "|b1", "<c16", "<U3", "|S3", "<M8[s]", "<m8[ns]")
DTYPES += (">f8", ">i4", "|V4", "<f16", "<U0")
SHAPES = (
    "(10**12,)",
    "(1000000000000,)",
    "(1000000, 1000000)",
    "(-1,)",
    "(2,",
    "()",
    "(0,)",
    "(True,)",
    "(2.5,)",
)
SHAPES += ("(9223372036854775807, 2)", "(" * 150 + ")" * 150, "None", "(60, 1, 8, 8)", "(3000000000,)")
DESCRIPTIONS = (
    "'<f4'",
    "'|O'",
    "'<f8'",
    "'|u1'",
    "[('a', '<f4')]",
    "'nonsense'",
    "3",
    "'|V999999999'",
    "'<U99999999'",
)


def write(path, arrays, compression=zipfile.ZIP_DEFLATED):
    """An npz file of arrays, or of the raw bytes of members."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, array in arrays.items():
            raw = io.BytesIO()
            if not isinstance(array, bytes):
                np.lib.format.write_array(raw, np.asarray(array), allow_pickle=True)
            archive.writestr(f"{name}.npy", array if isinstance(array, bytes) else raw.getvalue())


def declared(random):
    """An npy member that declares what it does not hold: (what, bytes)."""
    shape, description = random.choice(SHAPES), random.choice(DESCRIPTIONS)
    head = f"{{'descr': {description}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    version = random.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\x09\x09"))
    size = len(head).to_bytes(2 if version == b"\1\0" else 4, "little")
    if random.random() < 0.1:
        size = b"\xff\xff\xff\xff"[: len(size)]
    return f"declares {description} {shape:.30}", b"\x93NUMPY" + version + size + head + bytes(64)


def bomb(gigabytes=1.0):
    """An npy member of so many gigabytes of zeros, as (deflated bytes, CRC, size)."""
    count = int(gigabytes * 2**30) // 64 * 64
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        raw, {"descr": "|u1", "fortran_order": False, "shape": (count // 64, 1, 8, 8)}
    )
    head, block = raw.getvalue(), bytes(2**24)
    # One block compressed, with a full flush behind it, may be repeated.
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    middle = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check, times = zlib.crc32(head), count // len(block)
    for _ in range(times):
        check = zlib.crc32(block, check)
    return start + middle * times + packer.flush(), check, len(head) + times * len(block)


def array(random, like):
    """Another array in the place of `like`: (what, array)."""
    kind = random.choice(("dtype", "dtype", "shape", "values", "values", "object", "fields", "scalar"))
    if kind == "dtype":
        dtype = random.choice(DTYPES)
        return f"of {dtype}", np.zeros(like.shape, dtype)
    if kind == "shape":
        shape = random.choice(
            ((), (0,), (1,), (2, 2), (10**6,), (0, 5), (1, 1, 1, 1, 1, 1), (*like.shape, 1))
        )
        return f"of shape {shape}", np.zeros(shape, like.dtype if like.dtype.kind in "iuf" else float)
    if kind == "values":
        value = random.choice((float("nan"), float("inf"), -1.0, 1e300, 2.0**62, -(2.0**63), 0.0, 255.0, 1e9))
        changed = np.array(like, copy=True)
        if changed.dtype.kind not in "iuf" or not changed.size:
            return "as it was", changed
        with np.errstate(all="ignore"):
            filling = np.array(value).astype(changed.dtype)
        changed[... if random.random() < 0.5 else random.randrange(len(changed)) if changed.ndim else ...] = (
            filling
        )
        return f"with {value}", changed
    if kind == "object":
        return "of objects", np.array([tensors.Payload(), None], dtype=object)
    if kind == "fields":
        return "of fields", np.zeros(like.shape, [("a", "<i4"), ("b", "<f8")])
    return "a scalar", np.array(random.choice(values.NUMBERS[:12]))


def _header(random, arrays):
    text = str(arrays["header"])
    kind = random.choice(("tree",) * 10 + ("text", "nested", "digits", "list", "bytes"))
    if kind == "tree":
        # Most of the header is the network's description: half the time elsewhere.
        only = random.choice((None, None, ("layers",), ("layers",), ("edges",), ("parts",), ("left_out",)))
        header = json.loads(text)
        if only and only[0] not in header:
            only = None
        done, header = mutations.changes(random, header, values.plain, only)
        text = json.dumps(header)
    elif kind == "text":
        done, raw = mutations.damage(random, text.encode())
        text = raw.decode(errors="replace").rstrip("\0")
    else:
        made = {"nested": "[" * 200_000, "digits": f'{{"format": {"1" * 6000}}}', "list": "[1]", "bytes": ""}
        done, text = kind, made[kind]
    arrays["header"] = np.array(text)
    return f"header: {done}"


def _exchanged(random, arrays, name):
    """One array for another that might stand in its place, or the same with one number changed."""
    alike = [
        one
        for one in arrays
        if (arrays[one].shape, arrays[one].dtype) == (arrays[name].shape, arrays[name].dtype)
    ]
    other = random.choice(alike)
    if other != name and random.random() < 0.5:
        arrays[name], arrays[other] = arrays[other], arrays[name]
        return f"exchanged with {other}"
    changed = np.array(arrays[name], copy=True)
    if changed.dtype.kind in "iuf" and changed.size:
        at = random.randrange(changed.size)
        value = mutations.nudged(random, changed.reshape(-1)[at].item())
        with np.errstate(all="ignore"):
            changed.reshape(-1)[at] = np.array(value).astype(changed.dtype)
        arrays[name] = changed
        return f"number {at} becomes {value}"
    return "as it was"


def hurt(random, path, packed, names=()):
    """Damage an npz file of ours; what was done. `packed` is a bomb."""
    kind = random.choice(("bytes", "array", "array", "exchange", "exchange", "declared", "lacks", "bomb"))
    kind = "array" if kind == "bomb" and random.random() < 0.8 else kind
    if kind == "bytes":
        return mutations.alter(random, path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = random.choice(names or list(arrays))
    if kind == "lacks":
        del arrays[name]
        done = "gone"
    elif kind == "declared":
        done, arrays[name] = declared(random)
    elif kind == "exchange":
        done = _exchanged(random, arrays, name)
    elif kind == "array":
        done, arrays[name] = array(random, arrays[name])
    if kind != "bomb":
        write(path, arrays)
        return f"{name}: {done}"
    name = random.choice((name, "unused"))
    arrays.pop(name, None)
    write(path, arrays)
    _append(path, f"{name}.npy", *packed)
    return f"{name}: a bomb"


def _append(path, name, packed, check, size):
    """Add a member that is deflated already."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(name, packed)
        member = archive.infolist()[-1]
        member.compress_type, member.CRC, member.file_size = zipfile.ZIP_DEFLATED, check, size
    raw = bytearray(path.read_bytes())  # the member's own head says so too
    head = member.header_offset
    raw[head + 8 : head + 10] = (8).to_bytes(2, "little")
    raw[head + 14 : head + 26] = b"".join(part.to_bytes(4, "little") for part in (check, len(packed), size))
    path.write_bytes(raw)


def recording(random, place):
    """A recording, alone or to be merged or compared with another."""
    path = place / "r.npz"
    if random.random() < 0.5:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        done = _header(random, arrays)
        write(path, arrays)
    else:
        done = hurt(random, path, _bomb_of(place))
    commands = (
        (("inspect", "r.npz", "--format", "csv"), 5),
        (("inspect", "r.npz", "--full"), 2),
        (("inspect", "r.npz", "--target-ratio", "0.5", "--what-if-surrogate", "atan", "--format", "json"), 3),
        (("inspect", "r.npz", "other.npz", "--save", "new.npz", "--format", "csv"), 3),
        (("check", "r.npz", "--verbose"), 4),
        (("compare", "r.npz", "twin.npz", "--format", "csv"), 2),
        (("inspect", "r.npz", "--layer", "1", "--timestep", "1"), 2),
        (("inspect", "r.npz", "--out", "new", "--layer", "1"), 0.5),
        (("report", "r.npz", "--out", "new.html"), 3),
    )
    words = random.choices([words for words, _ in commands], [weight for _, weight in commands])[0]
    return Case(words, f"r.npz: {done}")


def _bomb_of(place):
    raw = (place / "bomb").read_bytes()
    check, size = (int.from_bytes(raw[at : at + 8], "little") for at in (0, 8))
    return raw[16:], check, size


def write_bomb(path):
    """Keep a bomb for `recording` and `data`: making one takes seconds."""
    packed, check, size = bomb()
    path.write_bytes(check.to_bytes(8, "little") + size.to_bytes(8, "little") + packed)


def data(random, place):
    """A data set for training, or for a trained network."""
    done = hurt(random, place / "data.npz", _bomb_of(place), names=("x", "y"))
    train = ("train", "--data", "npz:data.npz", *TINY, "--epochs", "1", "--out", "new")
    user = ("inspect", "--model", "net:build", "--data", "npz:data.npz", "--format", "csv")
    words = random.choice((train, ("inspect", BEST, "--format", "csv"), ("check", BEST), user))
    return Case(words, f"data.npz: {done}")
