"""`flowspec predict`: spectra and a model in, a table of results out."""

import logging
import time
from argparse import Namespace
from contextlib import nullcontext
from importlib.metadata import version

import numpy as np
from astropy.table import QTable, vstack
from tqdm import tqdm

from flowspec.cli import predict_lines
from flowspec.cli.inputs import blocks, expanded, reading
from flowspec.cli.outputs import TABLES, check_file, write_table
from flowspec.data.flags import Flag
from flowspec.io.samples import SampleWriter
from flowspec.io.source import blaming
from flowspec.posterior.line_posterior import LinePosterior
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.prior.galaxies import Population

log = logging.getLogger("flowspec")


def run(args: Namespace) -> None:
    """Write the table, and the samples if asked for.

    Raises:
        ValueError: If no spectrum has usable data, or an argument is wrong.
        OSError: If an output cannot be written.
    """
    start = time.perf_counter()
    inputs = [*expanded(args.spectra), args.model]
    check_file(args.output, inputs=inputs, endings=[*TABLES, ".h5"])
    if args.samples:
        check_file(args.samples, inputs=[*inputs, args.output])
    posterior = load(args.model)
    if isinstance(posterior, LinePosterior):
        predict_lines.run(args, posterior)
        return
    if args.dereddened or args.suffix:
        raise ValueError("expected --dereddened and --suffix only with a model of lines")
    check_file(args.output, endings=TABLES)
    loaded = time.perf_counter()
    about = {"model": args.model, "seed": args.seed, "flowspec": version("flowspec")}
    with _samples_file(args, posterior, about) as samples:
        table = _table(args, posterior, samples)
        _judge(table)
        table.meta |= about | {"samples": args.num_samples}
        write_table(table, args.output)  # within: without the table there are no samples either
    seconds = time.perf_counter() - loaded
    log.info(
        "%d spectra in %.1f s, %.2g s per spectrum; %.1f s to load the model",
        len(table), seconds, seconds / len(table), loaded - start,
    )  # fmt: skip


def _samples_file(args: Namespace, posterior: Posterior, about: dict):
    if not args.samples:
        return nullcontext()
    return SampleWriter(args.samples, posterior.names, args.num_samples, about)


def _table(args: Namespace, posterior: Posterior, samples: SampleWriter | None) -> QTable:
    tables, first = [], 0
    options = {"n": args.num_samples, "seed": args.seed, "with_samples": True}
    if args.population:
        with blaming(args.model):
            options["population"] = Population(posterior.model.prior)
    with tqdm(unit="spectra", disable=None) as bar:
        for obs in blocks(args.spectra, posterior.wave, reading(args)):
            table, draws = posterior.summarize(obs, **options, first=first)
            tables.append(table)
            if samples is not None:
                samples.append(obs.names, draws)
            first += len(obs)
            bar.update(len(obs))
    return vstack(tables, metadata_conflicts="silent")


def _judge(table: QTable) -> None:
    """Say which spectra have no usable data.

    Raises:
        ValueError: If none has.
    """
    bad = np.flatnonzero(table["flags"] & int(Flag.NO_DATA))
    if not len(bad):
        return
    name, note = (str(table[c][bad[0]]) for c in ("name", "notes"))
    reason = note if name in note else f"{name}: {note}"
    if len(bad) == len(table):
        more = f" (and {len(bad) - 1} more without usable data)" if len(bad) > 1 else ""
        raise ValueError(f"{reason}{more}")
    log.warning("%d of %d spectra have no usable data, such as %s", len(bad), len(table), reason)
