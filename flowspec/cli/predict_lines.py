"""`flowspec predict` with a model of emission lines: catalogues in, a table of results out."""

import logging
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from astropy.table import vstack
from tqdm import tqdm

from flowspec.cli.inputs import expanded
from flowspec.cli.outputs import write_table
from flowspec.data.lines import Lines
from flowspec.io import read_lines, stream_lines
from flowspec.io.results import TableWriter
from flowspec.io.source import is_hdf5
from flowspec.posterior.line_posterior import LinePosterior

log = logging.getLogger("flowspec")
_ROWS = 8192  # at once: 500 draws of four parameters are 66 MB


def run(args: Namespace, posterior: LinePosterior) -> None:
    """Write the table.

    Raises:
        ValueError: If a catalogue is of no use, or an option is one of spectra only.
        OSError: If the output cannot be written.
    """
    start = time.perf_counter()
    for option in ("samples", "population", "flux_unit", "wave_unit", "air"):
        if getattr(args, option):
            raise ValueError(f"expected no --{option.replace('_', '-')} with a model of lines")
    about = {"model": args.model, "seed": args.seed, "flowspec": version("flowspec")}
    about |= {"samples": args.num_samples, "dereddened": args.dereddened}
    options = {"n": args.num_samples, "seed": args.seed, "dereddened": args.dereddened}
    first = 0
    with _output(args.output, about) as append, tqdm(unit="rows", disable=None) as bar:
        for obs in _blocks(args):
            append(posterior.summarize(obs, **options, first=first))
            first += len(obs)
            bar.update(len(obs))
    seconds = time.perf_counter() - start
    log.info("%d rows in %.1f s, %.2g s per row", first, seconds, seconds / max(first, 1))


def _blocks(args: Namespace) -> Iterator[Lines]:
    for path in expanded(args.spectra):
        if is_hdf5(path):
            yield from stream_lines(path, _ROWS)
        else:
            yield read_lines(path, columns=dict(args.columns), suffix=args.suffix)


@contextmanager
def _output(path: str, about: dict):
    """What appends a table: to memory for ECSV and FITS, to the file for HDF5."""
    if path.endswith(".h5"):
        with TableWriter(path, about) as writer:
            yield writer.append
        return
    tables = []
    yield tables.append
    table = vstack(tables, metadata_conflicts="silent")
    table.meta |= about
    write_table(table, path)
