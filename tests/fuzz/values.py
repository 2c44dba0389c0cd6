"""Hostile scalars, the ones that parsers, shapes and messages stumble over."""

NUMBERS = (0, 1, -1, 2, 7, -7, 0.5, -0.5, 1e-300, 1e300, 2**31, 2**32, 2**62, 2**63, 2**64, -(2**63), 10**30)
NOT_NUMBERS = (float("nan"), float("inf"), float("-inf"), 10**400, True, False)
LONG = "x" * 5000
TEXTS = (
    "",
    " ",
    "\t",
    "a\nb",
    "a\rb",
    "a\u2028b",
    LONG,
    "../../etc/passwd",
    "/dev/null",
    "/",
    ".",
    "~nobody/x",
    "npz:",
    "npz:.",
    "npz:/dev/null",
    "npz:run",
    "[bold]x[/]",
    "[/]",
    "{0} %s",
    "`lr`",
    "ünï—код",
    "日本語",
    "🧠" * 50,
    "\u202egnp.exe",
    "\x1b[31mred",
    "-",
    "--",
    "-1",
    "nan",
    "inf",
    "None",
    "1e999",
    "0x10",
    "1_0",
    "١٢",
    "1,2",
    "1-2",
    ",",
    ":",
    "os:",
    ":x",
    "fixed:kappa=nan",
    "fixed:kappa=1e400",
    "fixed:kappa=",
    "fixed:=",
    "mpd-agl:x=1",
    "cuda:0",
    "meta",
    "atan",
    "plif",
    "resnet19",
    "vggsnn",
    "train",
)
UNENCODABLE = ("a\0b", "\ud800")
"""Texts that files can hold by an escape, and no command line can."""


def number(random):
    """Any number, well-formed or not."""
    return random.choice(NUMBERS) if random.random() < 0.7 else random.choice(NOT_NUMBERS)


def text(random):
    """Any text that a command line can hold."""
    return random.choice(TEXTS)


def plain(random, depth=2):
    """Any value that JSON and TOML know, and None."""
    kind = random.choice(("number", "number", "text", "text", "list", "dict", "none", "odd"))
    if kind == "number":
        return number(random)
    if kind == "text" or not depth:
        return text(random)
    if kind == "list":
        return [plain(random, depth - 1) for _ in range(random.choice((0, 1, 2, 3)))]
    if kind == "dict":
        return {text(random): plain(random, depth - 1) for _ in range(random.choice((0, 1, 2)))}
    return None if kind == "none" else random.choice(UNENCODABLE)


def spelled(random):
    """A number, or something like one, as people type it."""
    typed = (
        "0",
        "-1",
        "+1",
        "1.5",
        "-0.0",
        "1e400",
        "1e-400",
        "1e308",
        "nan",
        "inf",
        "-inf",
        "",
        " ",
        "0x10",
    )
    typed += (
        str(2**31),
        str(2**63),
        str(2**64),
        "9" * 5000,
        "1_000",
        "١٢",
        "true",
        "1,",
        "1;2",
        "٣.٥",
        "1e5",
    )
    return random.choice(typed)
