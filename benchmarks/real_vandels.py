"""Real VANDELS spectra: redshift, mass and star-formation rate against the survey's own.

Secure redshifts (flags 3 and 4) count; those from a single line (flag 9) are given apart. Results
are for all rows, for the half (by a hash of the name) that may be looked at in development, and
for the half that may only be reported.
"""

from functools import partial

import h5py
import numpy as np

import flowspec as fs
from benchmarks import harness, scores
from benchmarks.real_sdss import percentiles

LIMIT = 0.01


def run(*, model: str = "vandels", draws: int = 500, rows: int = 0, seed: int = 0) -> dict:
    """Score a model.

    Args:
        model: Name of a shipped model or a model file.
        draws: Posterior draws per spectrum.
        rows: Use only this many spectra; 0 is all.
        seed: Of the draws.
    """
    posterior = fs.load(model)
    obs, labels = survey(rows)
    summary, wall, cpu = harness.clocked(lambda: posterior.summarize(obs, n=draws, seed=seed))
    groups = {"flags 3-4": np.isin(labels["zflag"], (3, 4)), "flag 9": labels["zflag"] == 9}
    results = {
        "model": model,
        "seconds_per_spectrum": wall / len(obs),
        "cpu_seconds_per_spectrum": cpu / len(obs),
    }
    for group, chosen in groups.items():
        part, own = summary[chosen], {k: v[chosen] for k, v in labels.items()}
        halves = scores.in_halves(part["name"], partial(score_rows, part, own))
        results |= {f"{group} {half}": score for half, score in halves.items()}
    return results


def score_rows(summary, labels: dict[str, np.ndarray], rows: np.ndarray) -> dict:
    """All scores of some rows (a mask) of a summary table."""
    summary, labels = summary[rows], {name: label[rows] for name, label in labels.items()}
    z, best = labels["z"], np.asarray(summary["z_best"])
    flags = np.asarray(summary["flags"])
    clean, right = flags == 0, np.abs(best - z) / (1 + z) < LIMIT
    z_inside = (z >= summary["z_p16"]) & (z <= summary["z_p84"])
    limits = (LIMIT, 0.003), (LIMIT,)
    return {
        "z": scores.redshift(best, z, *limits) | {"inside_68": scores.share(z_inside)},
        "z unflagged": scores.redshift(best[clean], z[clean], *limits),
        "z by z_prob": scores.purity(np.asarray(summary["z_prob"]), right),
        "log_mstar": scores.against_labels(*percentiles(summary, "log_mstar"), labels["logmstar"]),
        "log_sfr": scores.against_labels(*percentiles(summary, "log_sfr"), labels["logsfr"]),
        "log_mstar at right z": scores.against_labels(
            *percentiles(summary[right], "log_mstar"), labels["logmstar"][right]
        ),
        "log_sfr at right z": scores.against_labels(
            *percentiles(summary[right], "log_sfr"), labels["logsfr"][right]
        ),
        "flagged": scores.flag_shares(flags),
    }


def survey(rows: int = 0) -> tuple[fs.Spectra, dict[str, np.ndarray]]:
    """Spectra and the survey's labels."""
    path = harness.data_folder() / "spectra/vandels/vandels.h5"
    obs = fs.read(path, flux_unit="1e-18 erg/s/cm2/AA", columns={"err": "flux_err"})
    with h5py.File(path) as file:
        names = ("z", "zflag", "logmstar", "logsfr")
        labels = {name: file[name][: rows or None].astype(float) for name in names}
    return obs[: rows or None], labels
