"""Train the model of every kind of object: galaxies, quasars, stars and nothing, at any resolution.

Or, of an instrument for galaxies alone, the model of these. No observation and no label is read.
Spectra of the simulator are cut, coarsened, holed and broken at an arm, as spectrographs see them.
A checkpoint lies beside the model; a run that was stopped goes on from there.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np

import flowspec as fs
from flowspec.data.frame import Pixels
from flowspec.model.model import Model
from flowspec.networks.network import merged
from flowspec.posterior.calibrated import calibrated
from flowspec.sim.instrument.surveyed import Surveyed
from flowspec.sim.instrument.varied import Varied
from flowspec.sim.objects import SHARES as KINDS
from flowspec.sim.objects import objects
from flowspec.sim.simulator import simulate_many

_JUDGED = 4096  # simulations
ALONE = {"prism": (0.0, 0.15, 0.1)}  # galaxies, with such shares
SHARES = (0.25, 0.0, 0.15)  # of spectra with coarser pixels, a shorter range (`Surveyed`), a gap


def run(
    *, instrument: str = "optical", start: str = "", model: str = "optical.safetensors",
    steps: int = 10000, batch: int = 64, rate: float = 1e-3, seed: int = 1, templates: int = 16,
    aligned: int = 24, learned: int = 4,
) -> dict:  # fmt: skip
    """Train a model.

    Args:
        instrument: Of which there is a prior of galaxies.
        start: Model to go on with, or a new one.
        model: File to write.
        steps: Of the optimiser; 0 to take `start` as it is.
        batch: Spectra per step.
        rate: Peak of the learning rate.
        seed: Of everything.
        templates: Of a new network, correlated at every redshift.
        aligned: Of a new network, projected at one redshift.
        learned: Channels that a new network learns, for its redshifts.
    """
    posterior, sim = fs.load(start) if start else None, simulator(instrument)
    if steps:
        if start and sim.source_shares:
            begun = seeing(posterior.model, sim.frame).with_shares(sim.source_shares)
            posterior = replace(posterior, model=begun)
        posterior = _trained(
            sim, posterior, Path(model).with_suffix(".ckpt"), seed=seed,
            training=fs.Training(steps=steps, batch=batch, learning_rate=rate, evaluate=500,
                                 patience=40),
            sizes=fs.Architecture(templates=templates, aligned=aligned, learned=learned),
        )  # fmt: skip
    if len(posterior.sources) > 1:
        posterior = alike(posterior, instrument, seed + 1)
    posterior.save(model, half=True)
    return {"file": model, **posterior.provenance}


def _trained(sim, start, checkpoint, *, seed, training, sizes) -> fs.Posterior:
    """On `sim`, from where a model is, or a new one."""
    return fs.fit(sim, start=start, architecture=None if start else sizes, seed=seed,
                  training=training, checkpoint=checkpoint, progress=False)


def seeing(model: Model, frame: Pixels) -> Model:
    """A model of spectra in another frame of the same pixels.

    Where the new one says how wide line-spread functions are, and the old one did not, the model
    does not heed that to begin with.
    """
    variables = model.variables
    if model.frame.lsf is None and frame.lsf is not None:
        after = 4 + 2 + len(model.space.sources)  # scalars, place of the bin, kind
        for name in ("mix_0", "shortcut"):
            layer = variables["params"][name]
            first, last = np.split(np.asarray(layer["kernel"]), [-after])
            kernel = jnp.asarray(np.concatenate([first, np.zeros_like(last[:2]), last]))
            variables = merged(variables, **{name: layer | {"kernel": kernel}})
    return replace(model, frame=frame, variables=variables)


def alike(posterior: fs.Posterior, instrument: str, seed: int) -> fs.Posterior:
    """The model where every kind is as likely before the data, judged on such simulations.

    In training galaxies are more frequent than they are likely: that is taken back exactly.
    """
    kinds = len(posterior.sources)
    posterior = replace(posterior, model=posterior.model.with_shares([1.0] * kinds))
    made = simulate_many(simulator(instrument, ()), jr.key(seed), _JUDGED)
    return calibrated(posterior, made)


def simulator(
    instrument: str = "optical", shares: Sequence[float] = tuple(KINDS.values())
) -> Varied:
    """What the model is trained on, or with other `shares` of the kinds."""
    if instrument in ALONE:
        return Varied(fs.GalaxySimulator(instrument), ALONE[instrument])
    return Varied(Surveyed(objects(instrument, shares)), SHARES)
