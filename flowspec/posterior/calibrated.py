"""What held-out simulations tell of a posterior: are redshifts right, are data like simulations?"""

from dataclasses import replace

import numpy as np
from jaxtyping import ArrayLike, Float

from flowspec.data.spectra import Spectra
from flowspec.posterior.misfit import Misfit
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.redshift import LIMIT, Recalibration, peaks
from flowspec.posterior.screen import Screen

_DRAWS = 100
_MOST_MISSING = 0.9
_FEWEST = 100  # simulations of which a misfit is learned


def calibrated(
    posterior: Posterior, theta: Float[ArrayLike, "rows params"], data: tuple
) -> Posterior:
    """The posterior with its screen, its probabilities of right redshifts and its misfit.

    Args:
        posterior: Trained.
        theta: Parameters of simulations that it has not seen.
        data: Their data, as arrays of its frame.
    """
    obs = posterior.model.frame.observed(*data)
    screen = Screen.from_summaries(posterior.summaries(obs))
    z = None
    if posterior.model.space.redshift is not None:
        z = np.asarray(theta)[:, posterior.names.index("z")]
        recalibration = recalibrated(posterior, obs, z)
        posterior = replace(posterior, recalibration=recalibration)
    posterior = replace(posterior, screen=screen)
    if len(theta) < _FEWEST:
        return posterior
    return replace(posterior, misfit=learned_misfit(posterior, obs, z))


def recalibrated(posterior: Posterior, obs: Spectra, z) -> Recalibration:
    """What makes the probabilities of right redshifts those of simulations, whole and in part."""
    shares, right, missing = [], [], []
    for seen in (obs, in_part(obs)):
        found = peaks(*posterior.redshift_pdf(seen))
        known = np.isfinite(found.z)
        shares.append(found.share[known])
        right.append(np.abs(found.z - z)[known] < LIMIT)
        missing.append(1 - posterior.model.frame.judged(seen)[1]["coverage"][known])
    return Recalibration.fit(*map(np.concatenate, (shares, right, missing)))


def in_part(obs: Spectra) -> Spectra:
    """Spectra without one of their ends, up to nine tenths of the pixels: a missing arm."""
    rng, pixels = np.random.default_rng(0), np.arange(len(obs.wave))
    lost = rng.uniform(0, _MOST_MISSING, (len(obs), 1)) * len(pixels)
    red = rng.uniform(size=(len(obs), 1)) < 0.5
    keep = np.where(red, pixels < len(pixels) - lost, pixels >= lost)
    return Spectra(obs.wave, np.where(keep, obs.flux, 0), np.where(keep, obs.ivar, 0))


def learned_misfit(posterior: Posterior, obs, z) -> Misfit:
    """Of data at the redshifts that the posterior finds for them."""
    frame, best = posterior.model.frame, None
    if z is not None:
        best = np.ma.filled(posterior.summarize(obs[len(obs) // 2 :], n=_DRAWS)["z_best"], np.nan)
    return Misfit.learned(frame, posterior.model.space.redshift, frame.arrays(obs), z, best)
