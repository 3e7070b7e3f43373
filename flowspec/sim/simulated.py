"""Simulations, a row each, and what stands in for rows that a simulator failed to make."""

import logging
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from flowspec.data.frame import Frame

log = logging.getLogger("flowspec")
MOST_FAILED = 0.2  # share of failed rows beyond which the prior would be another one


class Simulated(NamedTuple):
    """Simulations, a row each.

    Attributes:
        theta: Parameters [n, params].
        source: Number of the source that each row comes from [n].
        data: Arrays of the simulator's frame: of spectra flux and inverse variance.
    """

    theta: Float[Array, "n params"]
    source: Int[Array, " n"]
    data: tuple[Array, ...]


def failed(simulated: Simulated, frame: Frame) -> Bool[Array, " n"]:
    """Rows with NaN or infinity in their parameters or data."""
    return ~(frame.finite(*simulated.data) & jnp.isfinite(simulated.theta).all(1))


def sound(simulated: Simulated, frame: Frame) -> Simulated:
    """Simulations in which other rows stand in for those that failed; traceable by JAX.

    Rows are drawn alike, so that these are draws from the prior where the simulator works, some
    of them twice.
    """
    bad = failed(simulated, frame)
    rows = jnp.arange(len(bad))
    good_first = jnp.argsort(bad, stable=True)

    def exchanged(simulated):
        own = jnp.where(bad, good_first[rows % jnp.maximum((~bad).sum(), 1)], rows)
        return jax.tree.map(lambda a: a[own], simulated)

    return jax.lax.cond(bad.any(), exchanged, lambda same: same, simulated)


def share_failed(simulated: Simulated, frame: Frame, names: tuple[str, ...], what: str) -> float:
    """Share of the rows that failed, told in the log.

    Args:
        simulated: As the simulator made them.
        frame: Of their data.
        names: Of the parameters.
        what: Description of the simulator.

    Raises:
        ValueError: If it is over `MOST_FAILED`, naming the simulator, the share and one theta.
    """
    bad = np.asarray(failed(simulated, frame))
    if not bad.any():
        return 0.0
    share, theta = bad.mean(), np.asarray(simulated.theta)[np.argmax(bad)]
    such = ", ".join(f"{n} = {x:.4g}" for n, x in zip(names, theta, strict=True))
    if share > MOST_FAILED:
        more = " (are fluxes and inverse variances within single precision?)" if bad.all() else ""
        raise ValueError(
            f"expected a simulator whose numbers are finite for {1 - MOST_FAILED:.0%} of its prior "
            f"or more; got NaN or infinity from {what} for {share:.1%} of {len(bad)} rows, such as "
            f"{such}{more}"
        )
    log.warning(
        "%s gives NaN or infinity for %.2g %% of %d rows, such as %s: trained on the others, so "
        "under the prior where it does not", what, 100 * share, len(bad), such,
    )  # fmt: skip
    return float(share)
