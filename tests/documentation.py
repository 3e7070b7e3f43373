"""Code blocks of the documentation: found, and shortened so that tests can follow them.

A block of Python or shell on a page is run by the tests (`tests/test_documentation.py`), in order,
in one folder and one session, as a reader would follow the page. A block that cannot be has a line
above it, to be seen by readers too: ``*Not run in the tests: REASON.*``
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Commands there take minutes to hours, or data from outside; results/index.md and models/index.md
# say so to readers. Other tests follow CONTRIBUTING.md (test_how_to) and interfaces (its own).
PARSED_ONLY = ("docs/results/", "docs/models/", "docs/howto/interfaces.md", "CONTRIBUTING.md")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
_BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.M | re.S)
_EXCUSE = re.compile(r"(?:\A|\n)\*Not run in the tests: ([^*]+)\*\s*\Z")
_SHORTER = [
    (r"\bsteps=[\d_]+", "steps=4"),
    (r"\bbatch=\d+", "batch=32"),
    (r"--steps \d+", "--steps 4 --validation 64"),
    (r"--batch \d+", "--batch 32"),
]
LINES = """\
# %ECSV 1.0
# ---
# datatype:
# - {name: name, datatype: string}
# - {name: Hbeta, datatype: float64}
# - {name: Hbeta_err, datatype: float64}
# - {name: '[OIII]5007', datatype: float64}
# - {name: '[OIII]5007_err', datatype: float64}
# - {name: Halpha, datatype: float64}
# - {name: Halpha_err, datatype: float64}
# - {name: '[NII]6584', datatype: float64}
# - {name: '[NII]6584_err', datatype: float64}
# - {name: '[OIII]4363_ul', datatype: float64}
name Hbeta Hbeta_err [OIII]5007 [OIII]5007_err Halpha Halpha_err [NII]6584 [NII]6584_err [OIII]4363_ul
knot-1 10.0 0.3 31.0 0.9 33.0 1.0 3.1 0.2 0.5
knot-2 4.0 0.2 6.1 0.3 14.2 0.5 4.4 0.2 ""
"""  # noqa: E501 - one row of a table


class Block(NamedTuple):
    """A block of code.

    Attributes:
        page: Its page, as a path in the repository.
        heading: The one above it.
        line: Number of the line that it begins at.
        language: "python" or "sh".
        code: The text.
        excuse: Why it is not run, or "".
    """

    page: str
    heading: str
    line: int
    language: str
    code: str
    excuse: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Those of a page, in order."""
    text, name = page.read_text(), page.relative_to(ROOT).as_posix()
    found = []
    for match in _BLOCK.finditer(text):
        before = text[: match.start()]
        heading, excuse = _HEADING.findall(_BLOCK.sub("", before))[-1], _EXCUSE.search(before)
        line = text[: match.start(2)].count("\n") + 1
        found.append(Block(name, heading, line, *match.groups(), excuse[1] if excuse else ""))
    return found


def to_run(page: Path) -> list[Block]:
    """Those that are run; installing is what `.ci/run` does."""
    if page.relative_to(ROOT).as_posix().startswith(PARSED_ONLY):
        return []
    return [b for b in blocks(page) if not b.excuse and "pip install" not in b.code]


def shortened(code: str) -> str:
    """Code whose trainings take a few steps."""
    for long, short in _SHORTER:
        code = re.sub(long, short, code)
    return code
