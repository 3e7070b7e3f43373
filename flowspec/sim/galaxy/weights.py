"""Linear interpolation between nodes, as weights of them."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, ScalarLike


def linear_weights(x: ScalarLike, nodes: Float[ArrayLike, " nodes"]) -> Float[Array, " nodes"]:
    """Weights [nodes] of linear interpolation at `x`, constant beyond the ends.

    Hat functions, all at once: a search for each would compile for seconds.

    Args:
        x: Where to.
        nodes: Increasing.
    """
    nodes = jnp.asarray(nodes)
    gaps = jnp.diff(nodes)
    rising = (jnp.clip(x, nodes[0], nodes[-1]) - nodes[:-1]) / gaps  # 0 to 1 inside each interval
    inside = jnp.clip(rising, 0.0, 1.0)
    return jnp.pad(inside, (1, 0), constant_values=1.0) - jnp.pad(inside, (0, 1))
