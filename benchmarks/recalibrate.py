"""Widths of real SDSS spectra recalibrated with a hundred labels, judged by other galaxies.

Labels are masses and star-formation rates of GSWLC (Durbala+20, ALFALFA-SDSS), totals, less the
aperture, 0.4 (i of the spectrum - total i), and redshifts of the survey. A hundred of the half that
may be looked at (by a hash of the file name) calibrate, the other half is reported. Coverage is
that of draws with the error of the label added. It is measured with the errors that GSWLC states,
and with the scatter between methods added to them.
"""

import numpy as np
from astropy.table import Table

import flowspec as fs
from benchmarks import harness, real_sdss, scores

# dex: the lower ends of what two labels of one galaxy differ by (GSWLC, Taylor, McGaugh; NUV+IR,
# W4), and of redshifts the rounding of the catalogue
SCATTER = {"log_mstar": 0.10, "log_sfr": 0.20, "z": 1e-5}


def run(*, model: str = "sdss", labels: int = 100, draws: int = 500, seed: int = 0) -> dict:
    """Coverage before and after.

    Args:
        model: Name of a shipped model or a model file.
        labels: Galaxies that calibrate.
        draws: Posterior draws per spectrum.
        seed: Of the choice of them, and of the draws.
    """
    posterior = fs.load(model)
    obs, truth = labelled()
    report, rng = scores.report_half(obs.names), np.random.default_rng(seed)
    look = rng.permutation(np.flatnonzero(~report))[:labels]
    rest = np.flatnonzero(report)
    before = posterior.sample(obs[rest], draws, seed=seed)
    found = {}
    for kind, added in (("stated errors", 0.0), ("and scatter", 1.0)):
        known = {name: (value, np.hypot(error, added * SCATTER[name] if name != "z" else 1e-5))
                 for name, (value, error) in truth.items()}
        for local in (False, True) if added else (False,):
            after, made = calibrated(posterior, obs, known, look, rest, local, draws, seed)
            found[kind + ", S/N" * local] = {
                name: {"fit": str(made[name])} | judged(known[name], name, posterior, rest, rng,
                                                        before=before, after=after)
                for name in known}
    return {"model": model, "labels": len(look), "judged by": len(rest), **found}


def calibrated(posterior, obs, known, look, rest, local: bool, draws: int, seed: int):
    """Draws of the rest, and what labels of the others say."""
    own = {name: value[look] for name, (value, _) in known.items()}
    own |= {f"{name}_err": error[look] for name, (_, error) in known.items()}
    made = posterior.calibrate(obs[look], own, local=local)
    fits = made.stretch.fits(posterior.names)
    return made.sample(obs[rest], draws, seed=seed), fits


def judged(label, name: str, posterior, rest, rng, **samples) -> dict:
    """Offset, width and coverage of each set of draws [draws, rows, params]."""
    value, error = (x[rest] for x in label)
    keep, found = np.isfinite(value) & np.isfinite(error), {"n": 0}
    for when, drawn in samples.items():
        x = drawn[:, keep, posterior.names.index(name)].astype(float)
        seen = x + error[keep] * rng.normal(size=x.shape)
        away, middle = np.abs((seen < value[keep]).mean(0) - 0.5), np.median(x, axis=0)
        low, high = np.percentile(x, (16, 84), axis=0)
        found["n"] = int(keep.sum())
        found |= {
            f"{when}: offset": scores.middle(middle - value[keep]),
            f"{when}: width": scores.middle((high - low) / 2),
            f"{when}: inside 68 %": scores.share(away < 0.34),
            f"{when}: inside 95 %": scores.share(away < 0.475),
        }
    return found


def labelled() -> tuple[fs.Spectra, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Good galaxies of the table of labels, and values and errors of each parameter."""
    obs, z = real_sdss.good_galaxies()
    folder = harness.data_folder() / "spectra/sdss"
    table = Table.read(folder / "alfalfa_labels_shared.ecsv")
    place = {file: i for i, file in enumerate(table["file"])}
    keep = np.flatnonzero([name in place for name in obs.names])
    table = table[[place[obs.names[i]] for i in keep]]
    outside = np.array(table["log_total_over_fibre"], float)
    columns = {"log_mstar": "logMstarGSWLC", "log_sfr": "logSFRGSWLC"}
    truth = {name: (np.array(table[column], float) - outside,
                    np.array(table[f"{column}_err"], float))
             for name, column in columns.items()}
    return obs[keep], truth | {"z": (z[keep], np.zeros(len(keep)))}
