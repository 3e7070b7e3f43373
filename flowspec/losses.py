"""Training losses: pure functions of a model and a batch of simulations."""

from jaxtyping import Array, Float


def negative_log_likelihood(
    model, theta: Float[Array, "batch params"], *data: Array
) -> Float[Array, ""]:
    """Mean of ``-log q(theta | data)`` (neural posterior estimation, Papamakarios+16).

    Its minimum over all densities is reached by the exact posterior; all factors of the posterior,
    such as redshift bin and flow, are trained by it at once, the flow at the true bin.

    Args:
        model: Has ``log_prob(theta, *data)``, the logarithms of its factors [batch] each.
        theta: True parameters.
        data: What was simulated for them: of spectra flux and inverse variance.
    """
    return -sum(model.log_prob(theta, *data)).mean()
