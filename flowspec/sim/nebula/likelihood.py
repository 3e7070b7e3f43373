"""The explicit likelihood of line fluxes of unknown scale."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, logsumexp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Int

from flowspec.data.lines import State
from flowspec.sim.nebula.noise import AMPLITUDE

NODES = 24  # of the integral over the scale
REACH = 6.0  # of it, in standard deviations


def log_likelihood(
    flux: Float[Array, " lines"],
    err: Float[Array, " lines"],
    state: Int[Array, " lines"],
    ratio: Float[Array, " lines"],
    model_err: Float[Array, " lines"],
) -> Float[Array, ""]:
    """``ln p(fluxes | ratios)`` of one object, integrated over its scale A with a prior dA / A.

    ``int prod_measured N(f_i; A r_i, s_i^2) prod_limits Phi((f_i - A r_i) / s_i) dA / A`` with
    ``s_i^2 = err_i^2 + (A model_err_i)^2``, by the trapezoidal rule in ln A about the best scale,
    down to the least amplitude of the simulations, `AMPLITUDE`, for the smallest error.

    Args:
        flux: Measured fluxes or upper limits, in any one unit.
        err: Their errors.
        state: `flowspec.data.lines.State` of each.
        ratio: Fluxes of the model relative to its reference line.
        model_err: Standard deviation of these.
    """
    return logsumexp(scales(flux, err, state, ratio, model_err)[1])


def scales(
    flux: Float[Array, " lines"],
    err: Float[Array, " lines"],
    state: Int[Array, " lines"],
    ratio: Float[Array, " lines"],
    model_err: Float[Array, " lines"],
) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Nodes of the scale A, and ln of what each adds to the integral of `log_likelihood`.

    The softmax of the latter is the posterior of the scale given the ratios. Arguments are those
    of `log_likelihood`.
    """
    measured, limit = state == int(State.MEASURED), state == int(State.LIMIT)
    least = jnp.where(measured | limit, err, jnp.inf).min()
    # squares of fluxes in erg/s/cm2 are beyond single precision; a power of two rounds nothing
    unit = jnp.ldexp(1.0, jnp.frexp(least)[1])
    least = AMPLITUDE[0] * least / unit
    flux, err = flux / unit, jnp.where(measured | limit, err / unit, 1.0)
    # where the nodes are placed does not change the integral, nor its derivative
    fixed = jax.lax.stop_gradient((ratio, model_err))
    best, width = _best_scale(flux, err, measured, measured | limit, *fixed)
    low = jnp.log(jnp.maximum(best - REACH * width, least))
    high = jnp.log(jnp.maximum(best, 0.0) + REACH * width + least)
    scale = jnp.exp(low + (high - low) * jnp.linspace(0.0, 1.0, NODES))
    sigma = jnp.sqrt(err**2 + (scale[:, None] * model_err) ** 2)
    away = flux - scale[:, None] * ratio
    terms = jnp.where(measured, norm.logpdf(away, scale=sigma), 0.0)
    # the costly part, left out where a catalogue has no limits and many ratios share its row
    terms += jax.lax.cond(limit.any(), lambda x: jnp.where(limit, log_ndtr(x), 0.0),
                          jnp.zeros_like, away / sigma)
    step = jnp.log((high - low) / (NODES - 1)) - measured.sum() * jnp.log(unit)
    ends = np.log(np.r_[0.5, np.ones(NODES - 2), 0.5])
    return scale * unit, terms.sum(-1) + ends + step


def _best_scale(flux, err, measured, present, ratio, model_err):
    """Least squares over the measured lines, and its error; limits alone bound it from above."""
    weight = jnp.where(measured, err**-2.0, 0.0)
    faint = jnp.where(present, err / ratio, jnp.inf).min()  # where the first line would show
    best, width = jnp.zeros(()), faint
    for _ in range(3):
        square = (weight * ratio**2).sum()
        best = (weight * flux * ratio).sum() / jnp.maximum(square, 1e-30)
        width = jnp.where(square > 0, jnp.maximum(square, 1e-30) ** -0.5, faint)
        weight = jnp.where(measured, 1 / (err**2 + (best * model_err) ** 2), 0.0)
    return best, width
