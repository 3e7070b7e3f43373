"""What a numpyro model says of a simulator: its sample sites are the parameters and the data."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.handlers import seed, substitute, trace

from flowspec.prior.kinds import described
from flowspec.prior.prior import Prior


def prior_and_function(
    model: Callable, observed: str, args: tuple = ()
) -> tuple[Prior, Callable[[PRNGKeyArray, Array], Array]]:
    """Prior of the sample sites of a model, and the function of a simulator of its observed site.

    Args:
        model: Of numpyro, that samples the observed site where it is given no data.
        observed: Name of that site.
        args: Of the model.

    Raises:
        ValueError: If there is no such site, it is given data, or the distribution of a parameter
            depends on another.
    """
    sites, others = (_sites(model, key, args) for key in (0, 1))
    if observed not in sites or sites[observed]["is_observed"]:
        free = [name for name, site in sites.items() if not site["is_observed"]]
        raise ValueError(f"expected a sample site {observed!r} without data (obs=None); got "
                         f"{', '.join(free)}")
    latent = {n: s for n, s in sites.items() if n != observed and not s["is_observed"]}
    given: dict = {}
    for name, site in latent.items():
        given[_names(name, site)] = site["fn"]
    prior = Prior(given)
    again = Prior({_names(n, others[n]): others[n]["fn"] for n in latent})
    for name in prior.names:
        if described(prior.distributions[name]) != described(again.distributions[name]):
            raise ValueError(
                f"expected parameters whose distributions depend on no other; got {name!r}. Draw "
                "theta and data with the model: fs.Simulations(theta, data, prior="
                "fs.Prior.from_samples(theta, names))"
            )
    shapes = {name: site["value"].shape for name, site in latent.items()}

    def function(key: PRNGKeyArray, theta: Float[Array, " params"]) -> Array:
        values, start = {}, 0
        for name, shape in shapes.items():
            stop = start + int(np.prod(shape))
            values[name], start = theta[start:stop].reshape(shape), stop
        made = trace(substitute(seed(model, key), data=values)).get_trace(*args)
        return jnp.ravel(made[observed]["value"])

    return prior, function


def _sites(model: Callable, number: int, args: tuple) -> dict:
    found = trace(seed(model, jr.key(number))).get_trace(*args)
    return {name: site for name, site in found.items() if site["type"] == "sample"}


def _names(name: str, site: dict) -> str | tuple[str, ...]:
    """One name of a number, `a_0`, `a_1`, ... of an array."""
    shape = jax.numpy.shape(site["value"])
    return name if not shape else tuple(f"{name}_{i}" for i in range(int(np.prod(shape))))
