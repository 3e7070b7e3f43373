"""Train a model on the simulator that unlabelled spectra taught, from an older model or anew.

The half of a survey's spectra that may be looked at lends noise and teaches nuisances; the other
half judges (`python -m benchmarks sky --model FILE`). No label is read; MOONS has no spectra yet.
Half of the prior are galaxies of `Population`, unless that is switched off: faint ultraviolet
spectra say little of masses, so that a flat prior decides what they are. A checkpoint lies beside
the model; a run that was stopped goes on from there.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np

import flowspec as fs
from benchmarks import real_sdss, real_vandels, scores
from flowspec.adaptation.settings import Adaptation
from flowspec.cli.simulate import galaxies
from flowspec.fitting import continued
from flowspec.posterior.simulators import simulator_of
from flowspec.prior.mixture import MixedPrior
from flowspec.prior.prior import Prior
from flowspec.sim.instrument.varied import Varied
from flowspec.sim.latent import Learned

SPECTRA: dict[str, Callable[[], tuple]] = {
    "sdss": real_sdss.good_galaxies,
    "vandels": real_vandels.survey,
}
SHARES = (0.1, 0.15, 0.15)  # of training spectra with coarser pixels, a shorter range, a gap


def run(
    *, instrument: str = "sdss", start: str = "", model: str = "retrained.safetensors",
    steps: int = 10000, batch: int = 64, rate: float = 1e-3, fits: int = 512, rounds: int = 2,
    seed: int = 11, adapt: str = "nuisances", aligned: int = 0, width: int = 64,
    template_rate: float = 0.1, population: float = 0.5, learned: int = 4, keep: str = "all",
    without: str = "",
) -> dict:  # fmt: skip
    """Train a model.

    Args:
        instrument: "sdss", "vandels", or "moons", which nothing can teach: `adapt` "none".
        start: Model to begin with, by default the shipped one; what it was taught stays.
        model: File to write.
        steps: Of the optimiser.
        batch: Spectra per step.
        rate: Peak of the learning rate.
        fits: Spectra that teach.
        rounds: Of fits.
        seed: Of everything.
        adapt: "nuisances", or "none": the simulator as it is.
        aligned: Of a new network, how many templates it projects at one redshift; 0 to go on with
            the network of `start`. Only with `adapt` "none".
        width: Of the condition and of the conditioners of a new network.
        template_rate: Factor on the learning rate of templates.
        population: Its share in the prior; 0 for a flat one.
        learned: Channels that a new network learns, for its redshifts.
        keep: Of what `start` was taught: "all", "noise", "nuisances" or "nothing".
        without: Names of nuisances, with commas, of which what was taught is forgotten.
    """
    if instrument == "moons":
        begun, obs = fs.load(start or instrument), None
        sim = Varied(galaxies("moons-coarse", [], {}, population))
        begun = replace(begun, model=continued(begun, sim))
    else:
        begun, obs, sim = _taught(instrument, start, population, keep)
        sim = Varied(_forgotten(sim, without.split(",")) if without else sim, SHARES)
    training = fs.Training(
        steps=steps, batch=batch, learning_rate=rate, trial_rate=template_rate,
        rest_rate=template_rate, evaluate=250, patience=40,
    )  # fmt: skip
    sizes = None
    if aligned:
        sizes = fs.Architecture(aligned=aligned, condition=width, width=width, learned=learned)
    posterior = fs.fit(
        sim, obs, start=None if aligned else begun, architecture=sizes, seed=seed,
        training=training, checkpoint=Path(model).with_suffix(".ckpt"), adapt=adapt,
        adaptation=Adaptation(fits=fits, rounds=rounds), progress=False,
    )  # fmt: skip
    posterior.save(model)
    return {"file": model, **posterior.provenance}


def _taught(
    instrument: str, start: str, population: float, keep: str
) -> tuple[fs.Posterior, fs.Spectra, fs.GalaxySimulator]:
    """The model to begin with, the half that may be looked at, the simulator as it was taught."""
    obs, _ = SPECTRA[instrument]()
    begun = fs.load(start or instrument)
    look = np.flatnonzero(~scores.report_half(obs.names))
    old = begun.model.space.priors[0]
    prior = Prior(old.distributions, old.relative)
    prior = MixedPrior(prior, population) if population else prior
    plain = fs.GalaxySimulator(instrument, prior=prior)
    begun = replace(begun, model=continued(begun, plain))
    taught = simulator_of(begun, start or instrument)
    sim = {"all": taught, "noise": _with(plain, taught.residual),
           "nuisances": _with(taught, None), "nothing": plain}[keep]  # fmt: skip
    return begun, obs[look], sim


def _forgotten(sim: fs.GalaxySimulator, names: list[str]) -> fs.GalaxySimulator:
    """The simulator with some nuisances as it had them before it was taught."""
    own = np.isin(np.repeat(sim.layout.names, sim.layout.counts), names)
    mean, slopes, factor = map(np.array, (sim.learned.mean, sim.learned.slopes, sim.learned.factor))
    covariance = factor @ factor.T
    covariance[own] = covariance[:, own] = 0.0
    covariance[own, own] = 1.0
    mean[own], slopes[own] = 0.0, 0.0
    new = Learned(*map(jnp.asarray, (mean, slopes, np.linalg.cholesky(covariance))))
    return eqx.tree_at(lambda s: s.learned, sim, new)


def _with(sim: fs.GalaxySimulator, residual) -> fs.GalaxySimulator:
    """The simulator with other noise than it has; None: as the errors state it."""
    return eqx.tree_at(lambda s: s.residual, sim, residual, is_leaf=lambda x: x is None)
