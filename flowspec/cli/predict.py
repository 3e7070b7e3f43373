"""`flowspec predict`: spectra, line catalogues or maps and a model in, results out."""

import logging
import time
from argparse import Namespace
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from flowspec.cli.answering import OneModel
from flowspec.cli.auto import ChosenModels, answering
from flowspec.cli.inputs import check_inputs, rows_bar
from flowspec.cli.outputs import check_file, check_folder, check_table, make_parents, write_table
from flowspec.data.flags import Flag
from flowspec.io.blocks import WORDS
from flowspec.io.densities import DensityWriter
from flowspec.io.line_table import maps_of
from flowspec.io.map_grid import MapGrid
from flowspec.io.maps import maps_file
from flowspec.io.paths import expanded
from flowspec.io.recorded import KEY, record
from flowspec.io.results import TableWriter
from flowspec.io.samples import SampleWriter
from flowspec.posterior.answers import redshift_density
from flowspec.posterior.columns import in_order

log = logging.getLogger("flowspec")
# Arguments that decide what is in the table, which it records.
RECORDED = ("model", "seed", "num_samples", "by_name", "population", "total", "dereddened",
            "suffix", "flux_unit", "wave_unit", "air", "columns", "resolving_power")  # fmt: skip


def run(args: Namespace) -> None:
    """Write the table, and the samples if asked for.

    Raises:
        ValueError: If no row has usable data, or an argument is wrong.
        OSError: If an output cannot be written.
    """
    if args.dask is not None:
        import_module("flowspec.cli.cluster").run(args)
        return
    start = time.perf_counter()
    outputs = _checked_outputs(args)
    by = answering(args)
    galleries = _galleries(args, by)
    make_parents(outputs)
    loaded, rows = time.perf_counter(), 0
    unusable = _Unusable(WORDS[by.frame.kind])
    about = {"model": args.model, "seed": args.seed, "by_name": args.by_name}
    about["flowspec"] = version("flowspec")
    with _samples_file(args, by, about) as samples, _densities_file(args, by, about) as densities:
        # within: without the table there are no samples either
        with _table_file(args, by, about) as append, rows_bar(args, by.frame) as bar:
            for table, answered in by.blocks():
                append(table)
                unusable.count(table)
                for one in answered:
                    if galleries is not None:
                        galleries.offer(one, args.dereddened)
                    if samples is not None:
                        samples.append(one.obs.names, one.answers.samples)
                    if densities is not None:
                        density = redshift_density(one.posterior.model.space, one.answers.share)
                        densities.append(one.obs.names, density)
                rows += len(table)
                bar.update(len(table))
            unusable.tell()
    if galleries is not None:
        galleries.write(args.plots, progress=not args.quiet)
    seconds = time.perf_counter() - loaded
    log.info(
        "%d rows in %.1f s, %.2g s per row; %.1f s to load the model",
        rows, seconds, seconds / max(rows, 1), loaded - start,
    )  # fmt: skip


def _checked_outputs(args: Namespace) -> list[str]:
    """The files to write, after they and those to read are known to be possible."""
    taken = [*check_inputs(args.spectra), args.model]
    check_table(args.output, inputs=taken)
    outputs = [args.output]
    for path in filter(None, [args.samples, args.redshift_pdf]):
        if any(Path(path).absolute() == Path(other).absolute() for other in outputs):
            raise ValueError(f"{path}: expected another file for each output")
        check_file(path, inputs=[*taken, *outputs])
        outputs.append(path)
    if args.plots:
        check_folder(args.plots)
    return outputs


def _galleries(args: Namespace, by: OneModel | ChosenModels):
    """What draws the figures, loaded where they are asked for: matplotlib takes seconds.

    Raises:
        ValueError: If the model lacks a parameter that is to be drawn.
    """
    if not args.plots:
        return None
    figures = import_module("flowspec.cli.figures")
    return figures.Galleries(by, args.top, args.parameters)


def _samples_file(args: Namespace, by: OneModel | ChosenModels, about: dict):
    if not args.samples:
        return nullcontext()
    return SampleWriter(args.samples, by.posterior.names, args.num_samples, about)


def _densities_file(args: Namespace, by: OneModel | ChosenModels, about: dict):
    if not args.redshift_pdf:
        return nullcontext()
    edges = by.posterior.model.space.redshift.all_edges()
    return DensityWriter(args.redshift_pdf, edges, about)


@contextmanager
def _table_file(args: Namespace, by: OneModel | ChosenModels, about: dict):
    """What appends a table: to the file for HDF5, to maps if the input is maps and the file FITS,
    else to memory."""
    about = about | {"samples": args.num_samples, "dereddened": args.dereddened}
    said = {name: getattr(args, name) for name in RECORDED}
    about[KEY] = record(args.output, args.spectra, said)
    if args.output.endswith(".h5"):
        with TableWriter(args.output, about) as writer:
            yield writer.append
        return
    if (grid := _maps(args, by)) is not None:
        with maps_file(args.output, grid, about) as append:
            yield append
        return
    tables: list[Table] = []
    yield tables.append
    table = vstack(tables, metadata_conflicts="silent")
    table = table[in_order(table.colnames)]
    table.meta |= about
    write_table(table, args.output)


def _maps(args: Namespace, by: OneModel | ChosenModels) -> MapGrid | None:
    """The pixels of the maps to write; None where a table is to be written: of spectra, of several
    files, and to files that are not FITS."""
    if by.frame.kind != "lines" or not args.output.endswith(".fits"):
        return None
    paths = expanded(args.spectra, text=True, tell=False)
    return maps_of(paths[0], dict(args.columns), args.suffix) if len(paths) == 1 else None


class _Unusable:
    """Rows without usable data: how many, and what is wrong with the first.

    Args:
        word: For the rows in messages.
    """

    def __init__(self, word: str):
        self._word, self._rows, self._bad, self._reason = word, 0, 0, ""

    def count(self, table: Table) -> None:
        """Look at some more rows."""
        bad = np.flatnonzero(table["flags"] & int(Flag.NO_DATA))
        if len(bad) and not self._bad:
            name, note = (str(table[c][bad[0]]) for c in ("name", "notes"))
            self._reason = note if name in note else f"{name}: {note}"
        self._rows, self._bad = self._rows + len(table), self._bad + len(bad)

    def tell(self) -> None:
        """Say in the log that there are some.

        Raises:
            ValueError: If no row has any.
        """
        if self._bad and self._bad == self._rows:
            more = f" (and {self._bad - 1} more without usable data)" if self._bad > 1 else ""
            raise ValueError(f"{self._reason}{more}")
        if self._bad:
            counts = self._bad, self._rows, self._word
            log.warning("%d of %d %s have no usable data, such as %s", *counts, self._reason)
