"""How well the forward model fits real spectra once it has learned from others of the same survey.

Nuisances, noise and templates are learned on one half of the SDSS galaxies, without labels, and
everything below is of the other: the fits against the survey's eigenspectra with free lines and
polynomials, what the nuisances still want, stacked residuals in the rest frame, and whether a
classifier tells simulations at the fitted parameters from the spectra.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from astropy.io import fits

import flowspec as fs
from benchmarks import harness, scores
from benchmarks.real_sdss import good_galaxies
from flowspec.adaptation.gap import domain_gap
from flowspec.adaptation.nuisances import best_population, likelihoods
from flowspec.adaptation.residuals import information_share, measured_noise
from flowspec.adaptation.taught import taught
from flowspec.data.line_waves import WAVES
from flowspec.posterior.simulators import simulator_of
from flowspec.sim.explicit import CUT
from flowspec.sim.latent import Learned

STARTS = 4
WINDOWS = np.array([
    3760, 3840, 3900, 3990, 4120, 4220, 4400, 4830, 4890, 4940, 5030, 5150, 5210, 5500, 5700, 5870,
    5920, 6200, 6300, 6520, 6620, 6700, 6750, 7000, 7200, 7411, 7600, 7800, 8000, 8200, 8470, 8600,
    8700, 9000,
])  # fmt: skip
LINES = (
    "[OII]3726", "[OII]3729", "[NeIII]3869", "Hepsilon", "Hdelta", "Hgamma", "Hbeta", "[OIII]4959",
    "[OIII]5007", "HeI5876", "[OI]6300", "[NII]6548", "Halpha", "[NII]6584", "[SII]6717",
    "[SII]6731", "[ArIII]7136",
)  # fmt: skip
PASSIVE, FORMING = -11.3, -10.7  # log10 specific star-formation rate below, above


def run(
    *, model: str = "sdss", learn: int = 512, rounds: int = 2, rows: int = 0, seed: int = 0
) -> dict:
    """Learn on one half, judge on the other.

    Args:
        model: That the fits start from.
        learn: Spectra to learn from; 0 for what the model was taught with.
        rounds: Of learning; 0 is the simulator as it is.
        rows: Of the other half; 0 is all.
        seed: Of the draws that fits start from, and of which spectra are learned from.
    """
    obs, z = good_galaxies()
    report = scores.report_half(obs.names)
    posterior, sim = fs.load(model), fs.GalaxySimulator("sdss")
    if not learn:
        rounds, sim = 0, simulator_of(posterior, model)
    records = []
    look = np.random.default_rng(seed).permutation(np.flatnonzero(~report))[:learn]
    start = posterior.sample(obs[look], STARTS, seed=seed) if rounds else None
    for _ in range(rounds):
        sim, fit, record = taught(sim, obs[look], start)
        records.append(record)
        start = fit.theta[None]
    held = np.flatnonzero(report)[: rows or None]
    found, _, cpu = harness.clocked(
        lambda: sim.fit(obs[held], posterior.sample(obs[held], STARTS, seed=seed)))
    judged = judged_fits(sim, found, obs[held], z[held])
    return {"n": len(held), "cpu_seconds_per_spectrum": cpu / len(held), **judged,
            "learned": records}


def judged_fits(sim, fit, obs, z) -> dict:
    """Fits, nuisances, residuals and gap of one half."""
    rate = fit.theta[:, 2] - fit.theta[:, 1]
    kinds = {"all": rate > -99, "passive": rate < PASSIVE, "forming": rate > FORMING}
    eigen = eigen_chi2(obs, z)
    ratio = {k: [round(float(np.median(x[rows])), 3) for x in (fit.chi2, eigen, fit.chi2 / eigen)]
             for k, rows in kinds.items()}
    return {
        "chi2, eigenspectra, ratio": ratio,
        "nuisances": wanted(sim, fit),
        "residual_percent": {k: stacked(fit, sim.wave, rows) for k, rows in kinds.items()},
        "gap": gap(sim, fit, obs),
    }


def wanted(sim, fit) -> dict:
    """Mean and scatter of each whitened nuisance over the galaxies: 0 and 1 were it all known."""
    good = fit.chi2 < 3
    fit = type(fit)(*(a[good] for a in fit))
    params = fit.theta.shape[1]
    plain = Learned.nothing(sim.layout, params)
    given = likelihoods(fit, plain, information_share(measured_noise(fit)))
    found, _ = best_population(given)
    names = np.repeat(sim.layout.names, sim.layout.counts)
    mean, size = found.mean[params:], np.sqrt(np.diag(found.covariance))[params:]
    return {
        "largest_mean": round(float(np.abs(mean).max()), 2),
        "rms_mean": round(float(np.sqrt((mean**2).mean())), 2),
        "scatter_5_50_95": np.percentile(size, (5, 50, 95)).round(2).tolist(),
        "beyond 0.3": sorted({str(n) for n in names[np.abs(mean) > 0.3]}),
    }


def stacked(fit, wave, rows) -> dict:
    """Median over galaxies of the mean residual over the model in rest-frame windows, percent."""
    with np.errstate(all="ignore"):
        share = np.where(fit.ivar > 0, fit.residual / np.sqrt(fit.ivar) / fit.model, np.nan)[rows]
    rest = wave / (1 + fit.theta[rows, :1])
    means = []
    for low, high in zip(WINDOWS[:-1], WINDOWS[1:], strict=True):
        inside = (rest > low) & (rest < high) & np.isfinite(share)
        count = inside.sum(1)
        sums = np.where(inside, np.clip(share, -0.5, 0.5), 0.0).sum(1)
        own = count > 10
        means.append(100 * np.median(sums[own] / count[own]) if own.sum() > 20 else np.nan)
    worst = int(np.nanargmax(np.abs(means)))
    return {"worst": round(float(means[worst]), 2), "at": int(WINDOWS[worst]),
            "rms": round(float(np.sqrt(np.nanmean(np.square(means)))), 2)}


def gap(sim, fit, obs) -> dict:
    """Area under the curve and overlap of a classifier of spectra simulated at fitted parameters,
    with the noise of the same spectra, against those spectra."""
    flux, ivar = sim.frame.arrays(obs)

    @eqx.filter_jit
    def simulated(sim, key, theta, ivar):
        own, noise = jr.split(key)
        return sim.add_noise(noise, sim.flux(own, theta), ivar)

    keys = jr.split(jr.key(1), len(flux))
    rows = [np.asarray(simulated(sim, k, jnp.asarray(t), jnp.asarray(v, jnp.float32)))
            for k, t, v in zip(keys, fit.theta, ivar, strict=True)]
    sides = (sim.frame.described(np.stack(rows), ivar), sim.frame.described(flux, ivar))
    found = domain_gap(*sides)
    return {"auc": round(found.auc, 3), "error": round(found.error, 3),
            "overlap": round(found.overlap, 3)}


def eigen_chi2(obs, z, widths=(80.0, 150.0, 280.0), degree: int = 4) -> np.ndarray:
    """Reduced chi2 (residuals cut at `CUT`) of eigenspectra, free lines and a polynomial.

    Linear at the catalogue's redshift; the lines have the best of a few widths in km/s.
    """
    path = harness.data_folder() / "templates/sdss_eigen/spEigenGal-55740.fits"
    with fits.open(path) as file:
        rows, header = file[0].data.astype(float), file[0].header
    ln_rest = np.log(10) * (header["COEFF0"] + header["COEFF1"] * np.arange(rows.shape[1]))
    lines = np.array([WAVES[name] for name in LINES])
    ln_wave, best = np.log(obs.wave), np.full(len(z), np.inf)
    x = np.linspace(-1, 1, len(ln_wave))
    for i in range(len(z)):
        own = ln_wave - np.log1p(z[i])
        stars = np.stack([np.interp(own, ln_rest, row, 0, 0) for row in rows])
        smooth = np.median(np.abs(stars[0])) * np.polynomial.legendre.legvander(x, degree).T
        sigma = np.sqrt(np.where(obs.ivar[i] > 0, obs.ivar[i], 0))
        good = (sigma > 0) & (stars[0] != 0)
        for width in widths:
            peaks = np.exp(-0.5 * ((own - np.log(lines)[:, None]) * 299792.458 / width) ** 2)
            design = np.concatenate([stars, smooth, peaks[peaks.max(1) > 0.1]])
            design = (design * sigma)[:, good]
            data = obs.flux[i][good] * sigma[good]
            size = np.maximum(np.linalg.norm(design, axis=1), 1e-30)[:, None]
            fitted = np.linalg.lstsq((design / size).T, data, rcond=1e-8)[0]
            left = data - fitted @ (design / size)
            best[i] = min(best[i], np.mean(np.clip(left, -CUT, CUT) ** 2))
    return best

