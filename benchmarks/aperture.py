"""Totals of SDSS galaxies from fibre spectra and a total magnitude, against labels of GSWLC.

Labels are of whole galaxies (Durbala et al. 2020: those of GSWLC-2, Salim et al. 2018), spectra of
the 3 arcsec in a fibre. The total magnitude is that of the table, which includes its correction for
extinction inside the galaxy. For each of mass and rate: as the spectrum tells it (`fibre`), shifted
by the light outside the fibre and with its own width (`shifted`), and the total with all that is
not known of what is outside (`total`). ``with label`` adds 0.10 dex to each half of the interval in
quadrature, which is how far labels differ among themselves. Labels only judge.
"""

from functools import partial

import numpy as np
from astropy.table import Table

import flowspec as fs
from benchmarks import harness, scores
from benchmarks.real_sdss import good_galaxies

LABELS = {"log_mstar": "logMstarGSWLC", "log_sfr": "logSFRGSWLC"}
LABEL_SCATTER = 0.10  # dex


def run(*, model: str = "sdss", draws: int = 500, rows: int = 0, seed: int = 0) -> dict:
    """Score the totals of a model.

    Args:
        model: Name of a shipped model or a model file.
        draws: Posterior draws per spectrum.
        rows: Use only this many spectra; 0 is all.
        seed: Of the draws.
    """
    obs, labels = galaxies()
    if rows:
        obs, labels = obs[:rows], labels[:rows]
    magnitude = labels["i_spectrum"] - labels["log_total_over_fibre"] / 0.4
    posterior = fs.load(model)
    table, wall, cpu = harness.clocked(
        lambda: posterior.summarize(obs, n=draws, seed=seed, total={"sdss_i": magnitude}))
    return {
        "model": model,
        "cpu_seconds_per_spectrum": cpu / len(obs),
        "seconds_per_spectrum": wall / len(obs),
        "rows": len(obs),
        "without a total": int(np.ma.count_masked(table["log_mstar_total_p50"])),
        **scores.in_halves(obs.names, partial(score_rows, table, labels)),
    }


def galaxies() -> tuple[fs.Spectra, Table]:
    """Good galaxies with labels, and these in the same order."""
    labels = Table.read(harness.data_folder() / "spectra/sdss/alfalfa_labels_shared.ecsv")
    place = {name: i for i, name in enumerate(labels["file"])}
    obs, _ = good_galaxies()
    obs = obs[[name in place for name in obs.names]]
    return obs, labels[[place[name] for name in obs.names]]


def score_rows(table: Table, labels: Table, rows: np.ndarray) -> dict:
    """Scores of mass and rate of some rows (a mask)."""
    found = {}
    ratio = filled(table["log_total_over_aperture"])[rows]
    for name, column in LABELS.items():
        label = filled(labels[column])[rows]
        label = np.where(np.isfinite(ratio), label, np.nan)  # the same rows for each
        fibre, total = ([filled(table[f"{name}{part}_p{level}"])[rows] for level in (16, 50, 84)]
                        for part in ("", "_total"))
        shifted = [x + ratio for x in fibre]
        for kind, levels in (("fibre", fibre), ("shifted", shifted), ("total", total)):
            found[f"{name} {kind}"] = scored(*levels, label)
    return found


def scored(low, median, high, label) -> dict[str, float]:
    """Offset, scatter and coverage, with and without the scatter of labels."""
    wider = (median - np.hypot(median - low, LABEL_SCATTER), median,
             median + np.hypot(high - median, LABEL_SCATTER))
    known = scores.against_labels(low, median, high, label)
    with_label = scores.against_labels(*wider, label)
    half = scores.middle(0.5 * (high - low)[np.isfinite(label)])
    names = {"inside_68": "with label", "inside_68 less offset": "with label less offset"}
    return known | {names[k]: with_label[k] for k in names} | {"half width": half}


def filled(column) -> np.ndarray:
    """Numbers of a column, NaN where masked."""
    return np.ma.filled(np.ma.asarray(column, float), np.nan)
