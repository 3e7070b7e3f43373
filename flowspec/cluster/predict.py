"""`predict`: files in, a data set of results out; the same bytes whoever works, however often."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from flowspec.cluster.dask import submitted
from flowspec.cluster.job import job_of, write_unit
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
    population: bool = False,
    total: Mapping | None = None,
    dereddened: bool = False,
    suffix: str | None = None,
    columns: Mapping[str, str] | None = None,
    flux_unit: str | None = None,
    wave_unit: str | None = None,
    air: bool | None = None,
    resolving_power: float | None = None,
    progress: bool = False,
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
        population: Whether posteriors are weighted to the galaxies of a survey.
        total: As of `Posterior.summarize`; bands to columns of total magnitudes.
        dereddened: Whether fluxes of lines are corrected for dust.
        suffix: Of columns of lines, see `flowspec.read_lines`.
        columns: As for `flowspec.read`, like all that follow but the last.
        flux_unit: Such as "1e-18 erg/s/cm2/A".
        wave_unit: Such as "nm".
        air: Whether wavelengths are in air.
        resolving_power: λ / FWHM of all spectra.
        progress: Whether to show a progress bar.

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
    kind = {"total": dict(total) if total else None, "dereddened": dereddened, "suffix": suffix,
            "columns": dict(columns or {}), "flux_unit": flux_unit, "wave_unit": wave_unit,
            "air": air, "resolving_power": resolving_power}  # fmt: skip
    job = job_of(model, out, kind, rows=rows, n=n, seed=seed, population=population)
    names = [inputs] if isinstance(inputs, str | Path) else inputs
    lines = model_frame(job.model).kind == "lines"
    units, folder = units_of(map(str, names), rows, job.options, lines=lines), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    there = done(folder, units, job.run)
    waiting = [unit for unit in units if unit not in there]
    if there:
        log.info("%s: %d of %d units are there", folder, len(there), len(units))
    working = _here(waiting, job) if client is None else submitted(client, waiting, job)
    failed = {}
    with tqdm(working, total=len(waiting), unit="unit", disable=not progress or None) as bar:
        for unit, error in bar:
            if error is not None:
                failed[unit] = error
    _finish(folder, units, failed, changed=bool(waiting))
    return folder


def _here(units: Iterable[Unit], job) -> Iterator[tuple[Unit, str | None]]:
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
