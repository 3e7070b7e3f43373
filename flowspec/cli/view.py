"""`flowspec view`: a page to look at spectra or line catalogues with their posteriors."""

import logging
from argparse import Namespace

from flowspec import pages
from flowspec.cli.grids import grids
from flowspec.cli.inputs import blocks, check_inputs, line_blocks, reading
from flowspec.cli.outputs import make_folder
from flowspec.data.lines import Lines
from flowspec.data.observation import Observation
from flowspec.data.spectra import Spectra
from flowspec.io.named import Named, named_in
from flowspec.pages.page import MOST, plotly_source
from flowspec.posterior.load import load
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.simulators import nebulae_of, simulator_of

log = logging.getLogger("flowspec")


def run(args: Namespace) -> None:
    """Write ``index.html`` to the folder and say where it is.

    Raises:
        ValueError: If there is nothing to show, more than a page holds, or an argument is wrong.
        ImportError: Without Plotly.
        OSError: If the page cannot be written.
    """
    plotly_source()  # before the work
    wanted = named_in(args.rows) if args.rows else None
    check_inputs(args.files)
    posterior = load(args.model)
    obs = _observed(args, posterior, wanted)
    if not obs.usable.any():
        raise ValueError(f"{obs.names[0]}: {obs.notes[0]}")
    folder = make_folder(args.output)
    sim = _simulator(args, posterior)
    options = {"fits": args.fits, "n": args.num_samples, "seed": args.seed}
    options |= {"title": args.title, "model": args.model, "dereddened": args.dereddened}
    path = pages.view(obs, posterior, folder, sim=sim, **options)
    size = path.stat().st_size / 1e6
    print(f"{path}: {len(obs)} rows, {size:.1f} MB; open it in a browser")


def _observed(args: Namespace, posterior: Posterior, wanted: Named | None) -> Observation:
    """All rows, or those wanted in their order; no more than a page holds."""
    kind, parts, count = posterior.model.frame.kind, [], 0
    if kind == "lines":
        source = line_blocks(args.files, dict(args.columns), args.suffix)
        source = (part.select(posterior.lines) for part in source)
    elif kind == "pixels":
        source = blocks(args.files, posterior.wave, reading(args))
    else:
        raise ValueError(f"{args.model}: expected a model of spectra or lines; got one of {kind}")
    for part in source:
        part = part if wanted is None else part[wanted.places(part.names)]
        parts, count = [*parts, part], count + len(part)
        if count > MOST:
            raise ValueError(f"expected at most {MOST} rows for one page; got more: name fewer "
                             "files, or a table of some of the rows (--rows)")
    obs = (Lines if kind == "lines" else Spectra).concatenate([p for p in parts if len(p)] or parts)
    return obs if wanted is None else obs[wanted.ordered(obs.names)]


def _simulator(args: Namespace, posterior: Posterior):
    """What the model was trained on, if it is known; what that costs the page is told."""
    try:
        if posterior.model.frame.kind == "lines":
            return nebulae_of(posterior, args.model, grids(args.grid))
        return simulator_of(posterior, args.model)
    except ValueError as error:
        if args.grid:
            raise
        log.info("no simulator for the page: %s", error)
        return None
