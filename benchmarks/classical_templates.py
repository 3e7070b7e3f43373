"""Templates of the classical redshift fitter, learned from labelled spectra.

Weighted principal components in the rest frame, of which each spectrum covers a part, by
expectation maximisation (Bailey 2012, PASP 124, 1015).
"""

from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import legvander
from scipy import fft

MOONS_ARMS = (9340.0, 14000.0)  # angstrom: where RI ends, and between YJ and H


class Templates(NamedTuple):
    """What `classical.fit` needs: templates with their transforms, trial redshifts, polynomials.

    Attributes:
        basis: Orthonormal templates on the rest-frame grid, whose first pixel lies at the first of
            the observed grid at the highest trial redshift [templates, rest].
        z: Trial redshifts, increasing, uniform in ln(1 + z) [trials].
        stride: Pixels between them.
        polynomials: Legendre polynomials, zero outside their arm [terms, pixels].
        transforms: Fourier transforms of the templates [templates, frequencies].
        products: Those of their products, by rows of the upper triangle [pairs, frequencies].
    """

    basis: np.ndarray
    z: np.ndarray
    stride: int
    polynomials: np.ndarray
    transforms: np.ndarray
    products: np.ndarray


def learn(
    z: np.ndarray,
    flux: np.ndarray,
    ivar: np.ndarray,
    wave: np.ndarray,
    templates: int = 12,
    *,
    limits: tuple[float, float] | None = None,
    stride: int = 2,
    arms: tuple[float, ...] = MOONS_ARMS,
    degree: int = 2,
    iterations: int = 15,
    floor: float = 0.03,
) -> Templates:
    """Principal components of labelled spectra; about 0.7 CPU ms per spectrum and iteration.

    Args:
        z: True redshifts [n]; a few thousand are enough.
        flux: Spectra, best noiseless or of high signal-to-noise ratio [n, pixels].
        ivar: Inverse variances, 0 for no data [n, pixels].
        wave: Grid in angstrom, uniform in ln(wavelength) [pixels].
        templates: Number of components.
        limits: Least and greatest trial redshift; by default those of `z`.
        stride: Pixels between trial redshifts.
        arms: Wavelengths in angstrom at which one polynomial ends and the next begins.
        degree: Of the polynomials; -1 for none.
        iterations: Of expectation maximisation.
        floor: Error added in quadrature, as a share of the mean flux of a spectrum, so that the
            brightest do not decide alone.
    """
    step = np.log(wave[-1] / wave[0]) / (len(wave) - 1)
    low, high = limits or (z.min(), z.max())
    first = round(np.log1p(low) / step)
    trials = -(-(round(np.log1p(high) / step) - first) // stride) + 1
    reach = (trials - 1) * stride
    inside = (z >= low) & (z <= high) & (ivar > 0).any(1)
    start = reach + first - np.rint(np.log1p(z[inside]) / step).astype(int)
    start = np.clip(start, 0, reach)
    basis = components(*scaled(flux[inside], ivar[inside], floor), start, reach, templates,
                       iterations)
    shifts = first + stride * np.arange(trials)
    return prepare(basis, np.expm1(shifts * step), stride, polynomials(wave, arms, degree))


def prepare(basis: np.ndarray, z: np.ndarray, stride: int, terms: np.ndarray) -> Templates:
    """Templates with their transforms, computed once."""
    size = fft.next_fast_len(basis.shape[1], real=True)
    upper = np.triu_indices(len(basis))
    products = fft.rfft(basis[upper[0]] * basis[upper[1]], size)
    return Templates(basis, z, stride, terms, fft.rfft(basis, size), products)


def polynomials(wave: np.ndarray, arms: tuple[float, ...], degree: int) -> np.ndarray:
    """Legendre polynomials in ln(wavelength) of each arm [arms * (degree + 1), pixels]."""
    if degree < 0:
        return np.zeros((0, len(wave)))
    terms = []
    for low, high in zip((0, *arms), (*arms, np.inf), strict=True):
        inside = (wave >= low) & (wave < high)
        if inside.any():
            x = np.log(wave / wave[inside][0]) / max(np.ptp(np.log(wave[inside])), 1e-9)
            terms.append(np.where(inside, legvander(np.clip(2 * x - 1, -1, 1), degree).T, 0))
    return np.concatenate(terms)


def scaled(flux: np.ndarray, ivar: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Spectra over their mean absolute flux, and weights 1 / (variance + floor^2), float32."""
    good = ivar > 0
    flux = np.where(good, flux, 0).astype(np.float32)
    scale = (ivar * np.abs(flux)).sum(1) / np.maximum(ivar.sum(1), 1e-30)
    scale = np.where(scale > 0, scale, 1).astype(np.float32)[:, None]
    n2 = ivar * scale**2
    return flux / scale, n2 / (1 + np.float32(floor) ** 2 * n2)


def components(flux, weight, start, reach, count, iterations) -> np.ndarray:
    """Weighted principal components with missing data, orthonormal [count, pixels + reach].

    Args:
        flux: Scaled spectra [n, pixels].
        weight: Inverse variances [n, pixels].
        start: Rest-frame pixel of the first pixel of each spectrum [n].
        reach: Greatest such pixel.
        count: Number of components.
        iterations: Of expectation maximisation, from the decomposition with zeros for no data.
    """
    n, pixels = flux.shape
    first = np.linspace(0, n - 1, min(n, 512)).astype(int)
    placed = np.zeros((len(first), pixels + reach), np.float32)
    for row, i in zip(placed, first, strict=True):
        row[start[i] : start[i] + pixels] = flux[i] * (weight[i] > 0)
    basis = np.linalg.svd(placed, full_matrices=False)[2][:count].astype(float)
    upper = np.triu_indices(count)
    for _ in range(iterations):
        seen = [basis[:, s : s + pixels] for s in start]
        coefficients = np.stack([
            np.linalg.solve((t * w) @ t.T + 1e-6 * np.eye(count) * w.sum() / pixels, t @ (w * f))
            for t, w, f in zip(seen, weight, flux, strict=True)
        ])
        coefficients = np.linalg.qr(coefficients)[0] * np.sqrt(n)
        pairs = coefficients[:, upper[0]] * coefficients[:, upper[1]]
        normal = np.zeros((pixels + reach, len(upper[0])))
        right = np.zeros((pixels + reach, count))
        for s, w, f, c, p in zip(start, weight, flux, coefficients, pairs, strict=True):
            normal[s : s + pixels] += np.multiply.outer(w, p)
            right[s : s + pixels] += np.multiply.outer(w * f, c)
        matrix = np.zeros((pixels + reach, count, count))
        matrix[:, upper[0], upper[1]] = matrix[:, upper[1], upper[0]] = normal
        # Towards zero where few spectra reach: fewer there than components fix nothing.
        matrix += 1e-3 * weight.sum() / (pixels + reach) * np.eye(count)
        basis = np.linalg.qr(np.linalg.solve(matrix, right[..., None])[..., 0])[0].T
    return basis
