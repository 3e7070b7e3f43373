"""Which pixels carried a redshift: integrated gradients of its log odds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flowspec.model import Model
from flowspec.networks import continuum
from flowspec.posterior import Posterior, on_grid
from flowspec.spectra import Spectra


def redshift_attribution(
    posterior: Posterior, obs: Spectra, *, half: float = 0.01, steps: int = 32
) -> Float[np.ndarray, "batch pixels"]:
    """What each pixel adds to the log odds of the best redshift, on the model's grid.

    With ``L(f) = ln P(near) / P(not near)`` for redshifts within `half` of the most probable bin,
    ``c`` the continuum (a running mean) and ``f`` the spectrum, a pixel's share is
    ``(f - c) int_0^1 dL/df (c + a (f - c)) da``: integrated gradients (Sundararajan et al. 2017,
    arXiv:1703.01365, equation 1). Their sum over a spectrum is ``L(f) - L(c)``: what its lines and
    breaks, and its noise, say about the redshift that its continuum does not.

    Args:
        posterior: With a redshift.
        obs: Spectra.
        half: Half width of the redshift window.
        steps: Points of the integral (midpoint rule).

    Raises:
        ValueError: If the model has no redshift.
    """
    model = posterior.model
    if model.redshift is None:
        raise ValueError(f"expected a model with a redshift; got parameters {posterior.names}")
    obs = on_grid(obs, posterior.wave)
    flux, ivar = jnp.asarray(obs.flux), jnp.asarray(obs.ivar)
    edges = model.redshift.all_edges()
    centre = 0.5 * (edges[1:] + edges[:-1])
    best = centre[np.asarray(model.embed(flux, ivar).logits.argmax(-1))]
    near = jnp.asarray(np.abs(centre - best[:, None]) <= half)
    baseline = continuum(flux, ivar, model.network.window)
    total = sum(
        _slope(model, baseline + a * (flux - baseline), ivar, near)
        for a in (np.arange(steps) + 0.5) / steps
    )
    return np.asarray((flux - baseline) * total / steps)


@eqx.filter_jit
def log_odds(
    model: Model,
    flux: Float[Array, "batch pixels"],
    ivar: Float[Array, "batch pixels"],
    near: Bool[Array, "batch bins"],
) -> Float[Array, " batch"]:
    """Log of the probability of some redshift bins over that of all others."""
    logits = model.embed(flux, ivar).logits
    inside = jax.nn.logsumexp(jnp.where(near, logits, -jnp.inf), axis=-1)
    return inside - jax.nn.logsumexp(jnp.where(near, -jnp.inf, logits), axis=-1)


@eqx.filter_jit
def _slope(model, flux, ivar, near):
    return jax.grad(lambda f: log_odds(model, f, ivar, near).sum())(flux)
