"""What held-out simulations tell of a posterior: are redshifts right, are data like simulations?"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from flowspec.data.spectra import Spectra
from flowspec.posterior.answers import class_shares, of_best_kind, redshift_density
from flowspec.posterior.misfit import Misfit
from flowspec.posterior.posterior import Posterior
from flowspec.posterior.redshift import LIMIT, Recalibration, peaks
from flowspec.posterior.screen import Screen
from flowspec.sim.simulated import Simulated

_DRAWS = 100
_MOST_MISSING = 0.9
_FEWEST = 100  # simulations of which a misfit is learned


def calibrated(posterior: Posterior, made: Simulated) -> Posterior:
    """The posterior with its screen, its probabilities of right redshifts and its misfit.

    Args:
        posterior: Trained.
        made: Simulations that it has not seen.
    """
    obs = posterior.model.frame.observed(*made.data)
    screen = Screen.from_summaries(posterior.summaries(obs))
    z = None
    if posterior.model.space.redshift is not None:
        z = np.asarray(made.theta)[:, posterior.names.index("z")]
        recalibration = recalibrated(posterior, obs, z, np.asarray(made.source))
        posterior = replace(posterior, recalibration=recalibration)
    posterior = replace(posterior, screen=screen)
    if len(made.theta) < _FEWEST:
        return posterior
    return replace(posterior, misfit=learned_misfit(posterior, obs, z))


def recalibrated(
    posterior: Posterior,
    obs: Spectra,
    z: Float[np.ndarray, " rows"],
    source: Int[np.ndarray, " rows"],
) -> Recalibration:
    """What makes the probabilities of right redshifts those of simulations, whole and in part.

    Where sources are kinds of objects the kind is to be right too.
    """
    shares, right, missing, space = [], [], [], posterior.model.space
    edges = space.redshift.all_edges()
    for seen in (obs, in_part(obs)):
        share = class_shares(posterior, seen)
        best = share.sum(2).argmax(1)
        share = of_best_kind(space, share.reshape(len(share), -1))
        found = peaks(edges, redshift_density(space, share))
        known = np.isfinite(found.z) & space.has("z")[best]
        good = (np.abs(found.z - z) < LIMIT) & ((best == source) | (not space.of_objects))
        shares.append(found.share[known])
        right.append(good[known])
        missing.append(1 - posterior.model.frame.judged(seen)[1]["coverage"][known])
    return Recalibration.fit(*map(np.concatenate, (shares, right, missing)))


def in_part(obs: Spectra) -> Spectra:
    """Spectra without one of their ends, up to nine tenths of the pixels: a missing arm."""
    rng, pixels = np.random.default_rng(0), np.arange(len(obs.wave))
    lost = rng.uniform(0, _MOST_MISSING, (len(obs), 1)) * len(pixels)
    red = rng.uniform(size=(len(obs), 1)) < 0.5
    keep = np.where(red, pixels < len(pixels) - lost, pixels >= lost)
    return replace(obs, flux=np.where(keep, obs.flux, 0), ivar=np.where(keep, obs.ivar, 0))


def learned_misfit(posterior: Posterior, obs, z) -> Misfit:
    """Of data at the redshifts that the posterior finds for them."""
    frame, best = posterior.model.frame, None
    if z is not None:
        best = np.ma.filled(posterior.summarize(obs[len(obs) // 2 :], n=_DRAWS)["z_best"], np.nan)
    return Misfit.learned(frame, posterior.model.space.redshift, frame.arrays(obs), z, best)
