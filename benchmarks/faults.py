"""Spectra with something wrong, and how far that is from what nuisances can make."""

import jax
import numpy as np
from scipy.ndimage import convolve1d, gaussian_filter1d
from scipy.stats import rankdata

import flowspec as fs
from flowspec.sim.explicit import split

_TROUGH, _HOT = 8600.0, 30.0  # angstrom; standard deviations


def spoilt(obs: fs.Spectra, seed: int) -> dict[str, fs.Spectra]:
    """The spectra as they are and with one thing wrong, by the name of it.

    A trough at 8600 A, 30 A wide and half as deep as the continuum; a hot pixel of 30 sigma; the
    brightest emission line taken away (the highest pixel above a running mean, and ten on either
    side); a tilt of 3 % from end to end; a line-spread function wider by 10 %.
    """
    rng = np.random.default_rng(seed)
    wave, flux, good = obs.wave, np.asarray(obs.flux), obs.ivar > 0
    sigma = np.where(good, np.where(good, obs.ivar, 1) ** -0.5, 0)
    shapes = changes(wave, flux, gaussian_filter1d(flux, 3, axis=1))
    hot, rows = flux.copy(), np.arange(len(flux))
    at = rng.integers(len(wave) // 8, 7 * len(wave) // 8, len(flux))
    hot[rows, at] += _HOT * sigma[rows, at]
    found = {"as simulated": flux, "hot pixel": hot} | {n: flux + d for n, d in shapes.items()}
    return {name: fs.Spectra(wave, np.where(good, f, 0), obs.ivar) for name, f in found.items()}


def changes(wave, flux, smooth) -> dict[str, np.ndarray]:
    """What is added to spectra by each fault that is a change of the light."""
    x = 2 * np.log(wave / wave[0]) / np.log(wave[-1] / wave[0]) - 1
    above = smooth - gaussian_filter1d(flux, 40, axis=1)
    at = above.argmax(1)
    near = np.abs(np.arange(len(wave)) - at[:, None]) <= 10
    # that of the SDSS has a sigma of 60 km/s or 0.87 pixels, of which 1.1^2 - 1 is 0.16 in square;
    # a sampled normal of so little width would have half of that
    wider = convolve1d(smooth, [0.08, -0.16, 0.08], axis=1)
    return {
        "tilt of 3 %": 0.015 * x * smooth,
        "line-spread function 10 % wider": wider,
        "missing line": np.where(near, -above, 0.0),
        "trough at 8600 A": -0.5 * smooth * np.exp(-0.5 * ((wave - _TROUGH) / 15) ** 2),
    }


def visibility(obs: fs.Spectra, near, sim) -> dict:
    """Distance of each fault from spectra of other nuisances, in standard deviations: the median.

    With J the derivatives of the model by the nuisances in units of the noise, a change d of the
    data leaves residuals of the square ``d^T (1 + J J^T)^-1 d`` (prior included): the most that
    any test of the residuals and the nuisances together can gain. The first number is d itself.
    """
    unknowns = np.concatenate([near.free, near.white], axis=1)
    model = np.asarray(jax.jit(jax.vmap(lambda u: sim.spectrum_of(*split(sim, u))))(unknowns))
    found = {}
    for name, change in changes(obs.wave, model, model).items():
        d = change * near.root * near.weight
        parts = []
        for row, columns in zip(d, near.columns.astype(float), strict=True):
            pull, gram = columns @ row, columns @ columns.T + np.eye(len(columns))
            left = row @ row - pull @ np.linalg.solve(gram, pull)
            parts.append((np.sqrt(row @ row), np.sqrt(max(left, 0))))
        whole, left = np.median(parts, axis=0)
        found[name] = {"of the change": float(whole), "nuisances taken out": float(left)}
    return found


def area(odd: np.ndarray, usual: np.ndarray) -> float:
    """Under the receiver curve: the probability that a spoilt row has the lower p-value."""
    ranks = rankdata(np.concatenate([odd, usual]))[: len(odd)]
    return float(1 - (ranks.sum() - len(odd) * (len(odd) + 1) / 2) / (len(odd) * len(usual)))
