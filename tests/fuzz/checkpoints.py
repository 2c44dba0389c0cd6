"""Hostile checkpoints, as every command that reads one gets them."""

import io
import pickle
import warnings
import zipfile

import torch
from torch import Tensor

from fuzz import mutations, tensors
from fuzz.case import BEST, LAST, Case

EXTRA = {"huge.bin": b"0" * 10**6, "archive/constants.pkl": pickle.dumps({"x": tensors.Payload()})}
EXTRA |= {
    "../outside": b"x",
    "/absolute": b"x",
    "archive/code/x.py": b"import os",
    "archive/version": b"999\n",
}


def _save(content, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.save(content, path)
        except Exception:  # some values cannot be saved: then bytes that are no archive at all
            path.write_bytes(pickle.dumps(str(content)[:1000]))


def _repack(random, path):
    """The same archive by another writer: other members, compression, or parts swapped."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    kind = random.choice(("extra", "pickle", "parts", "deflated", "twice", "lacks"))
    names = list(parts)
    if kind == "extra":
        name = random.choice(sorted(EXTRA))
        kind, parts[name] = f"extra {name}", EXTRA[name]
    elif kind == "pickle":
        name = next(name for name in names if name.endswith("data.pkl"))
        parts[name] = mutations.damage(random, parts[name])[1]
    elif kind == "parts":
        name = random.choice(names)
        kind, parts[name] = f"part {name}", mutations.damage(random, parts[name])[1]
    elif kind == "lacks":
        del parts[random.choice(names)]
    method = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names given twice
        for name in parts:
            archive.writestr(name, parts[name])
        if kind == "twice":
            archive.writestr(names[-1], parts[names[-1]])
    return f"repacked: {kind}"


def _odd_weight(random, content):
    """An odd tensor in the place of one of the tensors, wherever it is."""
    ways = [way for way in mutations.places(content) if isinstance(_at(content, way), Tensor)]
    way = random.choice(ways)
    name, tensor = tensors.odd(random, _at(content, way))
    _at(content, way[:-1])[way[-1]] = tensor
    return f"{'.'.join(map(str, way))} becomes {name}"


def _at(tree, way):
    for name in way:
        tree = tree[name]
    return tree


def hurt(random, path, only=None):
    """Damage a checkpoint, below `only` where given; what was done."""
    kind = random.choice(("bytes", "tree", "tree", "tree", "weight", "weight", "repack", "whole"))
    if kind == "bytes":
        return mutations.alter(random, path)
    if kind == "repack":
        return _repack(random, path)
    content = torch.load(path, weights_only=True)
    if kind == "weight":
        done = _odd_weight(random, content if only is None else {only[0]: content[only[0]]})
    elif kind == "tree":
        done, content = mutations.changes(random, content, tensors.anything, only)
    else:
        content = {"whole": tensors.anything(random)}
        content = random.choice((content, content["whole"], list(content.items()), {"net": content["whole"]}))
        done = (
            f"holds {type(content).__name__} {content!r:.60}"
            if not isinstance(content, dict)
            else "holds a dict"
        )
        if random.random() < 0.2:
            raw = io.BytesIO()
            _legacy(content, raw)
            path.write_bytes(raw.getvalue())
            return f"{done}, in the legacy format"
    _save(content, path)
    return done


def _legacy(content, file):
    try:
        torch.save(content, file, _use_new_zipfile_serialization=False)
    except Exception:
        file.write(b"\x80\x02}q\x00.")


def checkpoint(random, place):
    """A checkpoint of mpdviz."""
    commands = (
        (("inspect", BEST, "--format", "csv"), 8),
        (("inspect", "run", "--format", "json", "--limit", "5"), 2),
        (("inspect", BEST, "--model", "net:build", "--data", "npz:data.npz", "--format", "csv"), 3),
        (("check", BEST), 2),
        (("compare", LAST, BEST, "--limit", "8"), 1),
        (("convert", BEST, "new.pt"), 1),
        (("figures", "run", "--out", "new", "--format", "png", "--limit", "8"), 0.15),
    )
    done = hurt(random, place / BEST)
    words = random.choices([words for words, _ in commands], [weight for _, weight in commands])[0]
    return Case(words, f"{BEST}: {done}")


def released(random, place):
    """A released checkpoint of the reference."""
    done = hurt(random, place / "released.pth")
    inspect = ("inspect", "released.pth", "--data", "npz:frames.npz", "--format", "csv")
    words = random.choice((("convert", "released.pth", "new.pt"), inspect))
    return Case(words, f"released.pth: {done}")


def resume(random, place):
    """The state that a run is resumed from, of a run that is finished or of one that is not."""
    path = place / LAST
    if unfinished := random.random() < 0.7:
        path.write_bytes((place / "middle.pt").read_bytes())
    only = ("training",) if random.random() < 0.8 else None
    done = f"{'unfinished' if unfinished else 'finished'}, {hurt(random, path, only)}"
    return Case(("train", "--resume", "--out", "run"), f"{LAST}: {done}", may_change=("run",))
