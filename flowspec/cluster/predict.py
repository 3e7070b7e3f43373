"""`predict`: files in, a data set of results out; the same bytes whoever works, however often."""

import json
import logging
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from flowspec.cluster.dask import submitted
from flowspec.cluster.job import Job, job_of, write_unit
from flowspec.cluster.parts import done, write_metadata
from flowspec.cluster.units import Unit, units_of
from flowspec.data.atomic import replacing
from flowspec.io.source import one_line
from flowspec.posterior.headers import model_frame

log = logging.getLogger("flowspec")
FAILED = "_failed.jsonl"  # readers of data sets pass over names with _


def predict(
    inputs: str | Path | Iterable[str | Path],
    model: str | Path,
    out: str | Path,
    *,
    client=None,
    rows: int = 8192,
    n: int = 500,
    seed: int = 0,
    progress: bool = False,
    **options,
) -> Path:
    """Write what a model says of all rows of files to a folder, a Parquet data set.

    A unit of work is a file, or a block of rows of a large HDF5 or Parquet file. Its results are
    one Parquet file, under its final name once they are whole; the footer has the hash of input
    (name, size, time of change), content of the model, and options. The same call again goes on:
    what is done stays, what failed is tried again. Draws are keyed by the names of rows, so that
    the bytes are the same for any number and any fate of workers, on processors of one kind.

    Rows that cannot be used are flagged. Units that cannot be read, or whose workers died, are
    listed in ``_failed.jsonl``, after two retries by Dask.

    Args:
        inputs: Files, patterns or folders, that all workers see under these names.
        model: Name of a shipped model, or its file.
        out: Folder of the results; made if need be.
        client: `distributed.Client` of the workers; without one this process does the work.
        rows: Of a unit at most, where a file may be cut. 1,024 are in memory at once.
        n: Draws per row.
        seed: Random seed.
        progress: Whether to show a progress bar.
        **options: ``population=True`` weights posteriors to the galaxies of a survey; ``total`` and
            ``dereddened`` as for `Posterior.summarize`, the former with names of columns;
            ``columns``, ``flux_unit``, ``wave_unit``, ``air``, ``resolving_power`` as for
            `flowspec.read`; ``suffix`` as for `flowspec.read_lines`.

    Returns:
        The folder.

    Raises:
        ValueError: If the folder has parts of another model or other options, an argument is
            wrong, or no unit could be done.
        OSError: If results cannot be written, or the scheduler is lost; the same call goes on.
    """
    if find_spec("pyarrow") is None:
        raise ValueError("expected pyarrow, which writes Parquet (python -m pip install "
                         "'flowspec[cluster]'); got none")
    job = job_of(model, out, rows=rows, n=n, seed=seed, **options)
    names = [inputs] if isinstance(inputs, str | Path) else inputs
    lines = model_frame(job.model).kind == "lines"
    units = units_of(map(str, names), rows, job.options, lines=lines)
    _worked(units, job, client, progress)
    return Path(out)


def _worked(units: list[Unit], job: Job, client, progress: bool) -> None:
    """Do what is not done yet, and tell what could not be."""
    folder, failed = Path(job.out), {}
    folder.mkdir(parents=True, exist_ok=True)
    there = done(folder, units, job.run)
    waiting = [unit for unit in units if unit not in there]
    if there:
        log.info("%s: %d of %d units are there", folder, len(there), len(units))
    working = _here(waiting, job) if client is None else submitted(client, waiting, job)
    with tqdm(working, total=len(waiting), unit="unit", disable=not progress or None) as bar:
        for unit, error in bar:
            if error is not None:
                failed[unit] = error
    _finish(folder, units, failed, changed=bool(waiting))


def _here(units: Iterable[Unit], job: Job) -> Iterator[tuple[Unit, str | None]]:
    """Each unit and why it failed, or None, worked on in this process."""
    for unit in units:
        try:
            write_unit(unit, job)
            yield unit, None
        except ValueError as error:
            yield unit, one_line(error)


def _finish(folder: Path, units: list[Unit], failed: dict[Unit, str], changed: bool) -> None:
    """Write what is told of all units; nothing where nothing was done.

    Raises:
        ValueError: If all failed.
    """
    listed = [{"path": unit.path, "start": unit.start, "stop": unit.stop, "error": failed[unit]}
              for unit in units if unit in failed]  # fmt: skip
    if listed:
        with replacing(folder / FAILED) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in listed))
        log.warning("%s: %d of %d units failed, such as %s", folder / FAILED, len(listed),
                    len(units), listed[0]["error"])  # fmt: skip
    else:
        (folder / FAILED).unlink(missing_ok=True)
    if len(listed) == len(units):
        more = f" (and {len(units) - 1} more units)" if len(units) > 1 else ""
        raise ValueError(f"{listed[0]['error']}{more}")
    if changed or not (folder / "_common_metadata").exists():
        write_metadata(folder, units)
