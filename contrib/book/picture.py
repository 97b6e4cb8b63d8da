#!/usr/bin/env python3
"""Renders a page of `watchfire demo`, as a terminal shows it, to docs/pictures/page.svg.

    picture.py [PROGRAM]           writes the picture
    picture.py --check [PROGRAM]   fails where the picture is not what the demo prints now

The demo computes when the next step of escalation is due from the time at which it runs; the check ignores that time.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs/pictures/page.svg"
COLUMNS = 101
# White on dark, with the sixteen colors of a usual terminal.
THEME = TerminalTheme(
    (22, 24, 29),
    (222, 226, 230),
    [(60, 64, 72), (224, 82, 82), (120, 190, 110), (224, 176, 80), (90, 150, 230), (190, 120, 210), (90, 190, 200), (222, 226, 230)],
    [(130, 136, 146), (255, 110, 110), (150, 220, 140), (250, 205, 110), (120, 180, 255), (220, 150, 240), (120, 220, 230), (255, 255, 255)],
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")
DUE = re.compile(r"\d{4}-\d\d-\d\d(?:&#160;| )\d\d:\d\d:\d\d(?:&#160;| )UTC(?=</text>)")


def first_page(program):
    """Returns the first page that the demo shows, with its colors."""
    colored = os.environ | {"CLICOLOR_FORCE": "1"}
    demo = subprocess.run([program, "demo", "--fast"], capture_output=True, check=True, text=True, env=colored)
    lines = demo.stderr.split("\n")
    start = next(i for i, line in enumerate(lines) if ANSI.sub("", line).startswith("┏"))
    end = next(i for i, line in enumerate(lines) if i > start and ANSI.sub("", line).startswith("┗"))
    return "\n".join(lines[start : end + 1])


def render(page):
    """Returns a page as SVG that loads nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(page), soft_wrap=True)
    # The usual frame loads a font from a server; a picture of this repository does not.
    frame = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    frame = frame.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")
    svg = console.export_svg(title="watchfire demo", theme=THEME, code_format=frame, unique_id="page")
    return "\n".join(line.rstrip() for line in svg.split("\n")) + "\n"


def main(arguments):
    check = "--check" in arguments
    programs = [argument for argument in arguments if argument != "--check"]
    program = programs[0] if programs else str(ROOT / "target/debug/watchfire")
    svg = render(first_page(program))
    if not check:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(svg, encoding="utf-8")
        return 0
    if DUE.sub("", svg) == DUE.sub("", PICTURE.read_text(encoding="utf-8")):
        return 0
    print("docs/pictures/page.svg is not what the demo prints now: run `just picture`, and look at the difference", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
