"""Real SDSS spectra: redshifts of the survey's pipeline, labels of mass and star-formation rate.

Good galaxies only (class GALAXY, no redshift warning). Redshifts and wavelengths are heliocentric
and in vacuum, both. Star-formation rates are informational: labels are of whole galaxies, spectra
of the 3 arcsec in a fibre. Results are given for all rows, for the half (by a hash of the file
name) that may be looked at in development, and for the half that may only be reported.
"""

from dataclasses import replace
from functools import partial

import h5py
import numpy as np
from astropy.table import Table

import flowspec as fs
from benchmarks import harness, scores

LIMITS = (0.003, 0.001)


def run(*, model: str = "sdss", draws: int = 500, rows: int = 0, seed: int = 0) -> dict:
    """Score a model.

    Args:
        model: Name of a shipped model or a model file.
        draws: Posterior draws per spectrum.
        rows: Use only this many spectra; 0 is all.
        seed: Of the draws.
    """
    posterior = fs.load(model)
    obs, z = good_galaxies(rows)
    summary, wall, cpu = harness.clocked(lambda: posterior.summarize(obs, n=draws, seed=seed))
    mass, sfr = labels(obs.names)
    score = partial(score_rows, summary, z, mass, sfr)
    return {
        "model": model,
        "seconds_per_spectrum": wall / len(obs),
        "cpu_seconds_per_spectrum": cpu / len(obs),
        **scores.in_halves(obs.names, score),
    }


def score_rows(
    summary, z: np.ndarray, mass: np.ndarray, sfr: np.ndarray, rows: np.ndarray
) -> dict:
    """All scores of some rows (a mask) of a summary table."""
    summary, z, mass, sfr = (column[rows] for column in (summary, z, mass, sfr))
    best, flags = np.asarray(summary["z_best"]), np.asarray(summary["flags"])
    clean = flags == 0
    right = np.abs(best - z) / (1 + z) < LIMITS[0]
    z_inside = (z >= summary["z_p16"]) & (z <= summary["z_p84"])
    return {
        "z": scores.redshift(best, z, LIMITS) | {"inside_68": scores.share(z_inside)},
        "z unflagged": scores.redshift(best[clean], z[clean], LIMITS),
        "z by z_prob": scores.purity(np.asarray(summary["z_prob"]), right),
        "log_mstar": scores.against_labels(*percentiles(summary, "log_mstar"), mass),
        "log_sfr": scores.against_labels(*percentiles(summary, "log_sfr"), sfr),
        "flagged": scores.flag_shares(flags),
    }


def percentiles(summary, name: str) -> list[np.ndarray]:
    """The 16th, 50th and 84th percentile of a parameter."""
    return [np.asarray(summary[f"{name}_p{level}"]) for level in (16, 50, 84)]


def good_galaxies(rows: int = 0) -> tuple[fs.Spectra, np.ndarray]:
    """Spectra, named by their file, and pipeline redshifts."""
    path = harness.data_folder() / "spectra/sdss/sdss.h5"
    with h5py.File(path) as file:
        catalog = {k: file["catalog"][k][:] for k in ("file", "cls", "zwarning", "z")}
    good = (np.char.strip(catalog["cls"]) == b"GALAXY") & (catalog["zwarning"] == 0)
    good = np.flatnonzero(good)[: rows or None]
    spectra = fs.read(path)
    names = [name.decode() for name in catalog["file"][good]]
    return replace(spectra[good], names=names), catalog["z"][good].astype(float)


def labels(names) -> tuple[np.ndarray, np.ndarray]:
    """log10 of stellar mass and of star-formation rate per file name, NaN where unknown."""
    table = Table.read(harness.data_folder() / "spectra/sdss/labels_mstar_sfr.ecsv")
    rate = np.array(table["sfr_nuv_wise_or_sed"], float)
    log_rate = np.log10(rate, out=np.full(len(rate), np.nan), where=rate > 0)
    mass = dict(zip(table["file"], np.array(table["logmstar"], float), strict=True))
    rate = dict(zip(table["file"], log_rate, strict=True))
    return tuple(np.array([known.get(n, np.nan) for n in names]) for known in (mass, rate))
