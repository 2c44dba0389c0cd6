"""The files beside this one: `write` has uv ask PyPI for the hashes, `check` holds them against what is here.

`constraints.txt` names the versions, by hand; the *.txt have the hash of every file of these versions,
for all platforms, and are made by `make lock`. `make lint` runs `check`, which needs no network.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("test", "docs", "lint")
# What goes into torch.txt: PyTorch of PyPI and what its CUDA build brings, which the CPU build does without.
TORCH = re.compile(r"torch$|triton$|nvidia-|cuda-")
WITH_DEPENDENCIES = ("norse-build", "tools")  # in places of their own
UNLOCKED = ("mpdviz", "pip")  # what is installed from here, and what every virtual environment comes with


def entries(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Every requirement of a requirements file, as (requirement, its hashes)."""
    for line in re.sub(r"\\\n", " ", path.read_text(encoding="utf-8")).splitlines():
        line = line.split("#")[0].strip()
        if line and not line.startswith("-"):
            requirement, *hashes = line.split("--hash=")
            yield requirement.strip(), hashes


def pinned(requirement: Requirement) -> str:
    """The version that a requirement pins, less a build's label; empty if it pins none."""
    pin = re.fullmatch(r"==([^*,+]+)(\+[^*,]+)?", str(requirement.specifier))
    return pin[1] if pin else ""


def write(root: Path) -> None:
    """Make .ci/locks/*.txt anew from pyproject.toml, .ci/locks/*.in and the versions in constraints.txt."""
    compile_ = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    compile_ += ["--python-version", "3.11", "--no-annotate", "--custom-compile-command", "make lock"]
    for source in sorted((root / ".ci" / "locks").glob("*.in")):
        deps = [] if source.stem in WITH_DEPENDENCIES else ["--no-deps"]
        output = source.with_suffix(".txt").relative_to(root)
        subprocess.run(
            [*compile_, *deps, str(source.relative_to(root)), "-o", str(output)], cwd=root, check=True
        )
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    parts: dict[str, list[str]] = {"torch": [], "required": []}
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder, "both.txt")  # uv keeps the versions that it finds in its output file
        both.write_text(
            "".join((root / ".ci" / "locks" / f"{name}.txt").read_text(encoding="utf-8") for name in parts)
        )
        whole = [*compile_, "pyproject.toml", *extras, "-c", "constraints.txt", "-o", str(both)]
        subprocess.run(whole, cwd=root, check=True, stdout=subprocess.DEVNULL)
        header, *blocks = re.split(r"(?m)^(?=[a-z0-9])", both.read_text(encoding="utf-8"))
    for block in blocks:
        parts["torch" if TORCH.match(re.split(r"[ =]", block)[0]) else "required"].append(block)
    for name, part in parts.items():
        (root / ".ci" / "locks" / f"{name}.txt").write_text(header + "".join(part), encoding="utf-8")


def wrong_locks(root: Path) -> Iterator[str]:
    """What is wrong with the files themselves."""
    versions = {}
    for line, _ in entries(root / "constraints.txt"):
        requirement = Requirement(line)
        versions[canonicalize_name(requirement.name)] = pinned(requirement)
    missing = set(versions)
    for path in sorted((root / ".ci" / "locks").glob("*.txt")):
        source = path.with_suffix(".in")
        asked = [Requirement(line) for line, _ in entries(source)] if source.exists() else []
        apart = {each.name for each in asked if pinned(each)}  # at a version of their own
        for line, hashes in entries(path):
            requirement = Requirement(line)
            name, where = canonicalize_name(requirement.name), f".ci/locks/{path.name}: {requirement.name}"
            if not pinned(requirement):
                yield f"{where} is not pinned to one version"
            if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", each.strip()) for each in hashes):
                yield f"{where} has no hash, or one that is no SHA-256"
            if path.stem in WITH_DEPENDENCIES or requirement.name in apart:
                continue
            missing.discard(name)
            if pinned(requirement) != versions.get(name, pinned(requirement)):
                yield f"{where} is {pinned(requirement)}, but constraints.txt says {versions[name]}"
    yield from (f"constraints.txt: {name} is in none of .ci/locks/*.txt" for name in sorted(missing))


def wrong_installed(root: Path) -> Iterator[str]:
    """What is installed and not locked, locked at another version, or needed and not installed."""
    here: dict[str, Distribution] = {
        canonicalize_name(each.metadata["Name"]): each for each in distributions()
    }
    locked: dict[str, str] = {}
    for path in sorted((root / ".ci" / "locks").glob("*.txt")):
        if path.stem not in WITH_DEPENDENCIES and not path.stem.startswith("spikingjelly-"):
            for line, _ in entries(path):
                requirement = Requirement(line)
                locked[canonicalize_name(requirement.name)] = pinned(requirement)
    for name, each in sorted(here.items()):
        if name not in UNLOCKED and each.version.split("+")[0] != locked.get(name):
            said = locked.get(name, "nothing of it")
            yield f"{name} {each.version} is installed, but .ci/locks/ say {said}"
    yield from unmet(here)


def unmet(here: Mapping[str, Distribution]) -> Iterator[str]:
    """The requirements of mpdviz and its extras, at any depth, that what is installed does not meet."""
    todo, seen = [("mpdviz", extra) for extra in ("", *EXTRAS)], set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen or (name not in here and extra):
            continue
        seen.add((name, extra))
        if name not in here:
            yield f"{name} is needed and not installed"
            continue
        for line in here[name].requires or []:
            requirement = Requirement(line)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            other = canonicalize_name(requirement.name)
            todo += [(other, each) for each in ("", *requirement.extras)]
            if other in here and not requirement.specifier.contains(here[other].version, prereleases=True):
                yield f"{name} needs {requirement}, but {other} {here[other].version} is installed"


def main() -> int:
    """Run `write` or `check` on the checkout this file lies in, or on the one named after it."""
    root = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[2]
    if sys.argv[1:2] == ["write"]:
        write(root)
        return 0
    wrong = [*wrong_locks(root), *wrong_installed(root)]
    for line in wrong:
        print(line)
    if wrong:
        print(
            "To install what is locked: make clean, then make; to lock what constraints.txt says: make lock"
        )
    else:
        print("All that is installed is locked, at its version and with its hashes.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
