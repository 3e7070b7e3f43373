"""From the part of a galaxy in the aperture to all of it: total stellar mass and rate.

With ``d = 0.4 (m_spectrum - m_total)`` in one band, the light outside the aperture is
``10^d - 1`` times that inside, and with r the mass-to-light ratio outside over that inside

    log M_total = log M + log10(1 + (10^d - 1) r),

d and nothing else where r is 1, and no change at all where d is 0. For the star-formation rate, r
is multiplied by the specific rate outside over that inside. Neither ratio is seen by the spectrum:
both are drawn.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from flowspec.data.flags import Flag
from flowspec.data.observation import Observation
from flowspec.model.model import Model
from flowspec.posterior.magnitudes import magnitudes_of
from flowspec.prior.parameters import EXTENSIVE
from flowspec.sim.instrument.bands import band_magnitudes

# Of a band: a gap of 5 % anywhere moves 99 % of the magnitudes of SDSS galaxies by less than 0.013
# in r and i, and 0.04 in g.
LEAST_COVERED = 0.95
# Ge et al. (2021, MNRAS 507, 2488), 2,051 galaxies of MaNGA, r band: log M/L changes with radius by
# +0.1 at the lowest masses (1e9), 0 at 1e10 and -0.1 in massive galaxies; here straight through
# these, to 1e11. One of their steps is taken to lie between what an aperture holds and what it
# misses.
GRADIENT_PER_DEX, GRADIENT_MOST, GRADIENT_PIVOT = -0.1, 0.1, 10.0
# Scatter of log M/L at a given colour inside galaxies: Garcia-Benito et al. (2019, A&A 621, A120).
GRADIENT_SCATTER = 0.1
# Scatter of the surface density of star formation at that of stellar mass, at 0.5 to 1.5 kpc: Cano-
# Diaz et al. (2016, ApJ 821, L26). Its mean is taken as the same everywhere in a galaxy, as below
# 10^10.5 solar masses (Belfiore et al. 2018, MNRAS 477, 3014); above, centres form fewer stars.
SPECIFIC_SCATTER = 0.23
BRIGHTER = -0.1  # dex: a spectrum as much brighter than its galaxy is no error of its calibration


class Whole(NamedTuple):
    """What total magnitudes say of galaxies.

    Attributes:
        band: That they are in.
        log_ratio: log10 of the light of the whole galaxy over that in the spectrum [batch], NaN
            where it is not known.
        error: Standard error of it, from that of the magnitude [batch].
        flags: Bits of `flowspec.Flag` [batch].
        notes: Why it is not known, "" where it is [batch].
    """

    band: str
    log_ratio: Float[np.ndarray, " batch"]
    error: Float[np.ndarray, " batch"]
    flags: Int[np.ndarray, " batch"]
    notes: list[str]

    def totals(
        self, samples: Float[np.ndarray, "n batch params"], names: Sequence[str], seed: int, numbers
    ) -> "Totals":
        """Draws of the total of each parameter that adds up over a galaxy.

        Args:
            samples: Draws of the parameters in the aperture.
            names: Of the parameters.
            seed: Random seed.
            numbers: What keys the random numbers of each row, of
                `flowspec.posterior.asked.row_numbers`.
        """
        inside = {name: samples[..., names.index(name)] for name in EXTENSIVE if name in names}
        random = _normal(samples.shape[0], seed, numbers)
        d = self.log_ratio + self.error * random[0]
        gradient = GRADIENT_SCATTER * random[1]
        if "log_mstar" in inside:
            gradient = gradient + mean_gradient(inside["log_mstar"] + d)
        outside = {"log_mstar": gradient, "log_sfr": gradient + SPECIFIC_SCATTER * random[2]}
        draws = {name: (x + growth(d, outside[name])).astype(samples.dtype)
                 for name, x in inside.items()}
        return Totals(self, draws)


class Totals(NamedTuple):
    """Posteriors of whole galaxies.

    Attributes:
        whole: What they rest on.
        draws: Of the total of each parameter [n, batch].
    """

    whole: Whole
    draws: dict[str, Float[np.ndarray, "n batch"]]


def growth(log_ratio, log_outside):
    """log10 of a sum over a whole galaxy over that in the aperture.

    Args:
        log_ratio: d, log10 of the light of the whole over that in the aperture. Where it is
            negative, the spectrum is too bright, and all of it is scaled.
        log_outside: log10 of what a unit of light stands for outside, over that inside.
    """
    more = np.maximum(10.0**log_ratio - 1, 0)  # light outside, in units of that inside
    return np.where(log_ratio > 0, np.log10(1 + more * 10.0**log_outside), log_ratio)


def mean_gradient(log_mass):
    """Mean log10 of the mass-to-light ratio outside the aperture over that inside.

    Args:
        log_mass: Of all stars, log10 in solar masses.
    """
    slope = GRADIENT_PER_DEX * (log_mass - GRADIENT_PIVOT)
    return np.clip(slope, -GRADIENT_MOST, GRADIENT_MOST)


def measured(model: Model, obs: Observation, total) -> Whole | None:
    """Total magnitudes against those of the spectra in the same band.

    Args:
        model: That the spectra are for.
        obs: Where there is a total, spectra, on their own pixels; magnitudes are of good ones.
        total: As in `flowspec.posterior.magnitudes.magnitudes_of`; None is answered with None.

    Raises:
        ValueError: If the model has no mass or rate of galaxies, or the magnitudes are wrong.
    """
    if total is None:
        return None
    if model.frame.kind != "pixels" or not set(EXTENSIVE) & set(model.space.names):
        raise ValueError("expected total magnitudes only with a model of spectra that has "
                         f"{' or '.join(EXTENSIVE)}; got {', '.join(model.space.names)}")
    band, magnitude, error = magnitudes_of(obs, total)
    own, covered = band_magnitudes(obs.wave, obs.flux, obs.ivar, band)
    d = np.where(covered >= LEAST_COVERED, 0.4 * (own - magnitude), np.nan)
    d = np.where(np.isfinite(error), d, np.nan)
    flags = np.where(np.isnan(d), Flag.NO_TOTAL, 0) | np.where(
        d < BRIGHTER, Flag.BRIGHTER_THAN_TOTAL, 0)
    return Whole(band, d, 0.4 * error, flags, [
        "" if np.isfinite(x) else _why(band, known, share)
        for x, known, share in zip(d, np.isfinite(magnitude).tolist(), covered, strict=True)
    ])


def _why(band: str, known: bool, covered: float) -> str:
    """What keeps a row from a total."""
    if covered < LEAST_COVERED:
        return f"no total: {covered:.0%} of {band} has good pixels, of {LEAST_COVERED:.0%} needed"
    return f"no total: {'no light or no error' if known else 'no magnitude'} in {band}"


def _normal(n: int, seed: int, numbers) -> Float[np.ndarray, "3 n batch"]:
    """Standard normal numbers of every row, the same wherever it stands."""
    seeds = (np.random.SeedSequence(int(seed), spawn_key=words.tolist()) for words in numbers)
    rows = [np.random.default_rng(own).normal(size=(n, 3)) for own in seeds]
    return np.stack(rows, axis=-1).transpose(1, 0, 2)
