"""`fs.predict` by Dask: units times workers, workers killed at random; rates, memory, bytes.

Spectra are simulated once and repeated with fresh noise. The same file goes through each number of
workers, and once more while workers are killed (SIGKILL) at random moments; all must write the
same bytes. Seconds are from the first unit to the last: workers are there, nothing is compiled yet
in them, programs may be on disk.
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import equinox as eqx
import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import harness
from flowspec.cluster.dask import connected
from flowspec.io.writing import Writer


def run(
    *,
    model: str = "sdss",
    instrument: str = "sdss",
    units: int = 8,
    rows: int = 256,
    workers: str = "1 2",
    kills: int = 3,
    draws: int = 200,
    seed: int = 0,
) -> dict:
    """Measure.

    Args:
        model: Name of a shipped model or a model file, of that instrument.
        instrument: Of the simulator.
        units: How many, of one file.
        rows: Of a unit.
        workers: Numbers of workers; the last is that of the run with kills.
        kills: Of workers, at random moments of that run.
        draws: Per spectrum.
        seed: Of simulations, draws and moments.
    """
    counts = [int(word) for word in workers.split()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spectra.h5"
        tiled(path, fs.GalaxySimulator(instrument), units * rows, seed)
        options = {"rows": rows, "n": draws, "seed": seed}
        runs = {}
        for count in counts:
            out = Path(folder) / str(count)
            runs[f"{count} workers"] = predicted(path, model, out, count, **options)
        whole = content(Path(folder) / str(counts[0]))
        same = [content(Path(folder) / str(count)) == whole for count in counts[1:]]
        if kills:
            out, about = Path(folder) / "killed", f"{counts[-1]} workers, {kills} killed"
            moments = spread(runs[f"{counts[-1]} workers"]["seconds"], kills, seed)
            runs[about] = predicted(path, model, out, counts[-1], moments, **options)
            same.append(content(out) == whole)
        return {
            "spectra": units * rows,
            "input_mb": path.stat().st_size / 1e6,
            "output_mb": sum(map(len, whole.values())) / 1e6,
            "same bytes": all(same),
            "runs": runs,
        }


def tiled(path: Path, simulator, count: int, seed: int, at_once: int = 256) -> None:
    """Write `count` spectra, the same ones again and again with other noise.

    Args:
        path: Of the HDF5 file.
        simulator: Of the spectra.
        count: How many.
        seed: Of spectra and noise.
        at_once: How many different ones there are.
    """
    made = eqx.filter_jit(lambda sim, key: sim.draw(key, at_once))(simulator, jr.key(seed))
    _, flux, ivar = map(np.asarray, made)
    sigma = np.where(ivar > 0, 1 / np.sqrt(np.where(ivar > 0, ivar, 1)), 0)
    rng = np.random.default_rng(seed)
    with Writer(path, simulator.wave) as file:
        for start in range(0, count, at_once):
            again = flux + sigma * rng.normal(size=sigma.shape)
            names = [f"{start + i}" for i in range(at_once)]
            # the noise of the first time is still there: twice the variance
            own = fs.Spectra(simulator.wave, again, ivar / 2, names=names)
            file.append(own[: count - start])


def predicted(
    path: Path, model: str, out: Path, workers: int, moments: Sequence[float] = (), **options
) -> dict:
    """One run with fresh workers: seconds, rate, CPU seconds and memory of those that are left."""
    with connected(str(workers)) as client:
        client.wait_for_workers(workers)
        start = time.perf_counter()
        with killing(client, moments) as killed:
            fs.predict(path, model, out, client=client, **options)
        seconds = time.perf_counter() - start
        memory = max(client.run(harness.resident, "VmHWM").values())
        cpu = sum(client.run(time.process_time).values())
    found = sum(1 for _ in out.glob("*.parquet"))
    return {
        "seconds": seconds,
        "spectra_per_s": found * options["rows"] / seconds,
        "cpu_s": cpu,
        "memory_gb": memory,
        "killed": len(killed),
        "parts": found,
        "failed": (out / "_failed.jsonl").exists(),
    }


@contextmanager
def killing(client, moments: Sequence[float]) -> Iterator[list[int]]:
    """Kill a random worker at each of some moments, in seconds from the start of the block."""
    killed: list[int] = []
    over, rng = threading.Event(), np.random.default_rng(len(moments))

    def kill() -> None:
        start = time.perf_counter()
        for moment in moments:
            if over.wait(max(0.0, moment - (time.perf_counter() - start))):
                return
            alive = [process.pid for worker in client.cluster.workers.values()
                     if (process := worker.process.process) is not None]  # fmt: skip
            alive = [pid for pid in alive if pid is not None]
            if alive:
                killed.append(int(rng.choice(alive)))
                os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def spread(seconds: float, count: int, seed: int) -> list[float]:
    """Random moments of a run that takes so long, in order."""
    return sorted(np.random.default_rng(seed).uniform(0.1, 0.9, count) * seconds)


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of a data set."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}
