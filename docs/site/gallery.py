"""Draw every figure there is by the commands that a reader would give, and write the gallery's page.

    python docs/site/gallery.py FOLDER      # of `make docs`; a minute or two

A figure that none of these commands draws is an error, so that the gallery has them all.
"""

import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mpdviz.figures import FIGURES, paper

SMALL = "--model convsnn:encode_channels=8:planes=8-8 --epochs 2"
ARMS = "fixed:kappa=1,fixed:kappa=0.25,fixed:kappa=2.5,mpd-agl"
STUDY = f"mpdviz compare --strategies {ARMS} --seeds 0-1 {SMALL} --jobs 2 --out study"
INSPECT = "mpdviz inspect sample:mpd_agl --gradients --limit 256 --out inspected"
COMPARE = "mpdviz compare sample:fixed sample:mpd_agl --out compared"
REPORT = "mpdviz report sample:fixed sample:mpd_agl --gradients --out report.html"
PAPER = "mpdviz figures study --out paper --format png"
COMMANDS = (INSPECT, COMPARE, STUDY, PAPER, REPORT)

INTRODUCTION = """# Gallery

Every figure that `mpdviz` draws, beneath the command that made it here, while this site was built. Beside
each figure a command leaves its numbers (`.csv`) and its caption (`.txt`); `--format pdf` and `svg` are for
papers. The networks are small ones on handwritten digits, trained for seconds: they show what a figure looks
like, not what strategies are worth.

An [example report](report.html) is one file that needs no network: `{report}`
"""
PARTS = (
    ("Of one network", INSPECT, "inspected"),
    ("Of two networks on the same data", COMPARE, "compared"),
    ("Of a study, for a paper", f"{STUDY}\n{PAPER}", "paper"),
)
"""Heading, the commands, and the folder that they leave figures in."""


def main(out: Path) -> None:
    """Run the commands in an empty folder, and write the page with what they left into `out`."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for command in COMMANDS:
            words = [sys.executable, "-m", "mpdviz", *shlex.split(command)[1:]]
            subprocess.run(words, cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        page, drawn = [INTRODUCTION.format(report=REPORT)], set[str]()
        for heading, command, place in PARTS:
            page.append(f"## {heading}\n\n```sh\n{command}\n```\n")
            for picture in _pictures(work / place):
                drawn.add(picture.stem.partition("_layer")[0])
                shutil.copy(picture, out / picture.name)
                page.append(_entry(picture))
        page += [
            f"### {path.stem}\n\n```latex\n{path.read_text()}```\n"
            for path in sorted(work.glob("paper/*.tex"))
        ]
        shutil.copy(work / "report.html", out)
    missing = {*FIGURES, *paper.FIGURES} - drawn
    if missing:
        sys.exit(f"no command of the gallery draws {', '.join(sorted(missing))}")
    (out / "index.md").write_text("\n".join(page), encoding="utf-8")


def _pictures(folder: Path) -> list[Path]:
    """The figures in a folder; of those drawn for every layer the first."""
    every = sorted(folder.glob("*.png"))
    return [path for path in every if "_layer" not in path.stem or path.stem.endswith("_layer01")]


def _entry(picture: Path) -> str:
    """A figure under its name, above its caption."""
    name, caption = picture.stem.partition("_layer")[0], picture.with_suffix(".txt")
    told = caption.read_text(encoding="utf-8").strip() if caption.exists() else ""
    return f"### {name.replace('_', ' ')}\n\n![{name}]({picture.name})\n\n{told}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
