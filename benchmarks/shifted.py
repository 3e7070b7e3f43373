"""The toy problem with observations that are not as simulated: shifts of known kind and size."""

import numpy as np

from benchmarks import toy
from flowspec import Spectra

SHIFTS = ("noise", "calibration", "physics", "labels", "nothing", "together")


def observe(shift: str, rows: int, seed: int) -> tuple[np.ndarray, Spectra]:
    """Parameters [rows, 4] and spectra of a shifted sky, whose errors are quoted as simulated.

    Args:
        shift: One of `SHIFTS`.
        rows: Spectra.
        seed: Random seed.

    "noise": correlated noise (a Gaussian of 3 pixels) as strong as the white noise, and residuals
    of 40 sky lines, 8 times as strong. "calibration": a smooth random factor, 15 % rms. "physics":
    lines twice as broad, [N II] and [S II] stronger where [O III] is weak. "labels": Beta-shaped
    populations. "together": all four.
    """
    rng = np.random.default_rng([20261123, seed])
    on = {name: shift in (name, "together") for name in SHIFTS}
    unit = rng.uniform(size=(rows, 4))
    if on["labels"]:
        shapes = ((2, 4), (2, 5), (4, 2), (2, 3))
        unit = np.stack([rng.beta(a, b, rows) for a, b in shapes], axis=1)
    theta = toy.LOW + (toy.HIGH - toy.LOW) * unit
    flux = np.concatenate([_clean(part, on["physics"]) for part in np.array_split(theta, 8)])
    if on["calibration"]:
        flux = flux * np.exp(_smooth(rng, rows))
    noise = rng.standard_normal(flux.shape)
    if on["noise"]:
        noise = noise + _correlated(rng, flux.shape) + _sky(rng, rows)
    flux = (flux + toy.SIGMA * noise).astype(np.float32)
    return theta.astype(np.float32), toy.observed(flux)


def _clean(theta: np.ndarray, physics: bool) -> np.ndarray:
    columns = theta.T[..., None]
    if not physics:
        return toy.spectrum(columns)
    z, log_a, ratio, _ = columns
    rest, flux = toy.WAVE / (1 + z), toy.spectrum(columns)
    for centre, peak, power in toy.LINES:
        offset = np.log(rest / centre) / (toy.VELOCITY / toy.LIGHT)
        height = peak * 10 ** (log_a + power * ratio)
        excess = 10 ** (-0.5 * ratio) if centre > 6500 and centre != 6564.6 else 1.0
        flux += height * (0.5 * excess * np.exp(-0.125 * offset**2) - np.exp(-0.5 * offset**2))
    return flux


def _smooth(rng, rows: int) -> np.ndarray:
    """Sum of four random waves of ln(wavelength), 0.15 rms [rows, pixels]."""
    x = np.linspace(0, 1, len(toy.WAVE))
    frequency = rng.uniform(0.3, 3.0, (rows, 4, 1))
    waves = np.sin(2 * np.pi * (frequency * x + rng.uniform(size=(rows, 4, 1))))
    return 0.15 * np.sqrt(2 / 4) * (rng.standard_normal((rows, 4, 1)) * waves).sum(1)


def _correlated(rng, shape) -> np.ndarray:
    taps = np.exp(-0.5 * (np.arange(-12, 13) / 3.0) ** 2)
    taps /= np.linalg.norm(taps)
    white = rng.standard_normal((shape[0], shape[1] + 24))
    return np.stack([np.convolve(row, taps, mode="valid") for row in white])


def _sky(rng, rows: int) -> np.ndarray:
    """Residuals of lines at fixed wavelengths, each spectrum its own amplitudes."""
    places = np.random.default_rng(7).choice(len(toy.WAVE), 40, replace=False)
    offset = np.arange(len(toy.WAVE)) - places[:, None]
    return (8.0 * rng.standard_normal((rows, 40))) @ np.exp(-0.5 * (offset / 1.5) ** 2)
