"""A simulator taught, without labels, how observations differ from what it draws."""

import logging
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from flowspec.adaptation.nuisances import best_population, conditional, likelihoods
from flowspec.adaptation.residuals import information_share, measured_noise, rest_templates
from flowspec.adaptation.settings import Adaptation
from flowspec.data.spectra import Spectra
from flowspec.posterior.posterior import Posterior
from flowspec.sim.explicit import Fitted
from flowspec.sim.forward import redshifts
from flowspec.sim.simulator import Simulator
from flowspec.sim.spectrum import SpectrumSimulator

log = logging.getLogger("flowspec")
LARGEST = 3.0  # reduced chi2 of a fit that counts
STARTS = 4  # posterior draws that the first fits begin at
FEWEST = 50  # fits that count


class Round(NamedTuple):
    """What one round of fits taught.

    Attributes:
        simulator: That draws nuisances and noise as observations have them.
        fit: Of the observations, with the simulator before.
        record: JSON-ready.
    """

    simulator: SpectrumSimulator
    fit: Fitted
    record: dict


def taught(
    sim: SpectrumSimulator, obs: Spectra, start: Float[ArrayLike, "starts batch params"]
) -> Round:
    """Teach a simulator by fits to observations: noise, templates, latents at given parameters.

    New templates are looked for only where the simulator has none that were learned.

    Args:
        sim: The simulator.
        obs: Unlabelled spectra.
        start: Parameters to start the fits from, such as posterior draws.

    Raises:
        ValueError: If fewer than `FEWEST` of the fits are good.
    """
    whole = sim.fit(obs, start)
    good = np.flatnonzero(np.isfinite(whole.log_evidence) & (whole.chi2 < LARGEST))
    if len(good) < FEWEST:
        raise ValueError(f"expected at least {FEWEST} spectra that the simulator fits; got "
                         f"{len(good)} of {len(obs)}")
    fit = Fitted(*(a[good] for a in whole))
    noise = measured_noise(fit)
    params = fit.theta.shape[1]
    held = np.concatenate([np.zeros(params), sim.known])
    given = likelihoods(fit, sim.learned, information_share(noise))
    joint, gains = best_population(given, held)
    new = eqx.tree_at(lambda s: s.learned, sim, conditional(joint, params))
    record = {
        "fits": len(good), "of": len(obs), "chi2": _percentiles(fit.chi2),
        "gain_by_strength": {f"{k:g}": round(v, 2) for k, v in gains.items()},
        "noise": round(float(np.median(noise.size)), 3), "outliers": float(noise.outliers),
        "mean": _by_name(sim, joint.mean[params:]),
        "scatter": _by_name(sim, np.sqrt(np.diag(joint.covariance)[params:])),
    }  # fmt: skip
    if not len(sim.templates.rest):
        templates, worth = rest_templates(fit, redshifts(sim, fit.theta), sim.wave, noise)
        record |= {"templates": [round(w, 2) for w in worth]}
        new = new.with_templates(templates)
    new = eqx.tree_at(lambda s: s.residual, new, noise, is_leaf=lambda x: x is None)
    log.info("taught: %s", record)
    return Round(new, whole, record)


def _percentiles(x) -> list[float]:
    return [round(float(p), 3) for p in np.percentile(x, [5, 50, 95])]


def _by_name(sim, values) -> dict[str, list[float]]:
    return {name: np.round(part, 2).tolist() for name, part in
            sim.layout.parts(jnp.asarray(values)).items()}


def lessons(
    posterior: Posterior, sim: Simulator, obs: Spectra, adaptation: Adaptation
) -> tuple[Simulator, dict]:
    """A simulator taught by observations, in rounds, and a record of them.

    Args:
        posterior: Whose draws the first fits begin at.
        sim: The simulator, or one that changes the rows of such a simulator.
        obs: Unlabelled, in random order; so many as `adaptation` says are used.
        adaptation: Numbers of fits and rounds.
    """
    obs = obs[: adaptation.fits]
    first = posterior.sample(obs, STARTS)

    def lesson(sim):
        start, records = first, []
        for _ in range(adaptation.rounds):
            sim, fit, record = taught(sim, obs, start)
            start = fit.theta[None]
            records.append(record)
        return sim, {"rounds": records}

    return sim.taught(lesson)
