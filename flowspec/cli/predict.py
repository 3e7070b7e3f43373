"""`flowspec predict`: spectra or line catalogues and a model in, a table of results out."""

import logging
import time
from argparse import Namespace
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from flowspec.cli.inputs import check_inputs, observations, rows_bar
from flowspec.cli.outputs import check_file, check_folder, check_table, make_parents, write_table
from flowspec.data.flags import Flag
from flowspec.io.densities import DensityWriter
from flowspec.io.recorded import KEY, record
from flowspec.io.results import TableWriter
from flowspec.io.samples import SampleWriter
from flowspec.io.source import blaming
from flowspec.posterior.answers import redshift_density
from flowspec.posterior.columns import described, in_order
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.summary import summarized
from flowspec.posterior.table import add_percentiles
from flowspec.prior.galaxies import Population

log = logging.getLogger("flowspec")
# What only spectra, and only lines, are read with.
_OPTIONS = {"pixels": ("flux_unit", "wave_unit", "air", "total"), "lines": ("dereddened", "suffix")}
# Arguments that decide what is in the table, which it records.
RECORDED = ("model", "seed", "num_samples", "by_name", "population", "total", "dereddened",
            "suffix", "flux_unit", "wave_unit", "air", "columns")  # fmt: skip
_WORDS = {"pixels": "spectra", "lines": "lines"}  # in messages


def run(args: Namespace) -> None:
    """Write the table, and the samples if asked for.

    Raises:
        ValueError: If no row has usable data, or an argument is wrong.
        OSError: If an output cannot be written.
    """
    start = time.perf_counter()
    outputs = _checked_outputs(args)
    posterior = load(args.model)
    options = options_of(args, posterior)
    gallery = gallery_of(posterior, args)
    make_parents(outputs)
    loaded, rows = time.perf_counter(), 0
    unusable = _Unusable(_WORDS[posterior.model.frame.kind])
    about = {"model": args.model, "seed": args.seed, "by_name": args.by_name}
    about["flowspec"] = version("flowspec")
    with (
        _samples_file(args, posterior, about) as samples,
        _densities_file(args, posterior, about) as densities,
    ):
        # within: without the table there are no samples either
        with _table_file(args, about) as append, rows_bar(args, posterior.model.frame) as bar:
            for obs in observations(args, posterior.model.frame):
                table, answers = summarized(posterior, obs, **options, first=rows)
                append(table if args.dereddened else _with_silent(table, posterior))
                unusable.count(table)
                if gallery is not None:
                    gallery.offer(obs, table, answers, args.dereddened)
                if samples is not None:
                    samples.append(obs.names, answers.samples)
                if densities is not None:
                    density = redshift_density(posterior.model.space, answers.share)
                    densities.append(obs.names, density)
                rows += len(obs)
                bar.update(len(obs))
            unusable.tell()
    if gallery is not None:
        gallery.write(args.plots, progress=not args.quiet)
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


def gallery_of(posterior: Posterior, args: Namespace):
    """What draws the figures, loaded where they are asked for: matplotlib takes seconds.

    Raises:
        ValueError: If the model lacks a parameter that is to be drawn.
    """
    if not args.plots:
        return None
    figures = import_module("flowspec.cli.figures")
    return figures.Gallery(posterior, args.model, args.top, args.parameters)


def options_of(args: Namespace, posterior: Posterior) -> dict:
    """Of `summarized`, after options that the model's data do not have are refused."""
    kind = posterior.model.frame.kind
    if kind not in _OPTIONS:
        raise ValueError(f"{args.model}: expected a model of spectra or lines; got one of {kind}")
    for other in set(_OPTIONS) - {kind}:
        for option in _OPTIONS[other]:
            if getattr(args, option):
                raise ValueError(f"expected --{option.replace('_', '-')} only with a model of "
                                 f"{_WORDS[other]}; got a model of {_WORDS[kind]}")
    if args.redshift_pdf and posterior.model.space.redshift is None:
        raise ValueError(f"expected --redshift-pdf only with a model of redshifts; got parameters "
                         f"{', '.join(posterior.names)}")
    if args.redshift_pdf and args.population:
        raise ValueError("expected --redshift-pdf without --population, which weights draws; "
                         "--samples has their redshifts")
    options = {"n": args.num_samples, "seed": args.seed}
    options |= {"dereddened": args.dereddened, "by_name": args.by_name, "total": args.total}
    if args.population:
        with blaming(args.model):
            options["population"] = Population(posterior.model.space.priors[0])
    return options


def _samples_file(args: Namespace, posterior: Posterior, about: dict):
    if not args.samples:
        return nullcontext()
    return SampleWriter(args.samples, posterior.names, args.num_samples, about)


def _densities_file(args: Namespace, posterior: Posterior, about: dict):
    if not args.redshift_pdf:
        return nullcontext()
    return DensityWriter(args.redshift_pdf, posterior.model.space.redshift.all_edges(), about)


@contextmanager
def _table_file(args: Namespace, about: dict):
    """What appends a table: to the file for HDF5, else to memory."""
    about = about | {"samples": args.num_samples, "dereddened": args.dereddened}
    said = {name: getattr(args, name) for name in RECORDED}
    about[KEY] = record(args.output, args.spectra, said)
    if args.output.endswith(".h5"):
        with TableWriter(args.output, about) as writer:
            yield writer.append
        return
    tables: list[Table] = []
    yield tables.append
    table = vstack(tables, metadata_conflicts="silent")
    table = table[in_order(table.colnames)]
    table.meta |= about
    write_table(table, args.output)


def _with_silent(table: Table, posterior: Posterior) -> Table:
    """With NaN for parameters of which all rows of a block say nothing: those of others may."""
    for name in posterior.names:
        if f"{name}_p50" not in table.colnames:
            add_percentiles(table, name, np.full((1, len(table)), np.nan, np.float32))
    return described(table, posterior.model.space)


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
