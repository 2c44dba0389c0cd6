"""Damage to bytes, and to nested dicts and lists; every function takes the `random.Random` to draw from."""

import copy

from fuzz import values

DEEPEST = 8
"""Levels that are looked into; what was put there before may have no end."""


def damage(random, raw):
    """The bytes with flipped bits, cut short, grown, or replaced: (what was done, bytes)."""
    kind = random.choice(
        ("flip", "flip", "flip", "cut", "cut", "grow", "zero", "swap", "noise", "empty", "drop")
    )
    raw, at = bytearray(raw), random.randrange(max(len(raw), 1))
    span = random.choice((1, 2, 8, 100, 1000))
    if kind == "flip" and raw:
        for _ in range(random.choice((1, 1, 2, 20))):
            place = random.choice(
                (random.randrange(len(raw)), random.randrange(min(200, len(raw))), -1 - at % 300)
            )
            raw[place % len(raw)] ^= 1 << random.randrange(8)
    elif kind == "cut":
        del raw[at:]
    elif kind == "grow":
        raw[at:at] = random.randbytes(span)
    elif kind == "zero":
        raw[at : at + span] = bytes(span)
    elif kind == "swap":
        raw[at : at + span] = raw[at : at + span][::-1]
    elif kind == "noise":
        raw = bytearray(random.randbytes(span))
    elif kind == "drop":
        del raw[at : at + span]
    else:
        raw.clear()
    return f"bytes: {kind} at {at}", bytes(raw)


def alter(random, path):
    """`damage` to a file; what was done."""
    done, raw = damage(random, path.read_bytes())
    path.write_bytes(raw)
    return f"{path.name} {done}"


def places(tree, at=()):
    """The way to every entry of nested dicts and lists."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    if len(at) == DEEPEST:
        return
    for name, value in members:
        yield (*at, name)
        yield from places(value, (*at, name))


def change(random, tree, value, only=None):
    """A copy of `tree` with one entry replaced, gone, doubled, wrapped or under another name.

    Args:
        random: what to draw from.
        tree: nested dicts and lists; tensors and arrays are leaves.
        value: `value(random)` gives what may take an entry's place.
        only: restrict it to what lies below this way.

    Returns:
        What was done, the copy.
    """
    ways = [way for way in places(tree) if only is None or way[: len(only)] == only]
    # Levels alike: an entry near the root decides more than one of many leaves.
    depth = random.choice(sorted({len(way) for way in ways}))
    way = random.choice([way for way in ways if len(way) == depth])
    tree = parent = copy.copy(tree)  # and what leads to the entry; the rest is shared
    for name in way[:-1]:
        parent[name] = parent = copy.copy(parent[name])
    last = way[-1]
    kind = random.choice(("replace",) * 6 + ("nudge",) * 6 + ("drop", "add", "rename", "wrap", "grow"))
    made = value(random)
    if kind == "replace":
        parent[last] = made
    elif kind == "nudge":
        made = parent[last] = nudged(random, parent[last])
    elif kind == "drop":
        del parent[last]
    elif kind == "add" and isinstance(parent, dict):
        parent[values.text(random)] = made
    elif kind == "rename" and isinstance(parent, dict):
        parent[values.text(random)] = parent.pop(last)
    elif kind == "grow" and isinstance(parent[last], list):
        parent[last] = parent[last] * random.choice((2, 3, 1000))
    else:
        kind = "wrap"
        parent[last] = random.choice((lambda v: [v], lambda v: {"x": v}))(parent[last])
    shown = f" with {made!r:.60}" if kind in ("replace", "nudge", "add") else ""
    return f"{'.'.join(map(str, way))}: {kind}{shown}", tree


def nudged(random, value):
    """Another value of the same type: what checks of types let through."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((value + 1, value - 1, 0, -value, 10 * value, 2**31, 2**53 + 1, 2**63 - 1))
    if isinstance(value, float):
        return random.choice(
            (float("nan"), float("inf"), 0.0, -value, value * 1e30, 5e-324, value + 1.0, 1e308)
        )
    if isinstance(value, str):
        return random.choice((value + value, value.upper(), value[:-1], values.text(random)))
    if isinstance(value, list | tuple):
        return type(value)(
            random.choice((value[:-1], value[::-1], (), [*value, *value[-1:]], list(value) * 9))
        )
    return {} if isinstance(value, dict) else value


def changes(random, tree, value, only=None):
    """One `change`, sometimes two or three."""
    done = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not list(places(tree)):
            break
        try:
            what, tree = change(random, tree, value, only)
        except (KeyError, IndexError, TypeError):  # what was to be changed went with the change before
            break
        done.append(what)
    return "; ".join(done), tree
