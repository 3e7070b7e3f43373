"""Units handed to workers by Dask: its scheduler, its retries, none of our own."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flowspec.cluster.job import Job, write_unit
from flowspec.cluster.units import Unit
from flowspec.io.source import one_line

RETRIES = 2  # of a unit that raises, or whose worker dies


@contextmanager
def connected(where: str) -> Iterator:
    """A client of a cluster that is there, or of workers on this machine for as long as it is open.

    Args:
        where: Address of a scheduler, the file that it wrote, or a number of workers; "" for as
            many as there are cores.

    Raises:
        ValueError: If Dask is not installed or it is none of these.
        OSError: If there is no scheduler.
    """
    try:
        from dask import config
        from distributed import Client, LocalCluster
    except ImportError:
        raise ValueError("expected dask and distributed (python -m pip install "
                         "'flowspec[cluster]'); got none") from None  # fmt: skip
    if where and not where.isdecimal():
        known = {"scheduler_file": where} if Path(where).is_file() else {"address": where}
        try:
            client = Client(**known)
        except (ValueError, OSError) as error:
            raise OSError(f"{where}: expected a Dask scheduler; got {one_line(error)}") from None
        with client:
            yield client
        return
    workers = int(where) if where else len(os.sched_getaffinity(0))
    if workers < 1:
        raise ValueError(f"expected at least one worker; got {where}")
    # Processes that are started anew: JAX does not survive a fork.
    settings = {"distributed.worker.multiprocessing-method": "spawn",
                "distributed.scheduler.allowed-failures": RETRIES}  # fmt: skip
    with (
        config.set(settings),
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
                     dashboard_address=None, silence_logs=logging.CRITICAL) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def submitted(client, units: Sequence[Unit], job: Job) -> Iterator[tuple[Unit, str | None]]:
    """Each unit, as it comes, and why it failed, or None.

    The scheduler has one for each thread: a worker that dies takes no others along, which would
    count against them, and nobody has to keep a hundred thousand in mind.

    Raises:
        OSError: If results cannot be written, which ends the run, or the scheduler is lost.
    """
    from distributed import as_completed

    waiting, futures, running = iter(units), {}, as_completed()

    def fill() -> None:
        most = max(1, sum(client.nthreads().values()))
        while len(futures) < most and (unit := next(waiting, None)) is not None:
            future = client.submit(work, unit, job, retries=RETRIES, pure=False)
            futures[future] = unit
            running.add(future)

    fill()
    try:
        for future in running:
            yield futures.pop(future), _error(future)
            fill()
    finally:
        client.cancel(list(futures))


def work(unit: Unit, job: Job) -> int:
    """`write_unit`, in a worker."""
    # One thread for each: read when XLA starts, so that workers do not crowd the cores.
    os.environ.setdefault("NPROC", "1")
    return write_unit(unit, job)


def _error(future) -> str | None:
    from distributed import KilledWorker

    if future.status == "finished":
        return None
    if future.status != "error":
        raise OSError(f"the Dask scheduler was lost ({future.status}); the same command goes on")
    error = future.exception()
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        raise error
    if isinstance(error, KilledWorker):
        return "every worker that had it died"
    return one_line(error) if isinstance(error, ValueError) else (
        f"{type(error).__name__}: {one_line(error)}")  # fmt: skip
