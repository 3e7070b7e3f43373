"""Errors on real spectra: SDSS galaxies against what was measured in the same fibre, and totals.

The table of acceptance. Labels of all kinds judge here and nowhere else. Fibre quantities are the
survey's pipeline's: velocity dispersion, Balmer-corrected H-alpha (Kennicutt & Evans 2012, as the
simulator has it; with 1.3 angstrom added to the equivalent widths of H-alpha and H-beta for the
stars' absorption, which the pipeline's fluxes lack: Hopkins et al. 2003, ApJ 599, 971; and as they
are), O/H by N2 and O3N2 of Marino et al. (2013, A&A 559, A114), equations 2 and 4,
whose scale is not that of photoionisation models: the median offset is taken away. Totals are
GSWLC's, with one term of aperture: 0.4 (i of the spectrum - total i); as they are, and brought from
their cosmology (H0 of 70.4, WMAP7: Salim et al. 2016, ApJS 227, 2) to that of the simulator.
"""

import h5py
import numpy as np
from astropy.cosmology import Planck18
from astropy.table import Table

import flowspec as fs
from benchmarks import harness, scores
from benchmarks.real_sdss import good_galaxies
from flowspec.posterior.simulators import simulator_of

K_HALPHA, K_HBETA, K_HGAMMA = 2.53, 3.61, 4.17  # Cardelli et al. (1989)
CASE_B = 2.86
ABSORBED = 1.3  # angstrom
LABEL_MASS = 0.10  # dex: scatter of one set of labels about another
# dex that luminosities of near galaxies grow by from GSWLC's Hubble constant to Planck18's
TO_PLANCK18 = 2 * np.log10(70.4 / Planck18.H0.value)
LABEL_RATE = 0.2  # dex: of H-alpha about the rate of 100 Myr


def run(
    *, model: str = "sdss", draws: int = 500, half: str = "report", refined: bool = False,
    seed: int = 0,
) -> dict:  # fmt: skip
    """Score a model.

    Args:
        model: Name of a shipped model or a model file.
        draws: Posterior draws per spectrum.
        half: "look" (at in development) or "report".
        refined: Draws of the exact posterior instead, of galaxies with a mass of GSWLC alone.
        seed: Of the draws.
    """
    obs, z = good_galaxies()
    report = scores.report_half(obs.names)
    rows = np.flatnonzero(report if half == "report" else ~report)
    posterior = fs.load(model)
    if refined:
        rows = rows[np.isfinite(fibre(obs[rows].names)["log_mstar"])]
        likelihood = simulator_of(posterior, model).log_likelihood
        found = posterior.refine(obs[rows], likelihood, draws, draws=2 * draws, seed=seed)
        samples, extra = found.samples, {"effective": np.percentile(found.ess, (16, 50, 84))}
    else:
        samples, extra = posterior.sample(obs[rows], draws, seed=seed), {}
    columns = dict(zip(posterior.names, np.moveaxis(samples, -1, 0), strict=True))
    scored = judged(columns, fibre(obs[rows].names), z[rows], seed)
    return {"model": model, "half": half, "n": len(rows)} | extra | scored


def judged(draws: dict[str, np.ndarray], known: dict[str, np.ndarray], z, seed: int = 0) -> dict:
    """Scores of posterior draws [draws, rows] by parameter."""
    rng = np.random.default_rng(seed)
    total = known["log_total_over_fibre"]
    found = {
        "z": against(draws["z"], z, np.hypot(known["z_err"], 1e-5), rng, unit=1e5),
        "dispersion": against(draws["dispersion"], known["vdisp"], known["vdisp_err"], rng),
        "fibre SFR": against(draws["log_sfr"], known["log_sfr"], LABEL_RATE, rng),
        "fibre SFR, raw": against(draws["log_sfr"], known["raw_sfr"], LABEL_RATE, rng),
        "O/H N2": against(draws["oh"], known["n2"], 0.0, rng, centred=True),
        "O/H O3N2": against(draws["oh"], known["o3n2"], 0.0, rng, centred=True),
        "total M*": against(draws["log_mstar"] + total, known["log_mstar"], LABEL_MASS, rng),
        "total SFR": against(draws["log_sfr"] + total, known["log_sfr_total"], LABEL_MASS, rng),
        "total M*, one H0": against(
            draws["log_mstar"] + total, known["log_mstar"] + TO_PLANCK18, LABEL_MASS, rng),
        "total SFR, one H0": against(
            draws["log_sfr"] + total, known["log_sfr_total"] + TO_PLANCK18, LABEL_MASS, rng),
        "E(B-V) by H-alpha, H-gamma": known["decrements"],
    }
    return found


def against(draws, label, error, rng, *, centred: bool = False, unit: float = 1.0) -> dict:
    """Offset, scatter and coverage of labels with an error of their own.

    Args:
        draws: [draws, rows].
        label: NaN where there is none [rows].
        error: Standard error of the label.
        rng: Of the error.
        centred: Take the median offset away before coverage is counted.
        unit: Factor on offset and scatter.
    """
    rows = np.flatnonzero(np.isfinite(label) & np.isfinite(draws).all(0))
    if len(rows) < 10:
        return {"n": len(rows)}
    error = np.broadcast_to(error, label.shape)[rows]
    draws, label = draws[:, rows], label[rows]
    off = np.median(draws, 0) - label
    draws = draws + error * rng.normal(size=draws.shape) - (np.median(off) if centred else 0.0)
    inside = [
        float(np.mean((label >= low) & (label <= high)))
        for low, high in (np.percentile(draws, p, axis=0) for p in ((16, 84), (2.5, 97.5)))
    ]
    return {
        "n": len(rows), "offset": round(float(np.median(off)) * unit, 4),
        "nmad": round(scores.nmad(off) * unit, 4), "in 68": round(inside[0], 3),
        "in 95": round(inside[1], 3),
    }  # fmt: skip


def fibre(names) -> dict[str, np.ndarray]:
    """What is known of each spectrum by its file name, NaN where it is not."""
    with h5py.File(harness.data_folder() / "spectra/sdss/sdss.h5") as file:
        catalog = {k: file["catalog"][k][:] for k in ("file", "z", "z_err", "vdisp", "sn")}
        lines = {n.decode(): i for i, n in enumerate(file["lines/name"][:])}
        flux, error, width = (file[f"lines/{k}"][:] for k in ("flux", "flux_err", "ew"))
    place = {n.decode(): i for i, n in enumerate(catalog["file"])}
    rows = np.array([place[str(n)] for n in names])
    catalog = {k: v[rows] for k, v in catalog.items() if k != "file"}
    line = {k: [a[rows, i].astype(float) for a in (flux, error, width)] for k, i in lines.items()}
    disp = (catalog["vdisp"] > 70) & (catalog["vdisp"] < 340) & (catalog["sn"] > 10)
    vdisp = np.where(disp, catalog["vdisp"], np.nan).astype(float)
    known = {"z_err": catalog["z_err"].astype(float), "vdisp": vdisp,
             "vdisp_err": np.zeros(len(rows))}
    found = known | gas(line, catalog["z"].astype(float)) | totals(names)
    forming = np.isfinite(found["log_sfr"])
    found["decrements"] = {f"{add:g} A": decrements(line, forming, add) for add in (0.0, ABSORBED)}
    return found


def decrements(line, rows, add: float) -> dict[str, list[float]]:
    """Median E(B-V) from H-alpha and from H-gamma over H-beta, by equivalent width of H-beta.

    Dust gives both the same at every width; absorption that is left in gives more in weak lines,
    and more to H-gamma.

    Args:
        line: Flux, error, width by name.
        rows: Which galaxies [rows].
        add: Angstrom added to each equivalent width.
    """
    names = ("H_alpha", "H_beta", "H_gamma")
    with np.errstate(invalid="ignore", divide="ignore"):
        ha, hb, hg = (line[n][0] * (1 + add / line[n][2]) for n in names)
        first = 2.5 / (K_HBETA - K_HALPHA) * np.log10(ha / hb / CASE_B)
        second = 2.5 / (K_HGAMMA - K_HBETA) * np.log10(hb / hg * 0.469)
    width = line["H_beta"][2]
    return {
        f"{low:g}-{high:g}": [
            round(float(np.nanmedian(x[rows & (width > low) & (width < high)])), 2)
            for x in (first, second)
        ]
        for low, high in ((0, 4), (4, 8), (8, 100))
    }


def gas(line, z) -> dict[str, np.ndarray]:
    """Star-formation rate and O/H of star-forming galaxies from the pipeline's lines."""
    wanted = {"ha": "H_alpha", "hb": "H_beta", "n2": "[N_II] 6583", "o3": "[O_III] 5007"}
    value = {k: np.where(line[n][0] > 0, line[n][0], np.nan) for k, n in wanted.items()}
    strong = np.all([line[n][0] > 5 * np.abs(line[n][1]) for n in wanted.values()], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        n2, o3 = np.log10(value["n2"] / value["ha"]), np.log10(value["o3"] / value["hb"])
        forming = strong & (n2 < 0.0) & (o3 < 0.61 / (n2 - 0.05) + 1.3)  # Kauffmann et al. (2003)
        by = {"n2": 8.743 + 0.462 * n2, "o3n2": 8.533 - 0.214 * (o3 - n2)}
        for name, absorbed in (("log_sfr", ABSORBED), ("raw_sfr", 0.0)):
            by[name] = log_sfr(*(value[k] * (1 + absorbed / line[wanted[k]][2])
                                 for k in ("ha", "hb")), z)
    return {k: np.where(forming, v, np.nan) for k, v in by.items()}


def log_sfr(halpha, hbeta, z) -> np.ndarray:
    """log10 M_sun/yr from fluxes in 1e-17 erg/s/cm2, corrected for dust by their ratio."""
    decrement = np.maximum(halpha / hbeta / CASE_B, 1.0)
    a_halpha = K_HALPHA * 2.5 / (K_HBETA - K_HALPHA) * np.log10(decrement)
    area = 4 * np.pi * Planck18.luminosity_distance(z).to_value("cm") ** 2
    return np.log10(halpha * 1e-17 * area) + 0.4 * a_halpha - 41.27


def totals(names) -> dict[str, np.ndarray]:
    """GSWLC's mass and rate of the whole galaxy, and the logarithm of total over fibre light."""
    table = Table.read(harness.data_folder() / "spectra/sdss/alfalfa_labels_shared.ecsv")
    columns = {"log_mstar": "logMstarGSWLC", "log_sfr_total": "logSFRGSWLC",
               "log_total_over_fibre": "log_total_over_fibre"}
    found = {}
    for name, column in columns.items():
        values = np.ma.filled(np.ma.asarray(table[column], float), np.nan)
        by = dict(zip(map(str, table["file"]), values, strict=True))
        found[name] = np.array([by.get(str(n), np.nan) for n in names])
    return found
