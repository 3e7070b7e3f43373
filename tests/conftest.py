"""Shared fixtures: where the real test data are, and which tests are long."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from flowspec import Posterior, load
from flowspec.model.compiled import VARIABLE, keep_programs
from tests.museum.tiny import FILE

# Tests mostly wait for compilation, which XLA's newer code of fused loops makes twice as long.
FLAG = "--xla_cpu_use_fusion_emitters=false"


def quickly_compiled() -> None:
    """Ask XLA for its older code where it knows that: an unknown flag ends a process."""
    flags = os.environ.get("XLA_FLAGS", "")
    asked = os.environ | {"XLA_FLAGS": f"{flags} {FLAG}"}
    words = [sys.executable, "-c", "import jax; jax.devices()"]
    if FLAG not in flags and subprocess.run(words, env=asked, capture_output=True).returncode == 0:
        os.environ["XLA_FLAGS"] = asked["XLA_FLAGS"]


quickly_compiled()
# One session leaves its programs to the next.
os.environ.setdefault(VARIABLE, str(Path(__file__).parents[1] / ".pytest_cache" / "compiled"))
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # also of processes that tests start
jax.config.update(
    "jax_disable_most_optimizations", os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] != "0"
)
keep_programs()
jax.monitoring.clear_event_listeners()  # no word about compilation amid what tests look at


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_module():
    """Let go of compiled programs between modules.

    Each maps memory of its own, of which a process may have so many pieces (65,530 on Linux): with
    the programs of all tests in one process it ends in a segmentation fault.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > 25_000:
        jax.clear_caches()


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real test data (`FLOWSPEC_TEST_DATA`), or a skip that says what is missing."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("FLOWSPEC_TEST_DATA", root / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"real test data not found at {folder}; set FLOWSPEC_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_model_file() -> Path:
    """A posterior of `tests.problems.line_simulator`, trained for seconds, as a file."""
    return FILE


@pytest.fixture(scope="session")
def tiny_model(tiny_model_file) -> Posterior:
    """That posterior."""
    return load(tiny_model_file)
