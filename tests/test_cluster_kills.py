"""Workers and clients of `flowspec predict --dask` killed at random: nothing lost, same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import flowspec as fs
from flowspec.cluster.dask import connected
from tests.test_cluster import content, save_model, spectra

pytest.importorskip("pyarrow")
pytest.importorskip("distributed")
ROOT = Path(__file__).resolve().parents[1]
KILLS = int(os.environ.get("FLOWSPEC_KILLS", "4"))
OPTIONS = {"n": 100, "rows": 40}


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """A model, a file of twenty units, and what is written when nobody is killed."""
    folder = tmp_path_factory.mktemp("problem")
    fs.write(folder / "in.h5", spectra(800, "x"))
    model = save_model(folder / "model")
    with connected("1") as client:
        fs.predict(folder / "in.h5", model, folder / "whole", client=client, **OPTIONS)
    return folder, content(folder / "whole")


@pytest.mark.slow
def test_workers_killed_as_soon_as_a_part_is_there(problem, tmp_path):
    from benchmarks.scale import killing

    folder, whole = problem
    moments = np.cumsum(np.full(KILLS, 3.0))
    with connected("2") as client, killing(client, moments) as killed:
        fs.predict(folder / "in.h5", folder / "model", tmp_path, client=client, **OPTIONS)
    assert killed and content(tmp_path) == whole


@pytest.mark.slow
def test_the_command_killed_and_started_again(problem, tmp_path):
    folder, whole = problem
    words = ["predict", folder / "in.h5", "--model", folder / "model", "-o", tmp_path / "out",
             "--num-samples", "100", "--rows", "40", "--dask", "1", "--quiet"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "flowspec", *map(str, words)]
    for least in (1, 3):  # parts that are there when it is killed
        with subprocess.Popen(command, env=environment) as process:
            while process.poll() is None and count(tmp_path / "out") < least:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    assert count(tmp_path / "out") < 20
    assert subprocess.run(command, env=environment).returncode == 0
    assert content(tmp_path / "out") == whole


def count(folder: Path) -> int:
    return sum(1 for path in folder.glob("*.parquet") if path.name[0] != ".")
