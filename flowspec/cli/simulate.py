"""`flowspec simulate`: parameters and their spectra, to HDF5, resumed where it was interrupted."""

import json
from argparse import Namespace
from collections.abc import Callable
from importlib.metadata import version

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from tqdm import tqdm

from flowspec.cli.inputs import expanded, reading
from flowspec.cli.outputs import check_file, make_parents
from flowspec.data.seeds import key_of
from flowspec.data.spectra import Spectra
from flowspec.io import read
from flowspec.io.parts import write_in_parts
from flowspec.prior.mixture import MixedPrior
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.exposure import ExposureNoise
from flowspec.sim.survey.survey import Survey

_AT_ONCE = 128
_PART = 512  # rows, or candidates, of a part of the file


def run(args: Namespace) -> None:
    """Write the file, part by part.

    Raises:
        ValueError: On an unknown instrument, observations without usable data, options that the
            instrument does not have, or parts of another run.
        OSError: If the file cannot be written.
    """
    check_file(args.output, inputs=expanded(args.noise_from, tell=False))
    sim = galaxies(args.instrument, args.noise_from, reading(args))
    survey = isinstance(sim.noise, ExposureNoise)
    if not survey and (args.texp or args.magnitudes):
        raise ValueError(f"expected no --texp or --magnitudes for {args.instrument!r}; got one")
    settings = {
        "simulator": f"GalaxySimulator({args.instrument!r})",
        "prior": json.dumps(sim.prior.config()),
        "noise_from": json.dumps(expanded(args.noise_from, tell=False)),
        "seed": args.seed,
        "flowspec": version("flowspec"),
    }
    if survey:
        options = {"hours": args.texp, "magnitudes": args.magnitudes}
        sim = Survey(sim, **{name: tuple(v) for name, v in options.items() if v})
        settings |= {"hours": sim.hours, "magnitudes": sim.magnitudes}
    names = sim.columns if survey else sim.prior.names
    make = _observed(sim, args.seed) if survey else _drawn(sim, args.seed)
    wave = sim.simulator.wave if survey else sim.wave
    make_parents([args.output])
    with tqdm(total=args.n, unit="spectra", disable=args.quiet or None) as bar:
        write_in_parts(
            args.output, wave, make, args.n,
            param_names=names, settings=settings, progress=bar.update,
        )  # fmt: skip


def galaxies(
    instrument: str, noise_from: list[str], options: dict, share: float = 0.0
) -> GalaxySimulator:
    """The simulator of an instrument, with the noise of observed spectra if any are named.

    A `share` above 0 is that of a population in its prior (`MixedPrior`).

    Raises:
        ValueError: In one line, where the instrument or every one of the spectra is of no use.
    """
    sim = GalaxySimulator(instrument)
    if share:
        sim = GalaxySimulator(instrument, prior=MixedPrior(sim.prior, share))
    if not noise_from:
        return sim
    observed = read(noise_from, **options)
    try:
        return sim.with_noise(observed)
    except ValueError as error:
        raise ValueError(f"{observed.names[0]}: {observed.notes[0] or error}") from None


def _drawn(sim: GalaxySimulator, seed: int) -> Callable:
    """Parts of simulations from the prior."""
    draw, key = eqx.filter_jit(lambda sim, key: sim.draw(key, _AT_ONCE)), key_of(seed)

    def make(part: int) -> tuple[Spectra, np.ndarray]:
        blocks = range(part * _PART // _AT_ONCE, (part + 1) * _PART // _AT_ONCE)
        drawn = [[np.asarray(a) for a in draw(sim, jr.fold_in(key, b))] for b in blocks]
        theta, *data = (np.concatenate(a) for a in zip(*drawn, strict=True))
        return sim.frame.observed(*data), theta

    return make


def _observed(survey: Survey, seed: int) -> Callable:
    """Parts of a survey: the selected among so many candidates."""
    observe, key = eqx.filter_jit(lambda survey, i: survey.observe(key, i)), key_of(seed)

    def make(part: int) -> tuple[Spectra, np.ndarray]:
        flux, ivar, theta = [], [], []
        for start in range(part * _PART, (part + 1) * _PART, _AT_ONCE):
            seen = observe(survey, jnp.arange(start, start + _AT_ONCE))
            for rows, of in ((flux, seen.flux), (ivar, seen.ivar), (theta, seen.theta)):
                rows.append(np.asarray(of)[np.asarray(seen.selected)])
        spectra = Spectra(survey.simulator.wave, np.concatenate(flux), np.concatenate(ivar))
        return spectra, np.concatenate(theta)

    return make
