"""Commands killed at random moments leave nothing half-written; run again, they end in the same.

``FLOWSPEC_KILLS=30 pytest -m slow tests/test_kills.py`` for more than the eight kills by default.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from flowspec.posterior.files import read_model

ROOT = Path(__file__).resolve().parents[1]
KILLS = int(os.environ.get("FLOWSPEC_KILLS", "8"))
NUMBERS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LINES = ["Hbeta", "[OIII]5007", "Halpha", "[NII]6584", "[SII]6717,6731"]
PREDICT = ["predict", "../spectra.h5", "--model", "sdss", "--num-samples", "100"]
# Command -> its words and what it writes; a checkpoint stays.
COMMANDS = {
    "simulate": (["simulate", "sdss", "--n", "600", "-o", "sims.h5"], {"sims.h5"}),
    "fit": (["fit", "--grid", "mappings", "--lines", *LINES, "--steps", "60", "--batch", "32",
             "--validation", "64", "--evaluate", "20", "--checkpoint", "run", "-o", "model"],
            {"model", "run"}),
    "ecsv": ([*PREDICT, "-o", "out.ecsv", "--samples", "samples.h5"], {"out.ecsv", "samples.h5"}),
    "hdf5": ([*PREDICT, "-o", "out.h5", "--samples", "samples.h5"], {"out.h5", "samples.h5"}),
}  # fmt: skip


def started(words, folder: Path) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    # Signals reach the process as from a shell: one that this one ignores it would ignore too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen([sys.executable, "-m", "flowspec", *words], cwd=folder,
                            env=environment, stderr=subprocess.PIPE, text=True)  # fmt: skip


def ended(words, folder: Path) -> None:
    with started(words, folder) as process:
        _, err = process.communicate()
    assert process.returncode == 0, err


def killed(words, folder: Path, number, seconds: float, rng) -> tuple[int, str, float]:
    """Kill a command while it runs: one that was done before starts again, killed earlier.

    Returns:
        Its exit status, what it said, and how long it takes at most.
    """
    while True:
        start = time.monotonic()
        with started(words, folder) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds * rng.uniform(0.2, 1.0))
            process.send_signal(number)
            _, err = process.communicate()
        if process.returncode != 0:
            return process.returncode, err, seconds
        seconds = min(seconds, time.monotonic() - start)
        shutil.rmtree(folder)


def content(path: Path):
    """What must be the same: all bytes, of a model all but how long its training took."""
    if path.name != "model":
        return path.read_bytes()
    config, arrays = read_model(path)
    config["provenance"].pop("cpu_seconds")
    return config, {name: array.tobytes() for name, array in arrays.items()}


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path):
    ended(["simulate", "sdss", "--n", "300", "-o", "spectra.h5"], tmp_path)
    whole, seconds = {}, {}
    for name, (words, written) in COMMANDS.items():
        for _ in range(2):  # the first compiles
            start = time.monotonic()
            ended(words, tmp_path / name)
            seconds[name] = time.monotonic() - start
            if name == "fit":
                (tmp_path / name / "run").rename(tmp_path / "run")
        whole[name] = {file: content(tmp_path / name / file) for file in written - {"run"}}
    rng = np.random.default_rng(11)
    for i in range(KILLS):
        name = list(COMMANDS)[i % len(COMMANDS)]
        number = NUMBERS[i // len(COMMANDS) % len(NUMBERS)]
        words, written = COMMANDS[name]
        folder = tmp_path / f"{name}-{i}"
        code, err, seconds[name] = killed(words, folder, number, seconds[name], rng)
        print(i, name, number.name, code, sorted(os.listdir(folder)), flush=True)
        check_left(folder, written, whole[name], number, code, err)
        ended(words, folder)
        assert set(os.listdir(folder)) == written
        assert {f: content(folder / f) for f in whole[name]} == whole[name], name


def check_left(folder, written, whole, number, code, err):
    """Whole files or none; beside them what the next run goes on with or removes."""
    found = set(os.listdir(folder))
    for file in found & set(whole):
        assert content(folder / file) == whole[file], file
    hidden = {file for file in found - written if file.startswith(".")}
    assert found <= written | hidden, found
    assert code in (128 + number, -number), (code, err)
    if number != signal.SIGKILL:
        assert all(file.endswith(".parts") for file in hidden), hidden
    if code == 128 + number:
        assert err.splitlines()[-1].startswith("error: "), err
