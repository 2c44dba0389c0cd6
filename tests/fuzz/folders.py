"""Hostile run folders, comparisons and recipes: TOML, CSV and JSON files."""

import json
import tomllib
from contextlib import suppress

import tomli_w
from networks import TINY

from fuzz import mutations, values
from fuzz.case import Case

ENCODINGS = ("utf-16", "utf-8-sig", "latin-1", "utf-32", "cp037")
TOML = (
    "a = " + "[" * 100_000,
    "a = " + "{a=" * 5000 + "1" + "}" * 5000,
    "[" + ".".join("a" * 20_000) + "]\nx = 1",
    "lr = " + "9" * 5000,
    "lr = 0x" + "f" * 5000,
    "lr = 1e999999",
    "epochs = 2024-01-01",
    "data = 2024-01-01T00:00:00Z",
    "lr = 07:32:00",
    'data = "npz:\\u0000"',
    'data = "\\u202e"',
    "planes = [[4], [4]]",
    "planes = [4.0, true]",
    "planes = " + str([4] * 3000),
    "lr = 0.1\nlr = 0.2",
    "[[lr]]",
    '"" = 1',
    "seed = 9223372036854775807",
    "seed = -9223372036854775808",
    "timesteps = 9223372036854775807",
    "encode_channels = 9223372036854775807",
    "precision = 32",
    "augment = 'maybe'",
    "\0",
    "\r",
    "# " + "x" * 10**6,
)
JSON = (
    "[" * 100_000,
    '{"a":' * 50_000,
    "1" * 5000,
    "NaN",
    "null",
    "[]",
    '""',
    "{}",
    '{"finished": 1e999}',
    "\0",
)
CELLS = (
    "",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "x",
    "-1",
    "9" * 400,
    '"',
    '"a\nb"',
    "\0",
    "1;2",
    "True",
    "1+2j",
    " ",
)
SETTINGS = {"data": "npz:data.npz", "model": TINY, "timesteps": 2, "batch_size": 16}
SETTINGS |= {
    "device": "cpu",
    "epochs": 1,
    "lr": 0.1,
    "strategy": "fixed:kappa=2",
    "neuron": "plif",
    "seed": 3,
}
SETTINGS |= {"surrogate": "atan", "accumulate": 1, "precision": "32", "backend": "eager", "augment": False}


def _encoded(random, path):
    name = random.choice(ENCODINGS)
    path.write_bytes(path.read_text(encoding="utf-8").encode(name, errors="replace"))
    return f"in {name}"


def _toml(random, path):
    kind = random.choice(("tree",) * 6 + ("bytes", "encoding", "text", "behind"))
    if kind == "bytes":
        return mutations.alter(random, path)
    if kind == "encoding":
        return f"{path.name} {_encoded(random, path)}"
    if kind in ("text", "behind"):
        line = random.choice(TOML)
        before = path.read_text() if kind == "behind" else ""
        path.write_text(f"{before}\n{line}\n", encoding="utf-8")
        return f"{path.name} holds {line:.40}"
    before = tomllib.loads(path.read_text())
    while True:
        done, content = mutations.changes(random, before, values.plain)
        with suppress(TypeError, ValueError, AttributeError):  # None and surrogates are no TOML
            path.write_text(tomli_w.dumps(content), encoding="utf-8")
            return f"{path.name} {done}"


def _json(random, path):
    kind = random.choice(("tree", "tree", "tree", "bytes", "encoding", "text"))
    if kind == "bytes":
        return mutations.alter(random, path)
    if kind == "encoding":
        return f"{path.name} {_encoded(random, path)}"
    if kind == "text":
        text = random.choice(JSON)
        path.write_text(text)
        return f"{path.name} holds {text:.20}"
    done, content = mutations.changes(random, json.loads(path.read_text()), values.plain)
    path.write_text(json.dumps(content))
    return f"{path.name} {done}"


def _csv(random, path):
    kind = random.choice(
        ("cell", "cell", "cells", "column", "head", "row", "bytes", "encoding", "twice", "none")
    )
    if kind == "bytes":
        return mutations.alter(random, path)
    if kind == "encoding":
        return f"{path.name} {_encoded(random, path)}"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    column, row = random.randrange(len(rows[0])), random.randrange(1, len(rows))
    name, cell = rows[0][column], random.choice(CELLS)
    if kind == "cell":
        rows[row][column] = cell
    elif kind == "cells":
        for line in rows[1:]:
            line[column] = cell
    elif kind == "column":
        for line in rows:
            del line[column]
    elif kind == "head":
        rows[0][column] = random.choice((rows[0][0], values.text(random)))
    elif kind == "row":
        rows[row] = rows[row][:column]
    elif kind == "twice":
        rows += rows[1:] * random.choice((1, 50))
    else:
        del rows[random.choice((0, 1)) :]
    path.write_text("\n".join(",".join(line) for line in rows), encoding="utf-8", errors="replace")
    return f"{path.name} {kind} {name} {cell!r:.20}"


def _whole(random, path):
    """Another kind of thing than a file, or none."""
    path.unlink()
    kind = random.choice(("gone", "folder", "loop", "dangling"))
    if kind == "folder":
        path.mkdir()
    elif kind != "gone":
        path.symlink_to(path if kind == "loop" else path.with_name("nowhere"))
    return f"{path.name} is {kind}"


def run_folder(random, place):
    """One file of a run folder, before it is drawn, resumed, inspected, or collected with others."""
    tables = random.random() < 0.4
    names = ("metrics.csv", "mpd.csv", "widths.csv") if tables else ("config.toml", "result.json")
    figures = ("figures", "run", "--out", "new", "--format", "png", "--limit", "4")
    resume, collect = ("train", "--resume", "--out", "run"), ("compare", "--collect", "cmp")
    others = [resume, collect, collect, ("inspect", "run", "--limit", "4", "--format", "csv")]
    others.append(("report", "run", "--limit", "4", "--out", "new.html"))
    # A recording for figures takes seconds, but nothing else reads tables.
    words = figures if random.random() < (0.8 if tables else 0.1) else random.choice(others)
    folder, name = "cmp/runs/fixed/seed-0" if words is collect else "run", random.choice(names)
    path = place / folder / name
    damage = _whole if random.random() < 0.07 else {"toml": _toml, "json": _json, ".csv": _csv}[name[-4:]]
    done = f"{folder}: {damage(random, path)}"
    return Case(words, done, may_change=(words[-1],) if words in (resume, collect) else ())


def watched(random, place):
    """What a run says of itself, before it is looked at, trained again or reported on."""
    name = random.choice(("status.json", "status.json", "environment.json", "result.json"))
    path = place / "run" / name
    done = _whole(random, path) if random.random() < 0.07 else _json(random, path)
    again, report = ("rerun", "run", "--out", "new"), ("report", "run", "--limit", "4", "--out", "new.html")
    words = random.choices((("watch", "--once", "run"), again, report), (8, 1, 1))[0]
    return Case(words, f"run: {done}")


def comparison(random, place):
    """The file that makes a folder a comparison."""
    path = place / "cmp/comparison.toml"
    done = _whole(random, path) if random.random() < 0.05 else _toml(random, path)
    settings = ("--data", "npz:data.npz", "--model", TINY, "--timesteps", "2")
    settings += ("--batch-size", "16", "--device", "cpu", "--epochs", "1")
    again = ("compare", "--strategies", "fixed,mpd-agl", "--seeds", "0", "--out", "cmp", *settings)
    figures = ("figures", "cmp", "--out", "new", "--format", "png", "--limit", "4")
    words = random.choices((("compare", "--collect", "cmp"), again, figures), (6, 3, 0.5))[0]
    return Case(words, done, may_change=("cmp",))


def recipe(random, place):
    """A recipe; that it takes long is no fault, so the number of epochs is given."""
    path = place / "recipe.toml"
    path.write_text(tomli_w.dumps(SETTINGS))
    done = _whole(random, path) if random.random() < 0.05 else _toml(random, path)
    words = (
        "train",
        "--recipe",
        "recipe.toml",
        "--epochs",
        "1",
        "--out",
        "new",
        "--no-compile",
        "--devices",
        "1",
    )
    if random.random() < 0.3:
        words = (
            "compare",
            "--recipe",
            "recipe.toml",
            "--strategies",
            "nonsense",
            "--seeds",
            "0",
            "--out",
            "new",
        )
    return Case(words, done)
