"""Freed memory is kept: the same program does not have its arrays cleared again at each call."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = 40e6 / 4096  # of one array of the program
# Transforms have their arguments and results in arrays; median faults of some calls: the first, and
# some of those by two threads, need more memory than was kept.
PROGRAM = """
import resource, jax, jax.numpy as jnp
from flowspec.model.memory import keep_memory
print(keep_memory())
x = jnp.ones((1000, 10000))
program = jax.jit(lambda x: jnp.fft.irfft(jnp.abs(jnp.fft.rfft(x))).sum())
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    program(x).block_until_ready()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(sorted(faults() for _ in range(41))[20])
"""


def pages(setting: str) -> tuple[str, float]:
    """Whether memory is kept, and pages cleared for a call of the program."""
    environment = os.environ | {"FLOWSPEC_MEMORY": setting, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True,
                          cwd=ROOT, env=environment, check=True)  # fmt: skip
    kept, count = done.stdout.split()
    return kept, float(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_pages_are_cleared_once():
    kept, few = pages("")
    off, many = pages("off")
    assert (kept, off) == ("True", "False")
    assert many > PAGES  # an array of 40 MB at least, or this test shows nothing
    assert few < 0.05 * many
