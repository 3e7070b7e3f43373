"""`simulate`: a NumPy function run on draws from a prior, by several processes, to be resumed."""

import inspect
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import jax.random as jr
import numpy as np
from tqdm import tqdm

from flowspec.data.seeds import key_of
from flowspec.io.simulations import read_attrs, write_arrays
from flowspec.prior.prior import Prior
from flowspec.sim import worker
from flowspec.sim.stored import Simulations

log = logging.getLogger("flowspec")
_ROWS = 100  # of a piece of work, where the function takes one at a time
_AHEAD = 2  # pieces per process that wait: memory is bounded by them and the result
_EVERY = 60.0  # seconds between savings


def simulate(
    function: Callable,
    prior: Prior,
    n: int,
    *,
    wave: np.ndarray | None = None,
    noise: float | np.ndarray | Callable | None = None,
    columns: Sequence[str] = (),
    redshift: str | None = None,
    batch: int | None = None,
    workers: int = 1,
    seed: int = 0,
    path: str | Path | None = None,
    progress: bool = True,
) -> Simulations:
    """Run a NumPy simulator on `n` draws from a prior.

    Rows where the function raises an exception, or gives NaN or infinity, are dropped, and counted
    in the log. What is simulated depends on `seed` and `batch`, not on `workers`.

    Args:
        function: Parameters [params] to numbers of any shape, which are taken as one row; or
            ``(theta, rng)``, with a generator of random numbers. Numbers from ``np.random`` are
            seeded for each row too.
        prior: To draw parameters from, in the order of its names.
        n: Number of simulations to run.
        wave: Of spectra, as of `Simulations`, like the three that follow. Spectra need `noise`.
        noise: Standard deviation to add to each row whenever it is used; by default the function's
            numbers are what is observed.
        columns: Names of numbers that are no spectra.
        redshift: Of spectra, "z" if that parameter shifts them.
        batch: Rows that the function takes at once, as [rows, params]; by default one, [params].
        workers: Processes. More than one need a function that can be imported, of a module or of a
            script whose own calls stand below ``if __name__ == "__main__":``.
        seed: Random seed of parameters and functions.
        path: HDF5 file to resume from if it exists, and to save to every minute and at the end,
            interruptions included.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the function fails for all of the first rows, its numbers are not always as
            many, another process cannot import it, or the file is of another run.
    """
    if n < 1 or workers < 1 or (batch is not None and batch < 1):
        raise ValueError(f"expected n, workers and batch of 1 or more; got {n}, {workers}, {batch}")
    if wave is not None and noise is None:
        raise ValueError("expected noise= with wave=, of spectra; got none. Of spectra with noise "
                         "in them: fs.Simulations(theta, flux, ivar, wave, prior)")
    run = _Run(prior, n, seed, batch, path)
    todo = range(run.done // run.rows, -(-n // run.rows))
    with run.saved(), tqdm(total=n, initial=min(run.done, n), unit="row",
                           disable=not progress or None) as bar:  # fmt: skip
        for piece in _pieces(function, run, todo, workers):
            run.add(piece)
            bar.update(len(piece.values))
    theta, values = run.theta[:n], run.values[:n]
    if run.error:
        log.warning("the function raised an exception for some rows, first %s", run.error)
    return Simulations(theta, values, None, wave, prior, noise=noise, columns=columns,
                       redshift=redshift)  # fmt: skip


class _Run:
    """Rows that are done, of which failed ones are NaN, in the order of their numbers.

    Piece `i` has parameters and random numbers of ``(seed, i)``, so that a run may be longer than
    one that it resumes.
    """

    def __init__(self, prior: Prior, n: int, seed: int, batch: int | None, path):
        self.prior, self.seed, self.batch, self.path = prior, seed, batch, path
        self.rows, self.key = batch or _ROWS, key_of(seed)
        whole = -(-n // self.rows) * self.rows
        self.theta = np.full((whole, len(prior.names)), np.nan, np.float32)
        self.values: np.ndarray | None = None
        self.done, self.error, self.when = 0, "", time.monotonic()
        self.record = json.dumps({"prior": prior.config(), "seed": seed, "batch": batch})
        if path is not None and Path(path).exists():
            self._resume()

    def parameters(self, i: int) -> np.ndarray:
        """Of piece `i` [rows, params]."""
        return np.asarray(self.prior.sample(jr.fold_in(self.key, i), (self.rows,)))

    def add(self, piece: worker.Piece) -> None:
        """The next rows."""
        good = [value for value in piece.values if value is not None]
        if not good and self.values is None:
            raise ValueError("expected a function of parameters that works for some of the prior; "
                             f"got {piece.error} for all of the first {len(piece.values)} rows")
        sizes = {len(value) for value in good}
        if self.values is None:
            self.values = np.full((len(self.theta), len(good[0])), np.nan, np.float32)
        if sizes - {self.values.shape[1]}:
            raise ValueError(f"expected {self.values.shape[1]} numbers from the function, as for "
                             f"the first row; got {sorted(sizes - {self.values.shape[1]})[0]}")
        rows = slice(self.done, self.done + len(piece.values))
        self.theta[rows] = self.parameters(self.done // self.rows)
        with np.errstate(over="ignore"):
            for row, value in zip(self.values[rows], piece.values, strict=True):
                row[:] = np.nan if value is None else value
        self.done, self.error = rows.stop, self.error or piece.error
        if time.monotonic() - self.when > _EVERY:
            self._save()

    @contextmanager
    def saved(self):
        """Whatever ends the run, what is done is in its file."""
        before = self.done
        try:
            yield
        finally:
            if self.done > before:
                self._save()

    def _save(self) -> None:
        self.when = time.monotonic()
        if self.path is not None:
            arrays = {"theta": self.theta[: self.done], "x": self.values[: self.done]}
            attrs = {"param_names": list(self.prior.names), "run": self.record,
                     "prior": json.dumps(self.prior.config()), "error": self.error}  # fmt: skip
            write_arrays(self.path, arrays, attrs)

    def _resume(self) -> None:
        arrays, attrs = read_attrs(self.path)
        if attrs.get("run") != self.record:
            raise ValueError(f"{self.path}: expected a run of this prior, seed and batch to resume"
                             "; got another")
        done = min(len(arrays["theta"]), len(self.theta))
        self.values = np.full((len(self.theta), arrays["x"].shape[1]), np.nan, np.float32)
        self.theta[:done], self.values[:done] = arrays["theta"][:done], arrays["x"][:done]
        self.done, self.error = done, attrs["error"]


def _pieces(function, run: _Run, todo: range, workers: int) -> Iterator[worker.Piece]:
    """What the function makes of each piece of work, in order."""
    random = _takes_rng(function)
    given = ((run.parameters(i), (run.seed, i), run.batch is not None, random) for i in todo)
    if workers == 1 or len(todo) < 2:
        yield from (worker.piece(function, *args) for args in given)
        return
    with _processes(function, min(workers, len(todo))) as pool:
        waiting = deque()
        for args in given:
            waiting.append(pool.submit(worker.kept_function, *args))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _processes(function, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that have the function, by spawn, as JAX's threads do not survive a fork."""
    pool = ProcessPoolExecutor(workers, get_context("spawn"), worker.begin, (function,))
    try:
        try:
            pool.submit(worker.ready).result()
        except Exception as error:  # of pickling, or of a process that ended at its import
            raise ValueError(
                "expected a function that other processes can import, of a module or of a script "
                'whose calls stand below `if __name__ == "__main__":`; got '
                f"{getattr(function, '__qualname__', function)} ({type(error).__name__}). Or take "
                "workers=1"
            ) from None
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _takes_rng(function) -> bool:
    """Whether a function takes a generator besides parameters."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of compiled code
        return False
    needed = [p for p in given if p.default is p.empty
              and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]  # fmt: skip
    return len(needed) > 1
