"""Hostile values of options and of environment variables."""

from functools import cache
from itertools import pairwise

from fuzz import values
from fuzz.case import BEST, LAST, TINY, Case

TRAIN = ("train", "--data", "npz:data.npz", *TINY, "--epochs", "1", "--out", "new")
COMMANDS = {
    "train": TRAIN,
    "inspect": ("inspect", BEST, "--limit", "8", "--format", "csv"),
    "read": ("inspect", "r.npz", "--format", "csv"),
    "check": ("check", BEST, "--limit", "8"),
    "judge": ("check", "r.npz"),
    "advise": ("advise", "r.npz", "--starved", "0.9"),
    "compare": ("compare", BEST, LAST, "--limit", "8"),
    "strategies": ("compare", "--strategies", "fixed,mpd-agl", "--seeds", "0", "--out", "cmp", *TRAIN[1:-2]),
    "convert": ("convert", "released.pth", "new.pt"),
    "figures": ("figures", "run", "--out", "new", "--format", "png", "--limit", "4"),
    "own": ("inspect", "--model", "net:build", "--data", "npz:data.npz", "--format", "csv"),
    "list": ("list", "models"),
    "bench": ("bench", "neurons"),
}
WEIGHTS = (5, 5, 3, 2, 2, 2, 2, 2, 2, 0.3, 3, 1, 1)
LASTING = ("--epochs", "--repeats", "--seeds", "--jobs", "--threads", "--shard")
"""Options of which large numbers are no mistake, and would take their time."""
LEFT_OUT = ("--compile", "--no-compile", "--help", "-h", "--collect")
PATHS = (
    "data.npz",
    "run",
    "data.npz/x",
    "/proc/x",
    "/dev/full",
    "new/a/b",
    "a" * 300,
    "r.npz",
    ".",
    "run/config.toml",
)
VARIABLES = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "COLUMNS",
    "LINES",
)
VARIABLES += ("TERM", "NO_COLOR", "FORCE_COLOR", "HOME", "TMPDIR", "LANG")
AT_IMPORT = ("MPLBACKEND", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "COLUMNS", "TERM")
AT_IMPORT += ("PYTHONIOENCODING", "LC_ALL", "XDG_CACHE_HOME", "HOME")


@cache
def _parameters(command):
    import typer.main
    from mpdviz.cli.main import app

    return [
        (option, bool(parameter.is_flag))
        for parameter in typer.main.get_command(app).commands[command].params
        if parameter.param_type_name == "option"
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option not in LEFT_OUT
    ]


def _lasts(option, value):
    """Whether the value might be right, of an option that makes a command take long."""
    return option in LASTING and any(letter.isdigit() and letter != "0" for letter in value)


def _value(random, option):
    if option in ("--save", "--out", "--data-dir") or random.random() < 0.1:
        return random.choice(PATHS)
    return random.choice((values.spelled, values.spelled, values.text))(random)


def option(random, place):
    """One to three options of a command, or an argument, with values that are none."""
    name = random.choices(list(COMMANDS), WEIGHTS)[0]
    words, command = list(COMMANDS[name]), COMMANDS[name][0]
    if random.random() < 0.1:
        at = random.randrange(len(words))
        words[at] = _value(random, "")
        # Whatever else it is now, it is not to train for long or to time things for minutes.
        return Case(tuple(words if command != "bench" else ["bench", "x"]), f"word {at}")
    known = _parameters(command)
    for _ in range(random.choice((1, 1, 2, 3)) if known else 0):
        chosen, is_flag = random.choice(known)
        value = _value(random, chosen)
        while _lasts(chosen, value):
            value = _value(random, chosen)
        if chosen == "--out":
            words += [chosen, value]
        else:
            words += [chosen] if is_flag else random.choice(([chosen, value], [f"{chosen}={value}"]))
    if command == "bench":  # its options alone: what is well-formed would be timed
        words += ["--repeats", random.choice(("0", "-1", "x", "nan", ""))]
    return Case(tuple(words), "options", may_change=_written(words))


def _written(words):
    """The folder of a comparison or run that a command is told to write into."""
    if words[0] in ("inspect", "train", "compare", "figures"):
        spread = [part for word in words for part in word.split("=", 1)]
        return tuple(b for a, b in pairwise(spread) if a in ("--out", "--save"))
    return ()


def _small(random):
    return random.choice(
        ("0", "1", "2", "-1", "3", "", " ", "x", "1.0", "٢", "1e3", str(2**31), "9" * 100, "70000")
    )


def environment(random, place):
    """Environment variables; what is read at import takes a process of its own."""
    fresh = random.random() < 0.12
    chosen = random.sample(AT_IMPORT if fresh else VARIABLES, random.choice((1, 1, 2, 3)))
    given = {name: random.choice((_small, values.text))(random) for name in chosen}
    if not fresh and random.random() < 0.3:
        # A team that is complete would be waited for: its port is none.
        port = random.choice(("x", "", "-1", "1.5", "70000", "65536", "٨٠", "1e4", "99999999999"))
        given |= {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    elif not fresh and given.get("MASTER_PORT", "x").strip().isdecimal():
        given.pop("WORLD_SIZE", None)
    if (
        "RANK" in given
        and given["RANK"].isdecimal()
        and given.get("WORLD_SIZE", "1").strip() not in ("0", "1")
    ):
        given.setdefault("MASTER_PORT", "x")
    commands = [COMMANDS[name] for name in ("train", "inspect", "judge", "list", "read")]
    words = random.choice(commands)
    told = " ".join(f"{name}={value!r:.40}" for name, value in given.items())
    return Case(words, told, environment=given, fresh=fresh)
