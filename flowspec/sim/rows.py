"""Rows of stored simulations: checked, freed of those that failed, and with noise."""

import logging
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray

from flowspec.data.frame import Columns, Frame, Pixels
from flowspec.data.scaling import TINY
from flowspec.data.spectra import Spectra
from flowspec.data.units import split_unit, without_unit
from flowspec.data.vectors import Vectors
from flowspec.prior.prior import Prior

log = logging.getLogger("flowspec")
_EDGE = 1e-5  # of a prior's width: rounding of values written in single precision


def spectra_rows(
    frame: Pixels, flux, ivar, noise
) -> tuple[tuple[np.ndarray, ...], Bool[np.ndarray, " rows"]]:
    """Flux and inverse variance on the pixels, and which rows are whole.

    Args:
        frame: Of the pixels.
        flux: Spectra [rows, pixels], plain numbers or a quantity.
        ivar: Inverse variances [rows, pixels], or None where `noise` gives them.
        noise: Standard deviation (`standard_deviation`), or None.

    Raises:
        ValueError: On shapes that do not match, both or neither of `ivar` and `noise`.
    """
    if (ivar is None) == (noise is None):
        raise ValueError("expected ivar=, of spectra with their noise, or noise=, to add to those "
                         f"without; got {'neither' if ivar is None else 'both'}")
    if noise is not None:
        flux, unit = split_unit(flux)
        if unit is not None:
            raise ValueError(f"expected flux as plain numbers with noise=; got '{unit}'")
        ivar = standard_deviation(noise, flux) ** -2.0
    spectra = Spectra(frame.wave, flux, ivar)
    # what an observation lacks is masked; a simulation that failed is not one of a gap
    whole = ((spectra.ivar > 0) | (split_unit(ivar)[0] == 0)).all(1)
    return (spectra.flux, spectra.ivar), whole


def vector_rows(
    frame: Columns, values, noise
) -> tuple[tuple[np.ndarray, ...], Bool[np.ndarray, " rows"]]:
    """Values, errors and what is there, and which rows are whole.

    Args:
        frame: Of the columns.
        values: Numbers [rows, columns], of which a NaN is a failure, or `Vectors`, of which it is
            a gap.
        noise: Standard deviation (`standard_deviation`), or None.
    """
    if isinstance(values, Vectors):
        if noise is not None:
            raise ValueError("expected noise= of plain numbers; got Vectors, which have errors")
        return frame.arrays(values), values.usable
    err = None if noise is None else standard_deviation(noise, values)
    arrays = frame.arrays(Vectors(values, err, frame.names))
    return arrays, arrays[2].all(1)


def standard_deviation(
    noise, values: Float[np.ndarray, "rows columns"]
) -> Float[np.ndarray, "rows columns"]:
    """Noise of each number, from what users say of it.

    Args:
        noise: A number, one per column, one for each value, or a function of the values
            [rows, columns] that gives one of these.
        values: Without noise.

    Raises:
        ValueError: On another shape, or noise that is not positive where there are values.
    """
    given = without_unit(noise(values) if isinstance(noise, Callable) else noise, "noise")
    try:
        sigma = np.broadcast_to(np.asarray(given, float), values.shape)
    except ValueError:
        raise ValueError(f"expected noise of one number, of shape {values.shape[1:]} or "
                         f"{values.shape}; got {given.shape}") from None
    bad = np.isfinite(values) & ~(sigma > 0)
    if bad.any():
        raise ValueError(f"expected noise above zero; got {sigma[bad][0]:g} in row "
                         f"{int(np.argmax(bad.any(1)))}")
    return sigma


def with_noise(key: PRNGKeyArray, frame: Frame, data: tuple[Array, ...]) -> tuple[Array, ...]:
    """Rows without noise, of a frame of pixels or columns, with noise of their errors."""
    values, error, *rest = data
    sigma = error if frame.kind == Columns.kind else _sigma(error)
    return values + sigma * jr.normal(key, values.shape), error, *rest


def _sigma(ivar: Float[Array, "n pixels"]) -> Float[Array, "n pixels"]:
    return jnp.where(ivar > 0, jnp.maximum(ivar, TINY) ** -0.5, 0.0)


def kept(whole: Bool[np.ndarray, " rows"], what: str) -> Bool[np.ndarray, " rows"]:
    """The rows to learn from: those that did not fail, which is told in the log.

    Raises:
        ValueError: If all failed.
    """
    bad = ~np.asarray(whole)
    if bad.all():
        raise ValueError(f"expected finite {what}; got others in row 0 ({len(bad)} of {len(bad)} "
                         "rows)")
    if bad.any():
        log.warning(
            "%d of %d simulations (%.2g %%) dropped: %s that are not finite, first in row %d; the "
            "posterior is under the prior where the simulator works",
            bad.sum(), len(bad), 100 * bad.mean(), what, np.argmax(bad),
        )  # fmt: skip
    return ~bad


def checked_theta(theta: ArrayLike, prior: Prior) -> Float[np.ndarray, "rows params"]:
    """Parameters in single precision.

    Raises:
        ValueError: If there are none, or one is not finite or outside the prior.
    """
    with np.errstate(over="ignore"):  # beyond float32: infinite, and told
        theta = np.asarray(without_unit(theta, "theta"), np.float32)
    if len(theta) == 0:
        raise ValueError("expected at least one simulation; got none")
    finite = np.isfinite(theta).all(1)
    if not finite.all():
        raise ValueError(f"expected finite theta; got others in row {np.argmin(finite)} "
                         f"({np.sum(~finite)} of {len(finite)} rows)")
    low, high = map(np.asarray, prior.bounds(theta))
    width = np.where(np.isfinite(low) & np.isfinite(high), high - low, 0)
    slack = _EDGE * (width + np.abs(theta))
    inside = ((theta >= low - slack) & (theta <= high + slack)).all(1)
    if not inside.all():
        row = int(np.argmin(inside))
        values = dict(zip(prior.names, theta[row].tolist(), strict=True))
        raise ValueError(f"expected theta inside the prior; got row {row}: {values}")
    return theta


def degraded(
    key: PRNGKeyArray,
    flux: Float[Array, "n pixels"],
    ivar: Float[Array, "n pixels"],
    most: float,
) -> tuple[Float[Array, "n pixels"], Float[Array, "n pixels"]]:
    """Spectra of which half, at random, have further noise: ``sigma^2 -> sigma^2 (1 + r^2)``.

    Args:
        key: Random key.
        flux: Spectra with noise.
        ivar: Their inverse variances.
        most: Greatest r; it is uniform from 0.
    """
    chosen, size, pixel = jr.split(key, 3)
    r = jr.uniform(size, (len(flux), 1), maxval=most) * jr.bernoulli(chosen, 0.5, (len(flux), 1))
    return flux + r * _sigma(ivar) * jax.random.normal(pixel, flux.shape), ivar / (1 + r**2)
