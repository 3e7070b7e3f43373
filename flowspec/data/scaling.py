"""Numbers in extreme units: brought to where single precision has them, and their squares.

Factors are powers of two, which round nothing: what is not extreme stays the same to the last bit.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Bool, Float

TINY = float(np.finfo(np.float32).tiny)  # below it single precision loses digits, or gives zero
_DIGITS = 24  # binary ones of single precision
_SAFE = (1e-20, 1e30)  # of the largest number of a row


def in_own_unit(
    flux: Float[ArrayLike, "batch pixels"], ivar: Float[ArrayLike, "batch pixels"]
) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
    """Spectra in units, powers of two, in which their smallest errors are about one.

    An error below 2^-24 of the largest flux is taken for that much: flux in single precision is
    not known better.

    Args:
        flux: JAX or NumPy arrays, 0 where there is no data.
        ivar: Inverse variances, 0 where there is no data.

    Returns:
        Flux, inverse variance, and the unit of the flux [batch, 1].
    """
    xp = np if isinstance(ivar, np.ndarray) else jnp
    tops = [xp.abs(flux).max(-1, keepdims=True), ivar.max(-1, keepdims=True)]
    tops = tops if xp is np else jax.lax.stop_gradient(tops)
    bright, precise = (xp.frexp(top)[1] for top in tops)
    error = -(precise // 2)
    one, unit = (xp.ldexp(xp.ones_like(tops[1]), e)
                 for e in (error, xp.maximum(error, bright - _DIGITS)))
    return flux / unit, ivar * one * one, unit


def in_safe_unit(
    flux: Float[np.ndarray, "batch lines"], err: Float[np.ndarray, "batch lines"]
) -> tuple[Float[np.ndarray, "batch lines"], Float[np.ndarray, "batch lines"]]:
    """Fluxes and errors of which only ratios matter; those of an extreme unit about one.

    Luminosities in erg/s are beyond single precision.
    """
    top = np.maximum(np.abs(flux), err).max(1, keepdims=True, initial=0)
    extreme = (top > 0) & ((top < _SAFE[0]) | (top > _SAFE[1]))
    unit = np.where(extreme, np.ldexp(1.0, np.frexp(top)[1]), 1.0)
    return flux / unit, err / unit


def is_lost(
    values: Float[np.ndarray, "*batch"], single: Float[np.ndarray, "*batch"]
) -> Bool[np.ndarray, "*batch"]:
    """Which numbers above zero single precision does not have: they are infinite, or hardly there.

    Args:
        values: The numbers.
        single: The same in single precision.
    """
    return (values > 0) & np.isfinite(values) & ~((single >= TINY) & np.isfinite(single))
