"""`flowspec fit`: train a model on simulations of an instrument or on those of a file."""

import json
import logging
from argparse import Namespace
from dataclasses import fields

import numpy as np
import numpyro.distributions as dist

from flowspec.adaptation.align import Adaptation
from flowspec.adaptation.choose import check_request
from flowspec.cli.grids import nebulae
from flowspec.cli.inputs import expanded, reading
from flowspec.cli.outputs import check_file, make_parents
from flowspec.cli.simulate import galaxies
from flowspec.data.lines import Lines
from flowspec.data.spectra import Spectra
from flowspec.fitting import adapt, fit
from flowspec.io import read, read_lines, read_simulations
from flowspec.io.hdf5 import opened
from flowspec.io.source import blaming
from flowspec.posterior.load import load
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.varied import Varied
from flowspec.sim.stored import Simulations
from flowspec.train.settings import Training

log = logging.getLogger("flowspec")


def run(args: Namespace) -> None:
    """Train and write the model.

    Raises:
        ValueError: On simulations, observations or a checkpoint that are of no use.
        OSError: If the model cannot be written.
    """
    observed = expanded(args.observed, text=bool(args.grid), tell=False)
    check_file(args.output, inputs=[*observed, *filter(None, [args.simulations])])
    if args.checkpoint:
        check_file(args.checkpoint, inputs=[*observed, args.output])
    if (args.population or args.varied) and args.simulations:
        raise ValueError("expected --population and --varied only with --instrument")
    if not args.observed:  # before a word about the model to begin with
        check_request(args.adapt, None)
    start = load(args.start) if args.start else None
    if args.grid or args.lines:
        sim = nebulae(args)
    elif args.instrument:
        sim = galaxies(args.instrument, args.observed, reading(args), args.population)
        if start is not None and start.lesson is not None:
            sim = start.lesson.taught(sim)
            log.info("%s: simulations are as observations had taught them", args.start)
        sim = Varied(sim) if args.varied else sim
    else:
        sim = simulations(args.simulations, reading(args))
    if args.observed and args.simulations and args.adapt == "none":
        raise ValueError("expected observed spectra only with --instrument or --adapt: a file of "
                         "simulations has its noise in it")
    make_parents(filter(None, [args.output, args.checkpoint]))
    given = {f.name: getattr(args, f.name) for f in fields(Training) if f.name in vars(args)}
    training = Training(**given)
    options = {"seed": args.seed, "training": training, "progress": not args.quiet}
    adapting = {"adaptation": Adaptation(steps=args.adapt_steps)}
    further = args.adapt != "none" and args.observed and start is not None
    if further and training.steps == 0:
        posterior = adapt(start, sim, _observed(args), args.adapt, **options, **adapting)
    else:
        if args.adapt != "none":
            options |= {"adapt": args.adapt} | adapting
        if args.adapt != "none" or args.grid:  # an instrument has the noise of its own already
            options["obs"] = _observed(args)
        posterior = fit(sim, start=start, checkpoint=args.checkpoint, **options)
    posterior.save(args.output)
    if best := posterior.provenance["history"]:
        log.info("%s: best validation loss %.3f", args.output, min(row[-1] for row in best))
    if record := posterior.provenance.get("adaptation"):
        log.info("%s: adaptation %s (%s)", args.output, record["method"], record["reason"])


def _observed(args: Namespace) -> Spectra | Lines | None:
    if not args.observed:
        return None
    if not (args.grid or args.lines):
        return read(args.observed, **reading(args))
    given, paths = dict(args.columns), expanded(args.observed, text=True)
    return Lines.concatenate([read_lines(p, columns=given) for p in paths])


def simulations(path: str, options: dict) -> Simulations:
    """A file of simulations and its prior: its attribute `prior`, else flat over what it holds.

    Raises:
        ValueError: In one line naming the file.
    """
    theta, names, spectra = read_simulations(path, **options)
    with blaming(path):
        with opened(path) as file:
            text = file.attrs.get("prior")
        prior = flat_prior(theta, names) if text is None else Prior.from_config(json.loads(text))
        if prior.names != names:
            raise ValueError(f"expected parameters {prior.names} of its prior; got {names}")
        redshift = "z" if "z" in names else None
        return Simulations(theta, spectra.flux, spectra.ivar, spectra.wave, prior,
                           redshift=redshift)  # fmt: skip


def flat_prior(theta: np.ndarray, names: tuple[str, ...]) -> Prior:
    """Flat and independent between the least and the greatest of each parameter [rows, params]."""
    low, high = theta.min(0), theta.max(0)
    if not (high > low).all():
        raise ValueError(f"expected parameters that vary; got {names[int(np.argmin(high - low))]}")
    margin = 1e-3 * (high - low)
    log.warning("no prior in the file: taken as flat between the least and greatest values")
    ends = zip(names, low - margin, high + margin, strict=True)
    return Prior({name: dist.Uniform(float(a), float(b)) for name, a, b in ends})
