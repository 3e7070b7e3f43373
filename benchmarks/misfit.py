"""Does `misfit` see what simulations lack? False alarms, and what is caught.

"spectra": simulated SDSS spectra of signal-to-noise ratio about 10, as they are and spoilt: noise
twice as large as stated, a line that no simulation has, a smooth error of the continuum, a hot
pixel, a wider line-spread function. "sky": `FLOWSPEC_TEST_DATA`: fibres on the sky, stars and
quasars, objects beyond the prior, and good galaxies.
"""

import h5py
import jax.random as jr
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.stats import rankdata

import flowspec as fs
from benchmarks import harness, judged
from benchmarks.real_sdss import good_galaxies
from flowspec.data.flags import Flag
from flowspec.sim.simulator import simulate_many

_C = 299792.458


def run(*, part: str = "spectra", model: str = "sdss", rows: int = 500, seed: int = 5) -> dict:
    """Judge spoilt simulations, or real spectra.

    Args:
        part: "spectra" or "sky".
        model: Name of a shipped model or a model file of SDSS spectra.
        rows: Simulated spectra of each kind.
        seed: Of all that is random.
    """
    posterior = fs.load(model)
    if part == "sky":
        return {name: _verdicts(posterior, obs) for name, obs in _real().items()}
    rng = np.random.default_rng(seed)
    obs = _simulated(posterior, rows, seed)
    found = {name: _misfit(posterior, spoilt) for name, spoilt in _spoilt(obs, rng).items()}
    return {name: {"area": _area(p, found["as simulated"]), "below 0.01": float((p < 0.01).mean())}
            for name, p in found.items()}  # fmt: skip


def _simulated(posterior, rows: int, seed: int) -> fs.Spectra:
    """Of signal-to-noise ratios of 7 to 14."""
    sim, parts = judged.simulator(posterior, "sdss"), []
    while sum(map(len, parts)) < rows:
        key = jr.fold_in(jr.key(seed), len(parts))
        obs = posterior.model.frame.observed(*simulate_many(sim, key, 2048).data)
        parts.append(obs[(obs.snr > 7) & (obs.snr < 14)])
    return fs.Spectra.concatenate(parts)[:rows]


def _spoilt(obs: fs.Spectra, rng) -> dict[str, fs.Spectra]:
    """The spectra as they are and with one thing wrong, by the name of it."""
    wave, flux, good = obs.wave, obs.flux, obs.ivar > 0
    sigma = np.where(good, np.where(good, obs.ivar, 1) ** -0.5, 0)
    rows, x = np.arange(len(obs)), np.log(wave / wave[0])
    noise = sigma * rng.standard_normal(flux.shape)
    middle = rng.integers(len(wave) // 8, 7 * len(wave) // 8, len(obs))
    level = np.array([np.abs(flux[i, m - 50 : m + 50]).mean() for i, m in enumerate(middle)])
    found = {"as simulated": flux, "noise twice as large": flux + np.sqrt(3) * noise}
    for width in (10, 30, 100):
        spread = wave[middle] * np.hypot(150, 70) / _C
        shape = np.exp(-0.5 * ((wave - wave[middle][:, None]) / spread[:, None]) ** 2)
        height = level * width / spread / np.sqrt(2 * np.pi)
        found[f"line of {width} A"] = flux + height[:, None] * shape
    for knots in (8, 12, 20):
        at = np.linspace(0, x[-1], knots), rng.normal(size=(len(obs), knots))
        curve = CubicSpline(*at, axis=1)(x)
        curve /= curve.std(1, keepdims=True)
        found[f"continuum 10 %, {knots} knots"] = flux * (1 + 0.1 * curve)
    for height in (30, 100, 300):
        hot = flux.copy()
        hot[rows, middle] += height * sigma[rows, middle]
        found[f"hot pixel of {height} sigma"] = hot
    smooth = gaussian_filter1d(flux - noise, 2, axis=1) + noise
    found["wider by 2 pixels"] = smooth
    return {name: fs.Spectra(wave, np.where(good, f, 0), obs.ivar) for name, f in found.items()}


def _misfit(posterior, obs) -> np.ndarray:
    return np.ma.filled(posterior.summarize(obs, n=100)["misfit"], np.nan)


def _area(odd: np.ndarray, usual: np.ndarray) -> float:
    """Under the receiver curve: the probability that a spoilt row is the odder one."""
    ranks = rankdata(np.concatenate([odd, usual]))[: len(odd)]
    return 1 - (ranks.sum() - len(odd) * (len(odd) + 1) / 2) / (len(odd) * len(usual))


def _real() -> dict[str, fs.Spectra]:
    """Spectra of things that are in the model, and of things that are not."""
    folder, good = harness.data_folder(), good_galaxies()[0]
    every = fs.read(folder / "spectra/sdss/sdss.h5")
    with h5py.File(folder / "spectra/sdss/sdss.h5") as file:
        others = np.char.strip(file["catalog/cls"][:]) != b"GALAXY"
    sky = fs.read(folder / "sky/sdss_sky_fibres/sdss_sky152.h5")
    found = {"good galaxies": good, "sky fibres": sky, "SDSS, no galaxies": every[others]}
    for name in ("boss", "jades", "muse_udf10"):
        for path in sorted((folder / "spectra" / name).glob("*.fits")):
            try:
                found[f"{name} {path.name}"] = fs.read(str(path))
            except ValueError:
                continue  # a catalogue
    return found


def _verdicts(posterior, obs) -> dict:
    """Shares of rows that are flagged, and that are confident without a flag."""
    try:
        table = posterior.summarize(obs, n=100)
    except ValueError as error:
        return {"rows": len(obs), "refused": str(error)}
    flags, prob = np.asarray(table["flags"]), np.ma.filled(table["z_prob"], 0)
    shares = {flag.name.lower(): float((flags & flag > 0).mean()) for flag in Flag}
    warned = Flag.OUT_OF_DISTRIBUTION | Flag.UNLIKE_DATA | Flag.NO_DATA | Flag.UNSURE_REDSHIFT
    sure = (prob >= 0.9) & (flags & int(warned) == 0)
    return {"rows": len(obs), **shares, "confident, no warning": int(sure.sum())}
