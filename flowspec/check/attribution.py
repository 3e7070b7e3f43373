"""Which pixels and lines carried a redshift: integrated gradients of its log odds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flowspec.data.continuum import continuum
from flowspec.data.line_names import GALAXY_LINES
from flowspec.data.spectra import Spectra
from flowspec.model.model import Model
from flowspec.posterior.posterior import Posterior

ELSEWHERE = "elsewhere"


def redshift_attribution(
    posterior: Posterior,
    obs: Spectra,
    z: Float[np.ndarray, " batch"] | None = None,
    *,
    half: float = 0.01,
    steps: int = 32,
) -> Float[np.ndarray, "batch pixels"]:
    """What each pixel adds to the log odds of a redshift, on the model's grid.

    With ``L(f) = ln P(near) / P(not near)`` for redshifts within `half` of `z`, ``c`` the
    continuum (a running mean) and ``f`` the spectrum, a pixel's share is
    ``(f - c) int_0^1 dL/df (c + a (f - c)) da``: integrated gradients (Sundararajan et al. 2017,
    arXiv:1703.01365, equation 1). Their sum over a spectrum is ``L(f) - L(c)``: what its lines and
    breaks, and its noise, say about the redshift that its continuum does not.

    Args:
        posterior: With a redshift.
        obs: Spectra.
        z: The redshifts to explain, such as ``z_best``; by default the most probable bins.
        half: Half width of the redshift window.
        steps: Points of the integral (midpoint rule).

    Raises:
        ValueError: If the model has no redshift, or a window holds none or all of its bins.
    """
    model = posterior.model
    if model.space.redshift is None:
        raise ValueError(f"expected a model with a redshift; got parameters {posterior.names}")
    flux, ivar, *width = map(jnp.asarray, model.frame.arrays(obs))
    edges = model.space.redshift.all_edges()
    centre = 0.5 * (edges[1:] + edges[:-1])
    if z is None:
        z = centre[np.asarray(_bin_logits(model, flux, ivar, *width).argmax(-1))]
    near = np.abs(centre - np.asarray(z)[:, None]) <= half
    if near.all(1).any() or not near.any(1).all():
        raise ValueError(
            f"expected windows that hold some of the redshift bins between {edges[0]:.2f} and "
            f"{edges[-1]:.2f}; got a half width of {half} about {np.min(z):.2f} to {np.max(z):.2f}"
        )
    baseline = continuum(flux, ivar, model.network.window)
    total = sum(
        _slope(model, baseline + a * (flux - baseline), ivar, jnp.asarray(near), *width)
        for a in (np.arange(steps) + 0.5) / steps
    )
    return np.asarray((flux - baseline) * total / steps)


def by_line(
    attribution: Float[np.ndarray, "batch pixels"],
    wave: Float[np.ndarray, " pixels"],
    z: Float[np.ndarray, " batch"],
    *,
    half: float = 4.0,
) -> dict[str, Float[np.ndarray, " batch"]]:
    """Attribution summed over each of the lines `flowspec.data.line_names.GALAXY_LINES`.

    A pixel counts for the line nearest to it in ln(wavelength), where that is within `half`
    pixels, and else for "elsewhere" (the last entry). None counts twice, so that the entries add
    up to the sum over all pixels. Doublets closer than `half` share their pixels at the middle.

    Args:
        attribution: Of `redshift_attribution`.
        wave: Its grid in angstrom.
        z: Redshifts at which the lines are looked for.
        half: Reach of a line to either side, in pixels.
    """
    lines = dict(sorted(GALAXY_LINES.items(), key=lambda line: line[1]))
    places, x = np.log(list(lines.values())), np.log(wave)
    at_rest = x - np.log1p(np.asarray(z, float))[:, None]
    nearest = np.searchsorted(0.5 * (places[1:] + places[:-1]), at_rest)
    inside = np.abs(at_rest - places[nearest]) <= half * np.gradient(x)
    which = np.where(inside, nearest, len(lines))
    sums = np.zeros((len(attribution), len(lines) + 1))
    np.add.at(sums, (np.arange(len(sums))[:, None], which), attribution)
    return dict(zip([*lines, ELSEWHERE], sums.T, strict=True))


@eqx.filter_jit
def log_odds(
    model: Model,
    flux: Float[Array, "batch pixels"],
    ivar: Float[Array, "batch pixels"],
    near: Bool[Array, "batch bins"],
    *width: Float[Array, "batch 2"],
) -> Float[Array, " batch"]:
    """Log of the probability of some redshift bins over that of all others."""
    logits = _bin_logits(model, flux, ivar, *width)
    inside = jax.nn.logsumexp(jnp.where(near, logits, -jnp.inf), axis=-1)
    return inside - jax.nn.logsumexp(jnp.where(near, -jnp.inf, logits), axis=-1)


@eqx.filter_jit
def _bin_logits(model, *data):
    """Of the redshift bins, over all sources."""
    logits, flux = model.embed(*data).logits, data[0]
    shape = len(flux), len(model.space.sources), model.space.bins
    return jax.nn.logsumexp(jax.nn.log_softmax(logits).reshape(shape), axis=1)


@eqx.filter_jit
def _slope(model, flux, *others):
    return jax.grad(lambda f: log_odds(model, f, *others).sum())(flux)
