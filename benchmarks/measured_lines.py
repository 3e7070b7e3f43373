"""Emission lines of SDSS galaxies by `fs.measure_lines`, beside those of the survey's pipeline.

Good galaxies of the half that is only reported, at the pipeline's redshifts; lines over 5 sigma in
both. The pipeline adds nothing for what stars absorb: its Balmer lines are to be fainter.
"""

import h5py
import numpy as np

import flowspec as fs
from benchmarks import harness, scores
from benchmarks.real_sdss import good_galaxies

LINES = {
    "Halpha": "H_alpha", "Hbeta": "H_beta", "Hgamma": "H_gamma", "[OIII]5007": "[O_III] 5007",
    "[NII]6584": "[N_II] 6583", "[SII]6717": "[S_II] 6716", "[SII]6731": "[S_II] 6730",
}  # fmt: skip
SEEN = 5.0  # sigma


def run(*, rows: int = 200, seed: int = 0) -> dict:
    """Compare.

    Args:
        rows: Galaxies at most.
        seed: Of nothing: there is nothing random.
    """
    del seed
    obs, z = good_galaxies()
    kept = np.flatnonzero(scores.report_half(obs.names))[:rows]
    obs, z = obs[kept], z[kept]
    found, _, cpu = harness.clocked(lambda: fs.measure_lines(obs, z))
    with h5py.File(harness.data_folder() / "spectra/sdss/sdss.h5") as file:
        place = {n.decode(): i for i, n in enumerate(file["catalog/file"][:])}
        labels = [n.decode() for n in file["lines/name"][:]]
        own = np.array([place[name] for name in obs.names])
        flux, err = (file[f"lines/{k}"][:].astype(float)[own] for k in ("flux", "flux_err"))
    results = {"n": len(obs), "spectra per CPU second": len(obs) / cpu}
    for line, label in LINES.items():
        if line not in found.lines:
            continue
        k, j = found.lines.index(line), labels.index(label)
        theirs, error = flux[:, j], err[:, j]
        with np.errstate(invalid="ignore"):
            good = (found.flux[:, k] > SEEN * found.err[:, k]) & (theirs > SEEN * error)
        ratio = found.flux[good, k] / theirs[good]
        away = (found.flux[good, k] - theirs[good]) / np.hypot(found.err[good, k], error[good])
        results[line] = {
            "n": int(good.sum()), "median ratio": scores.middle(ratio),
            "scatter over both errors (NMAD)": scores.nmad(away),
            "median ratio of errors": scores.middle(found.err[good, k] / error[good]),
        }  # fmt: skip
    return results
