"""What stands about the package: types of the public names, limits of its dependencies."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
USAGE, MISTAKES = "tests/typed_usage.py", "tests/typed_mistakes.py"


def test_a_type_checker_accepts_right_use_and_finds_mistakes():
    words = [sys.executable, "-m", "mypy", "--no-error-summary", USAGE, MISTAKES]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stderr, done.stdout + done.stderr
    found = re.findall(r"^(\S+?):(\d+): error: .*$", done.stdout, re.MULTILINE)
    lines = (ROOT / MISTAKES).read_text().splitlines()
    wrong = {i for i, line in enumerate(lines, 1) if "# refused" in line}
    assert {file for file, _ in found} == {MISTAKES}, done.stdout
    assert {int(line) for _, line in found} == wrong, done.stdout


def test_the_lower_limits_are_those_that_are_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    limits = {words.partition(",")[0].replace(">=", "==") for words in project["dependencies"]}
    tried = (ROOT / ".ci" / "minimal.txt").read_text().splitlines()
    assert limits == {line for line in tried if not line.startswith("#")}
