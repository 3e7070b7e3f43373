"""Training losses: pure functions of a model and a batch of simulations."""

from jaxtyping import Array, Float

from flowspec.model import Model


def negative_log_likelihood(
    model: Model,
    theta: Float[Array, "batch params"],
    flux: Float[Array, "batch pixels"],
    ivar: Float[Array, "batch pixels"],
) -> Float[Array, ""]:
    """Mean of ``-log q(theta | flux, ivar)`` (neural posterior estimation, Papamakarios+16).

    Its minimum over all densities is reached by the exact posterior; both factors of the
    posterior, redshift bin and flow, are trained by it at once, the flow at the true bin.
    """
    discrete, inside = model.log_prob(theta, flux, ivar)
    return -(discrete + inside).mean()
