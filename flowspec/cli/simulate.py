"""`flowspec simulate`: parameters from the prior and their spectra, to HDF5."""

import json
from argparse import Namespace

import equinox as eqx
import jax.random as jr
import numpy as np
from tqdm import tqdm

from flowspec.cli.inputs import expanded, reading
from flowspec.cli.outputs import check_file
from flowspec.io import Writer, read
from flowspec.sim.galaxy import GalaxySimulator
from flowspec.spectra import Spectra

_AT_ONCE = 256


def run(args: Namespace) -> None:
    """Write the file, block by block.

    Raises:
        ValueError: On an unknown instrument, or observations without usable data.
        OSError: If the file cannot be written.
    """
    check_file(args.output, inputs=expanded(args.noise_from))
    sim = galaxies(args.instrument, args.noise_from, reading(args))
    attrs = {
        "simulator": f"GalaxySimulator({args.instrument!r})",
        "prior": json.dumps(sim.prior.config()),
        "seed": args.seed,
    }
    draw, key = eqx.filter_jit(lambda sim, key: sim.draw(key, _AT_ONCE)), jr.key(args.seed)
    names = sim.prior.names
    with Writer(args.output, sim.wave, param_names=names, attrs=attrs) as file:
        for start in tqdm(range(0, args.n, _AT_ONCE), unit="block", disable=None):
            drawn = draw(sim, jr.fold_in(key, start // _AT_ONCE))
            theta, flux, ivar = (np.asarray(a)[: args.n - start] for a in drawn)
            file.append(Spectra(sim.wave, flux, ivar), theta)


def galaxies(instrument: str, noise_from: list[str], options: dict) -> GalaxySimulator:
    """The simulator of an instrument, with the noise of observed spectra if any are named.

    Raises:
        ValueError: In one line, where the instrument or every one of the spectra is of no use.
    """
    sim = GalaxySimulator(instrument)
    if not noise_from:
        return sim
    observed = read(noise_from, **options)
    try:
        return sim.with_noise(observed)
    except ValueError as error:
        raise ValueError(f"{observed.names[0]}: {observed.notes[0] or error}") from None
