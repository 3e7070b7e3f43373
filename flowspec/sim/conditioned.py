"""How far the data let the model of a spectrum move: bands that are conditioned on what was seen.

A predictive band with nuisances redrawn from their prior is as wide as the prior is (20 % of the
flux of an SDSS galaxy) however good the spectrum: it proves nothing. Here parameters and nuisances
have the covariance that the data leave them (`Fitted.covariance`), pushed through the derivative
of the model (the delta method).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowspec.sim.explicit import Fitted, jacobian
from flowspec.sim.forward import Forward


def band(sim: Forward, fit: Fitted) -> Float[np.ndarray, "batch pixels"]:
    """Standard deviation of the noiseless spectrum given the data, in Laplace's approximation.

    It is ``sqrt(diag(J' C J))`` with J the derivative of the model with respect to the unknowns
    [unknowns, pixels] and C their covariance [unknowns, unknowns].

    Args:
        sim: The simulator that was fitted.
        fit: Its fits.

    Returns:
        1e-17 erg/s/cm2/A, also where there is no data.
    """
    rows = zip(fit.unknowns, fit.information, strict=True)
    bands = [np.asarray(_deviation(sim, jnp.asarray(u), jnp.asarray(i))) for u, i in rows]
    return np.stack(bands) if bands else np.zeros_like(fit.model)


@eqx.filter_jit
def _deviation(
    sim: Forward,
    unknowns: Float[Array, " unknowns"],
    information: Float[Array, "unknowns unknowns"],
) -> Float[Array, " pixels"]:
    """`band` of one spectrum: the norm of each pixel's column of J over the root of 1/C."""
    _, slopes = jacobian(sim, unknowns)
    root = jnp.linalg.cholesky(information + jnp.eye(len(unknowns)))
    return jnp.linalg.norm(jax.scipy.linalg.solve_triangular(root, slopes, lower=True), axis=0)
