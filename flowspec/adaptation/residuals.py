"""What is left when the forward model was fitted: noise, and templates of what the model lacks."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter

from flowspec.adaptation.injection import autocovariance, correlation_filter
from flowspec.sim.explicit import Fitted
from flowspec.sim.residual import Residual
from flowspec.sim.template import Templates

MOST = 8  # templates
WORTH = 1.0  # nats of evidence per held-out spectrum that one more must gain
BIN = 3  # pixels of a point of the rest frame
SELDOM = 0.03  # of the usual information about a template, below which it is shrunk to nothing
FAR = 5.0  # standard deviations from which a pixel is an outlier
_SMOOTH = 151  # pixels of the running median of the noise
_ROUNDS = 15
_LARGEST = 0.5  # residual over model that still counts


def measured_noise(fit: Fitted) -> Residual:
    """Noise about the best models.

    Args:
        fit: Of observations.
    """
    used = np.trace(np.linalg.solve(
        fit.information + np.eye(fit.information.shape[-1]), fit.information), axis1=1, axis2=2)
    good = np.where(fit.residual == 0, np.nan, fit.residual)
    count = np.isfinite(good).sum(1)
    good = good * np.sqrt(count / np.maximum(count - used, 1))[:, None]
    level = _spread(good, 1)
    each = good / level[:, None]
    enough = np.isfinite(each).sum(0) > 10
    curve = np.where(enough, _spread(np.where(enough, each, 0.0), 0), 1.0)
    broad = median_filter(curve, _SMOOTH, mode="nearest")
    sampling = 1.2 / np.sqrt(np.maximum(np.isfinite(each).sum(0), 1))
    curve = np.where(np.abs(curve / broad - 1) > 5 * sampling, curve, broad)
    each = each / curve
    covariance = autocovariance(each)
    far = np.abs(each) > FAR
    reach = np.sqrt(np.nanmean(np.clip(each[far], -30, 30) ** 2)) if far.any() else 0.0
    middle = np.exp(np.mean(np.log(level)))
    numbers = curve * middle, correlation_filter(covariance), np.std(np.log(level))
    outliers = far.sum() / np.isfinite(each).sum()
    return Residual(*(jnp.asarray(a, jnp.float32) for a in (*numbers, outliers, reach)))


def information_share(noise: Residual) -> float:
    """Information of correlated noise of this size over what its stated error says."""
    size, kernel = np.asarray(noise.size), np.asarray(noise.kernel)
    return float(1 / (np.median(size) ** 2 * max(kernel.sum() ** 2, 1.0)))


def rest_templates(
    fit: Fitted, z: Float[np.ndarray, " batch"], wave: Float[np.ndarray, " pixels"],
    noise: Residual, seed: int = 0,
) -> tuple[Templates, list[float]]:  # fmt: skip
    """Principal components of residuals in the rest frame, as many as held-out spectra want.

    Probabilistic principal components with missing data (Tipping & Bishop 1999, by
    expectation-maximisation), unit variance of each amplitude.

    Args:
        fit: Of observations.
        z: Redshifts.
        wave: Of the pixels.
        noise: Of the residuals.
        seed: Of the split in halves.

    Returns:
        Templates, and the gain in log evidence per held-out spectrum with 0, 1, … of them, nats.
    """
    step = BIN * float(np.median(np.diff(np.log(wave))))
    values, weight, start = _in_rest_frame(fit, z, wave, noise, step)
    half = np.random.default_rng(seed).permutation(len(values)) % 2 == 0
    gains = [0.0]
    for count in range(1, MOST + 1):
        gain = []
        for own in (half, ~half):
            rows = components(values[~own], weight[~own], count)
            gain.append(_log_evidence(values[own], weight[own], rows))
        gains.append(float(np.concatenate(gain).mean()))
    best = next((k for k in range(MOST) if gains[k + 1] < gains[k] + WORTH), MOST)
    rows = components(values, weight, best)
    none = jnp.zeros((0, len(wave)))
    return Templates(jnp.asarray(rows, jnp.float32), none, start, step), gains


def components(
    values: Float[np.ndarray, "batch n"], weight: Float[np.ndarray, "batch n"], count: int
) -> Float[np.ndarray, "count n"]:
    """Principal components of incomplete data, each one standard deviation.

    Args:
        values: Data.
        weight: Inverse variance, 0 where there is none.
        count: Of components.
    """
    scale = np.sqrt(weight.mean(0))
    _, size, axes = np.linalg.svd(values * (weight > 0) * scale, full_matrices=False)
    rows = axes[:count] * size[:count, None] / np.sqrt(len(values)) / np.maximum(scale, 1e-9)
    rows = np.where(scale > 0, rows, 0.0)
    # a component that hardly any spectrum sees at some wavelength stays small there
    ridge = SELDOM * np.median(weight.sum(0)) * np.eye(count)
    for _ in range(_ROUNDS):
        mean, covariance = _amplitudes(values, weight, rows)
        moment = mean[:, :, None] * mean[:, None] + covariance
        gram = np.einsum("nkl,np->pkl", moment, weight) + ridge
        rows = np.linalg.solve(gram, ((weight * values).T @ mean)[..., None])[..., 0].T
        # unit variance of the amplitudes
        turn = np.linalg.cholesky(moment.mean(0))
        rows = turn.T @ rows
    return rows


def _amplitudes(values, weight, rows):
    """Posterior means [batch, count] and covariances of the amplitudes."""
    gram = np.einsum("kp,np,lp->nkl", rows, weight, rows, optimize=True) + np.eye(len(rows))
    covariance = np.linalg.inv(gram)
    return np.einsum("nkl,nl->nk", covariance, (weight * values) @ rows.T), covariance


def _log_evidence(values, weight, rows):
    """Gain in log evidence of each row of data over no components."""
    gram = np.einsum("kp,np,lp->nkl", rows, weight, rows, optimize=True) + np.eye(len(rows))
    pull = (weight * values) @ rows.T
    fit = np.einsum("nk,nk->n", pull, np.linalg.solve(gram, pull[..., None])[..., 0])
    return 0.5 * (fit - np.linalg.slogdet(gram)[1])


def _in_rest_frame(fit, z, wave, noise, step):
    """Residual over model [batch, n], its inverse variance, and ln(wavelength) of its start."""
    ln_rest = np.log(wave) - np.log1p(z)[:, None]
    start = float(ln_rest.min())
    place = np.rint((ln_rest - start) / step).astype(int)
    size = np.asarray(noise.size) * np.sqrt(max(float(np.asarray(noise.kernel).sum()) ** 2, 1.0))
    model = np.maximum(fit.model, 1e-6 * np.abs(fit.model).max(1, keepdims=True))
    weight = np.where(fit.residual == 0, 0.0, model**2 * fit.ivar / size**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = (fit.residual / size) / np.sqrt(weight)
    usable = (weight > 0) & (np.abs(relative) < _LARGEST)
    weight, relative = np.where(usable, weight, 0.0), np.where(usable, relative, 0.0)
    shape = len(z), place.max() + 1
    rows = np.broadcast_to(np.arange(len(z))[:, None], place.shape)
    total, sums = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (rows, place), weight)
    np.add.at(sums, (rows, place), weight * relative)
    return sums / np.maximum(total, 1e-30), total, start


def _spread(x: np.ndarray, axis: int) -> np.ndarray:
    """1.4826 times the median absolute deviation from zero."""
    return 1.4826 * np.nanmedian(np.abs(x), axis=axis)
