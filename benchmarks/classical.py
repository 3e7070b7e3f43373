"""A classical redshift fitter: chi-squared of galaxy templates at every trial redshift.

After the description of moonz, MOONS' redshifter: about 12 to 20 principal components of training
spectra in the rest frame and a low-order polynomial in each arm of the spectrograph, fitted by
inverse-variance weighted least squares at each trial redshift. Differences: trial redshifts are
whole pixels of the logarithmic grid (0.0018 apart at z = 1.6 by default) where moonz steps by 0.01,
and the best one is refined by a parabola; coefficients may be negative; the order of the
polynomials is ours (2), moonz's is not published.

``learn(z, flux, ivar, wave)`` gives templates, ``fit(templates, flux, ivar)`` redshifts, at 9 CPU
ms per spectrum of 3,000 pixels with 12 templates and 1,330 trial redshifts, on one core.
"""

import numpy as np
from scipy import fft

from benchmarks import scores
from benchmarks.classical_templates import Templates, learn

__all__ = ["Templates", "calibrate", "fit", "learn", "pdf"]


def fit(
    templates: Templates, flux: np.ndarray, ivar: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares at every trial redshift.

    Args:
        templates: From `learn`.
        flux: Spectra on the grid of the templates [n, pixels].
        ivar: Inverse variances, 0 for no data [n, pixels].

    Returns:
        Best redshifts [n], their `confidence` [n] and the chi-squared curves [n, trials].
    """
    chi2 = np.stack([curve(templates, f, w) for f, w in zip(flux, ivar, strict=True)])
    return best(templates.z, chi2), confidence(templates.z, chi2), chi2


def curve(t: Templates, flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """Chi-squared of one spectrum [pixels] at every trial redshift [trials].

    All inner products of the templates with each other, with the polynomials and with the
    spectrum, ``sum_i ivar_i a_i b(i + shift)``, are correlations. Polynomials, made orthonormal
    under `ivar`, are taken out first.
    """
    ivar = ivar.astype(float)
    flux = np.where(ivar > 0, flux, 0).astype(float)
    fixed = t.polynomials
    values, vectors = np.linalg.eigh((fixed * ivar) @ fixed.T)
    keep = values > 1e-10 * values.max(initial=0)
    fixed = (vectors[:, keep] / np.sqrt(values[keep])).T @ fixed
    left = ivar * flux @ fixed.T

    count = len(t.basis)
    gram = np.zeros((count + 1, count + 1, len(t.z)))
    upper = np.triu_indices(count)
    gram[upper] = correlate(t, ivar, t.products)
    scale = gram[np.arange(count), np.arange(count)].max(1)
    gram[:count, count] = correlate(t, ivar * flux, t.transforms)
    gram[count, count] = (ivar * flux**2).sum() - (left**2).sum()
    for row, amplitude in zip(ivar * fixed, left, strict=True):
        cross = correlate(t, row, t.transforms)
        for j in range(count):
            gram[j, j:count] -= cross[j] * cross[j:]
        gram[:count, count] -= amplitude * cross
    return residual(gram, scale)


def correlate(t: Templates, x: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """``sum_i x_i b(i + shift)`` at each trial redshift [..., trials], of transformed b."""
    rest, reach = t.basis.shape[1], (len(t.z) - 1) * t.stride
    size = fft.next_fast_len(rest, real=True)
    shifts = fft.irfft(fft.rfft(x, size).conj() * transforms, size, overwrite_x=True)
    return shifts[..., reach :: -t.stride] if reach else shifts[..., :1]


def residual(gram: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """What is left of the last row's norm when all others are projected out [trials].

    Gaussian elimination of symmetric matrices, all trials at once; overwrites `gram`, of which the
    upper triangle is read.

    Args:
        gram: Inner products [rows, rows, trials].
        scale: Size of the diagonal, below 1e-9 of which a row adds nothing to those before it.
    """
    for j in range(len(gram) - 1):
        pivot = gram[j, j]
        useful = pivot > 1e-9 * scale[j]
        factor = np.where(useful, gram[j] / np.where(useful, pivot, 1), 0)
        for k in range(j + 1, len(gram)):
            gram[k, k:] -= factor[k] * gram[j, k:]
    return gram[-1, -1].copy()  # a view would keep all of gram, 2 MB a spectrum


def best(z: np.ndarray, chi2: np.ndarray) -> np.ndarray:
    """Redshift of the least chi-squared [n], the vertex of the parabola through three trials."""
    at = np.clip(chi2.argmin(1), 1, len(z) - 2)
    low, middle, high = (np.take_along_axis(chi2, at[:, None] + i, 1)[:, 0] for i in (-1, 0, 1))
    bend = low - 2 * middle + high
    offset = np.where(bend > 0, 0.5 * (low - high) / np.where(bend > 0, bend, 1), 0)
    x = np.log1p(z)
    return np.expm1(x[at] + np.clip(offset, -1, 1) * (x[1] - x[0]))


def confidence(z: np.ndarray, chi2: np.ndarray, apart: float = 0.005) -> np.ndarray:
    """Chi-squared of the second-best minimum less that of the best [n].

    Args:
        z: Trial redshifts [trials].
        chi2: Curves [n, trials].
        apart: Minima nearer than this in ln(1 + z) are one. Without a second, the greatest
            chi-squared stands for it.
    """
    edge = np.pad(chi2, ((0, 0), (1, 1)), constant_values=np.inf)
    minimum = (chi2 <= edge[:, :-2]) & (chi2 <= edge[:, 2:])
    x = np.log1p(z)
    far = np.abs(x - x[chi2.argmin(1)][:, None]) > apart
    second = np.where(minimum & far, chi2, np.inf).min(1)
    return np.where(np.isfinite(second), second, chi2.max(1)) - chi2.min(1)


def pdf(
    z: np.ndarray, chi2: np.ndarray, prior=np.ones_like, *, temperature=1.0, outliers=0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Redshift densities ``(1 - outliers) exp(-chi2 / (2 temperature)) prior + outliers prior``.

    Both terms are normalised. A profile likelihood of imperfect templates is overconfident;
    `calibrate` finds the temperature and share of outliers that describe held-out spectra best.

    Args:
        z: Trial redshifts [trials].
        chi2: Curves [n, trials].
        prior: From redshifts to a density, normalised or not.
        temperature: Divides chi-squared.
        outliers: Share of spectra of which the fit says nothing.

    Returns:
        Edges [trials + 1] and densities per unit redshift [n, trials].
    """
    x = np.log1p(z)
    edges = np.expm1(np.append(x, x[-1] + x[1] - x[0]) - (x[1] - x[0]) / 2)
    width = np.diff(edges)
    belief = prior(z) * width
    belief = belief / belief.sum()
    share = belief * np.exp((chi2.min(1, keepdims=True) - chi2) / (2 * temperature))
    share /= share.sum(1, keepdims=True)
    return edges, ((1 - outliers) * share + outliers * belief) / width


def calibrate(z: np.ndarray, chi2: np.ndarray, truth: np.ndarray, prior=np.ones_like) -> dict:
    """Keywords of `pdf` with the least mean negative log density of true redshifts [n]."""
    choices = [
        {"temperature": t, "outliers": o}
        for t in (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0) for o in (1e-3, 0.01, 0.03, 0.1, 0.2, 0.4)
    ]  # fmt: skip
    return min(choices, key=lambda c: scores.binned_nll(*pdf(z, chi2, prior, **c), truth))
