"""Artefacts that are confidently taken for other redshifts elsewhere, as pure functions.

Each takes a generator of random numbers, and flux and inverse variance [rows, pixels] at vacuum
wavelengths in angstrom [pixels], and returns both as a reduction leaves them that does not know of
the artefact. Pixels without data stay without. Sizes are uniform in the given ranges, or uniform
in their logarithm where that is said; issues are those of github.com/desihub.
"""

import numpy as np
import numpyro.distributions as dist

from flowspec.prior.prior import Prior

SIGMAS = 10.0, 100.0  # of hot pixels
MOST_HOT = 3
TROUGH, WIDTHS, DEPTHS = (8550.0, 8650.0), (100.0, 300.0), (0.1, 0.4)  # angstrom, angstrom, share
SUBTRACTED = 0.01, 0.05  # share of every sky line that is left, or taken too much
# Of the sky between its lines: photons/s/m2/arcsec2/A (20.7 AB mag/arcsec2 at 8500 A), and the
# signal-to-noise ratio of it in a pixel: 1000 s of DESI and 45 min of the SDSS have about 15 to 30.
SKY, SKY_SNR = 0.03, 20.0
STEPS = 0.1, 0.4
DESI, SDSS = (5800.0, 7500.0), (6000.0,)  # angstrom: where arms meet
RATIOS = 0.3, 1.0
APART = 0.03  # of (1 + z): redshifts of a blend, well beyond what counts as right
_EDGE = 0.02  # of the range of a prior, next to a limit
_FWHM = np.sqrt(8 * np.log(2))


def hot_pixel(rng: np.random.Generator, flux, ivar, wave) -> tuple[np.ndarray, np.ndarray]:
    """One to three neighbouring pixels that are 10 to 100 sigma too high, each its own.

    Log-uniform, anywhere with data. desispec #2605 (two fifths of the wrong redshifts of a
    selection of nearby galaxies: the feature is taken for H-alpha or [O III] 5007), #2563 (five
    galaxies of z < 0.03 put at 0.58 to 0.60 by one near 8000 A) and #1726: cosmic rays that no mask
    tells of. The inverse variance stays as it was.
    """
    del wave
    flux, good = np.array(flux), np.asarray(ivar) > 0
    for row, here in enumerate(good):
        count = int(rng.integers(1, MOST_HOT + 1))
        whole = np.lib.stride_tricks.sliding_window_view(here, count).all(1)
        if whole.any():
            first = rng.choice(np.flatnonzero(whole))
            run = slice(first, first + count)
            height = np.exp(rng.uniform(*np.log(SIGMAS), count))
            flux[row, run] += height / np.sqrt(ivar[row, run])
    return flux, np.array(ivar)


def trough(rng: np.random.Generator, flux, ivar, wave) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian trough at 8550 to 8650 A, 100 to 300 A wide (FWHM), 10 to 40 % deep.

    desispec #2660 (the most frequent cause of a pile-up at z = 1.6, the end of the galaxy
    templates: deep, wide, always at about 8600 A) and #1935 (fibre 1008, a defect of a detector).
    Widths and depths are a guess from what the reports say. Taken from the continuum, the median
    flux within 300 A: the noise and its inverse variance stay.
    """
    n = len(flux)
    centre, width, depth = (rng.uniform(*size, (n, 1)) for size in (TROUGH, WIDTHS, DEPTHS))
    near = (np.asarray(ivar) > 0) & (np.abs(wave - np.mean(TROUGH)) < 300)
    shape = np.exp(-0.5 * ((wave - centre) / (width / _FWHM)) ** 2)
    taken = depth * _median(flux, near) * shape
    return np.where(np.asarray(ivar) > 0, flux - taken, flux), np.array(ivar)


def airglow(
    rng: np.random.Generator, flux, ivar, wave, lines, power: float = 2000.0
) -> tuple[np.ndarray, np.ndarray]:
    """Every line of the night sky 1 to 5 % under- or over-subtracted, all by the same share.

    Taken for [O II]: desispec #2152 (a fifth of the catastrophic failures of emission-line
    galaxies) and #947; redrock #146 ([O I] 5577 taken for it at z = 0.4958, with more residuals
    where [O I], [N II] and [S III] would be). Lines as wide as the resolution, in units of the
    stated noise: where the sky between the lines has a signal-to-noise ratio S = 20 in a pixel and
    lines are L times as bright, a share f is ``f S L / sqrt(1 + L)`` of it, up to 8 at most.
    Objects brighter than the sky would have less. The inverse variance stays.

    Args:
        rng: Of the random numbers.
        flux: [rows, pixels].
        ivar: Its inverse variance [rows, pixels].
        wave: Vacuum angstrom [pixels].
        lines: Vacuum angstrom and photons/s/m2/arcsec2 of each line [lines, 2].
        power: Resolving power (FWHM).
    """
    place, strength = np.asarray(lines, float).T
    sigma = place / power / _FWHM
    contrast = np.zeros(len(wave))
    for at, s, w in zip(place, strength, sigma, strict=True):
        here = slice(*np.searchsorted(wave, [at - 5 * w, at + 5 * w]))
        height = s / SKY / (w * np.sqrt(2 * np.pi))
        contrast[here] += height * np.exp(-0.5 * ((wave[here] - at) / w) ** 2)
    share = rng.uniform(*SUBTRACTED, (len(flux), 1)) * rng.choice([-1, 1], (len(flux), 1))
    left = share * SKY_SNR * contrast / np.sqrt(1 + contrast)
    return flux + left * _sigma(ivar), np.array(ivar)


def steps(rng: np.random.Generator, flux, ivar, wave, joins) -> tuple[np.ndarray, np.ndarray]:
    """Arms that do not join: 10 to 40 % up or down at each place where two of them meet.

    desispec #2193 (large breaks between cameras that lead to wrong redshifts), #1025, #929 and
    #922 (galaxies taken for quasars at z > 5). The first arm stays as it is; with the flux of the
    others goes their noise, and the inverse variance tells so.

    Args:
        rng: Of the random numbers.
        flux: [rows, pixels].
        ivar: Its inverse variance [rows, pixels].
        wave: Vacuum angstrom [pixels].
        joins: Where arms meet, angstrom, such as `DESI` or `SDSS`.
    """
    factor = np.ones(np.shape(flux))
    for join in joins:
        size = rng.uniform(*STEPS, (len(flux), 1)) * rng.choice([-1, 1], (len(flux), 1))
        factor *= np.where(wave > join, 1 + size, 1.0)
    return flux * factor, ivar / factor**2


def blend(
    rng: np.random.Generator, flux, ivar, wave, other, ratios: tuple[float, float] = RATIOS
) -> tuple[np.ndarray, np.ndarray]:
    """Two galaxies in one fibre: another of 0.3 to 1 times the median flux is added.

    GAMA has 280 such spectra (Holwerda et al. 2015, MNRAS 449, 4277); of 5.8 million luminous red
    galaxies of DESI 4,110 have lines of another one behind them (arXiv:2512.04275). Noise adds too,
    and the inverse variance tells so; only pixels that both have are left.

    Args:
        rng: Of the random numbers.
        flux: [rows, pixels].
        ivar: Its inverse variance [rows, pixels].
        wave: Vacuum angstrom [pixels].
        other: Flux and inverse variance of what is added to each row, as `partners` are chosen.
        ratios: Of its median flux to that of the first.
    """
    del wave
    both = (np.asarray(ivar) > 0) & (np.asarray(other[1]) > 0)
    own, added = _median(flux, both), _median(other[0], both)
    scale = rng.uniform(*ratios, (len(flux), 1)) * own / np.where(both.any(1)[:, None], added, 1.0)
    total = np.where(both, flux + scale * other[0], 0.0)
    variance = _sigma(ivar) ** 2 + (scale * _sigma(other[1])) ** 2
    return total, np.where(both, 1 / np.where(both, variance, 1.0), 0.0)


def partners(rng: np.random.Generator, z: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each redshift the number of another one, more than `APART` (1 + z) away [rows].

    Raises:
        ValueError: If there is none for one of them.
    """
    far = np.abs(others - z[:, None]) > APART * (1 + np.maximum(others, z[:, None]))
    if not far.any(1).all():
        raise ValueError(f"expected a redshift more than {APART} (1 + z) away for each; got none "
                         f"for {z[~far.any(1)][0]:.4f}")
    return np.array([rng.choice(np.flatnonzero(row)) for row in far])


def redshifted(flux, ivar, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Spectra moved to the red by whole pixels of a logarithmic grid; the first are without data.
    """
    empty = np.zeros((len(flux), pixels))
    return tuple(np.hstack([empty, a[:, : a.shape[1] - pixels]]) for a in (flux, ivar))


def metal_poor(prior: Prior) -> Prior:
    """Dwarfs like I Zw 18 (z = 0.0025, 12 + log O/H = 7.2), as far as a prior of galaxies has any.

    redrock #330: put at z = 1.68. Redshifts 0.001 to 0.01, 10^7 to 10^8 solar masses, hardly any
    dust; oxygen, metals of the stars and dispersion at the lowest of the prior, star formation per
    mass and ionisation parameter at the highest, all within 2 % of its range.
    """
    lowest = {name: _at(prior, name, 0.0, _EDGE) for name in ("oh", "log_zstar", "av")}
    highest = {name: _at(prior, name, 1 - _EDGE, 1.0) for name in ("log_sfr", "log_u")}
    slow = prior.limits("dispersion")[0]
    slow = dist.Uniform(slow, slow * (1 + _EDGE))
    return ordinary_dwarfs(prior).replace(**lowest, **highest, dispersion=slow)


def ordinary_dwarfs(prior: Prior) -> Prior:
    """Galaxies of the redshifts and masses of `metal_poor`, all else as the prior has it."""
    return prior.replace(z=dist.Uniform(0.001, 0.01), log_mstar=dist.Uniform(7.0, 8.0))


def _at(prior: Prior, name: str, start: float, end: float) -> dist.Uniform:
    """Uniform over a part of the range of a parameter."""
    low, high = prior.limits(name)
    return dist.Uniform(low + start * (high - low), low + end * (high - low))


def _sigma(ivar) -> np.ndarray:
    """Standard deviation, 0 where there is no data."""
    ivar = np.asarray(ivar, float)
    return np.where(ivar > 0, np.where(ivar > 0, ivar, 1.0) ** -0.5, 0.0)


def _median(flux, good) -> np.ndarray:
    """Median of the good pixels [rows, 1], 0 where there is none."""
    both = zip(flux, good, strict=True)
    return np.array([[np.median(f[g]) if g.any() else 0.0] for f, g in both])
