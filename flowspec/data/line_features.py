"""Numbers by which a network, or a classifier of a gap, sees rows of a line catalogue."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flowspec.data.lines import State

FEATURES = 5  # per line


def line_features(
    flux: Float[Array, "batch lines"],
    err: Float[Array, "batch lines"],
    state: Int[Array, "batch lines"],
) -> Float[Array, "batch features"]:
    """Per line: whether it is measured, or a limit; its flux and its error in units of the sum of
    all fluxes, and its signal-to-noise ratio, on scales like logarithms. The unit of the fluxes
    drops out, and so do absent lines."""
    measured, limit = state == int(State.MEASURED), state == int(State.LIMIT)
    present = measured | limit
    total = jnp.where(measured, jnp.abs(flux), jnp.where(limit, err, 0.0)).sum(-1, keepdims=True)
    total = jnp.where(total > 0, total, 1.0)
    safe = jnp.where(present, err, total)
    columns = [
        measured, limit,
        jnp.arcsinh(1e3 * flux / total) / 4,
        jnp.log10(safe / total) / 2,
        jnp.arcsinh(flux / safe) / 4,
    ]  # fmt: skip
    return jnp.concatenate([c * present for c in columns], axis=-1)
