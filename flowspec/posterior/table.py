"""The table of results: percentiles, best redshift, its probability, flags."""

import numpy as np
from astropy.table import QTable
from jaxtyping import Float

from flowspec.data.spectra import Spectra
from flowspec.posterior.redshift import LIMIT, Peaks, Recalibration
from flowspec.posterior.screening import Flag
from flowspec.prior.prior import Prior

PERCENTILES = (16, 50, 84)


def summary_table(
    prior: Prior,
    samples: Float[np.ndarray, "n batch params"],
    obs: Spectra,
    wave: Float[np.ndarray, " pixels"],
    p_value: Float[np.ndarray, " batch"],
    found: Peaks | None,
    recalibration: Recalibration,
) -> QTable:
    """One row per spectrum.

    Columns: ``name``; ``z_best`` (best redshift), ``z_prob`` (calibrated probability that it is
    right, ``|z_best - z| < 0.01``); ``<parameter>_p16``, ``_p50``, ``_p84``; ``snr`` (median per
    good pixel); ``p_value`` (share of simulations at least as far from the middle of the
    simulations, in summary space); ``flags`` (bits of `flowspec.posterior.screening.Flag`),
    ``flag_names``, ``notes``.

    Args:
        prior: The model's prior.
        samples: Posterior draws.
        obs: The spectra as given.
        wave: The model's grid.
        p_value: Of `Screen`.
        found: Peaks of the redshift posterior, where there is a redshift.
        recalibration: Of the probability that the best redshift is right.
    """
    names = prior.names
    table = QTable({"name": list(obs.names)})
    flags = observation_flags(obs, wave)
    if found is not None:
        table["z_best"] = best_redshift(samples[..., names.index("z")], found.z)
        table["z_prob"] = recalibration(found.share)
        flags |= np.where(found.second > 0.1, Flag.MULTIMODAL_REDSHIFT, 0)
        flags |= np.where(table["z_prob"] < 0.9, Flag.UNSURE_REDSHIFT, 0)
    for i, name in enumerate(names):
        add_percentiles(table, name, samples[..., i])
    table["snr"] = obs.snr.astype(samples.dtype)
    table["p_value"] = p_value
    flags |= np.where(at_edge(prior, samples), Flag.AT_PRIOR_EDGE, 0)
    flags |= np.where(p_value < 1e-3, Flag.OUT_OF_DISTRIBUTION, 0)
    table["flags"] = flags
    table["flag_names"] = Flag.describe_all(flags)
    table["notes"] = list(obs.notes)
    return table


def add_percentiles(table: QTable, name: str, draws: Float[np.ndarray, "n batch"]):
    """The columns of a parameter."""
    levels = np.percentile(draws, PERCENTILES, axis=0)
    for level, column in zip(PERCENTILES, levels, strict=True):
        table[f"{name}_p{level}"] = column.astype(draws.dtype)  # no digits that are not there


def best_redshift(
    z: Float[np.ndarray, "n batch"], window: Float[np.ndarray, " batch"]
) -> Float[np.ndarray, " batch"]:
    """Median of the draws that are within `LIMIT` of the best window's redshift, which itself
    knows no detail below the width of a bin, and stands where there is no such draw."""
    inside = np.where(np.abs(z - window) < LIMIT, z, np.nan)
    some = np.isfinite(inside).any(0)
    best = window.astype(z.dtype)
    best[some] = np.nanmedian(inside[:, some], axis=0)
    return best


def at_edge(
    prior: Prior, samples: Float[np.ndarray, "n batch params"], columns=slice(None)
) -> np.ndarray:
    """Whether over 30 % of the draws of a parameter lie within 1 % of one of its prior limits.

    Args:
        prior: Of the draws.
        samples: Draws.
        columns: Numbers of the parameters to look at.
    """
    low, high = (np.asarray(b) for b in prior.bounds(samples))
    margin = np.where(np.isfinite(high - low), 0.01 * (high - low), 0.0)
    ends = (samples < low + margin).mean(0), (samples > high - margin).mean(0)
    return (np.maximum(*ends) > 0.3)[:, columns].any(-1)


def observation_flags(obs: Spectra, wave: Float[np.ndarray, " pixels"]) -> np.ndarray:
    """Flags that the data alone decide [batch]."""
    inside = (obs.wave >= wave[0]) & (obs.wave <= wave[-1])
    good = (obs.ivar > 0) & inside
    x = np.log(obs.wave)
    first, last = np.where(good, x, np.inf).min(1), np.where(good, x, -np.inf).max(1)
    covered = np.maximum(last - first, 0) / np.log(wave[-1] / wave[0])
    step = np.gradient(x)
    share = (good * step).sum(1) / np.log(wave[-1] / wave[0])
    none = ~good.any(1)
    return (
        np.where(none, Flag.NO_DATA, 0)
        | np.where(covered < 0.75, Flag.LITTLE_COVERAGE, 0)
        | np.where(share < 0.5, Flag.FEW_PIXELS, 0)
    )
