"""Damaged files are read to a valid object or refused in one line; 20,000 of them: `tests/fuzz`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.originals import originals
from tests.fuzz.outcome import READ, outcome

ROOT = Path(__file__).resolve().parents[1]


def fuzzed(*words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.fuzz", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return done.stdout


def test_the_originals_are_whole_and_the_same_each_time(tmp_path):
    files = originals()
    assert files == originals()
    for name, (kind, content) in files.items():
        (tmp_path / name).write_bytes(content)
        assert outcome(kind, tmp_path / name, content) == READ, name


def test_250_mutants():
    """A crash is printed with its number, from which ``--first N --mutants 1`` makes it again."""
    assert fuzzed("--mutants", "250", "--seed", "7").startswith("250 mutants: ")


@pytest.mark.slow
def test_20000_mutants():
    assert "20000 mutants: " in fuzzed("--mutants", "20000")
