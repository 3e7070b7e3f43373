"""A training prior for any selection: partly flat, partly the galaxies that are there.

Importance weights from a flat prior to a population are wild in nine dimensions: few flat draws
are galaxies of a survey. Where a share ``s`` of the prior is the population itself, no weight
exceeds ``1 / s``, and none towards the flat part ``1 / (1 - s)`` (defensive mixture, Hesterberg
1995, Technometrics 37, 185).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from flowspec.prior.chain import LATEST
from flowspec.prior.galaxies import Population
from flowspec.prior.nitrogen import NitrogenPrior
from flowspec.prior.prior import Prior


class MixedPrior(Prior):
    """``share * population(theta) + (1 - share) * prior(theta)``, on the box of the prior.

    Parameters are Gaussianised as by the prior that is mixed.

    Args:
        prior: The part of independent distributions.
        share: Of a `Population` inside the limits of the prior.
        version: Of that population's relations.

    Raises:
        ValueError: If the share is not between 0 and 1, the prior is not one of galaxies, or there
            is no such version.
    """

    def __init__(self, prior: Prior, share: float, *, version: int = LATEST):
        if not 0 < share < 1:
            raise ValueError(f"expected a share of the population between 0 and 1; got {share:g}")
        super().__init__(prior.distributions, prior.relative, prior.unused, prior.correlations)
        self.share, self.population = float(share), Population(prior, version=version)

    def replace(self, **distributions) -> "MixedPrior":
        """As of `Prior`, the population inside the new limits."""
        prior = super().replace(**distributions)
        return MixedPrior(prior, self.share, version=self.population.version)

    def among(self, names: Sequence[str]) -> "MixedPrior":
        """As of `Prior`: a population leaves parameters alone that it says nothing of."""
        plain = Prior(self.distributions, self.relative, self.unused, self.correlations)
        plain = plain.among(names)
        return MixedPrior(plain, self.share, version=self.population.version)

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> Float[Array, "*shape params"]:
        """Draw parameters of shape ``[*shape, params]``."""
        which, own = jr.split(key)
        flat = super().sample(own, shape)
        keys = jr.split(own, max(1, int(np.prod(shape))))
        real = jax.vmap(self.population.draw)(keys).theta.reshape(flat.shape)
        return jnp.where(jr.bernoulli(which, self.share, (*shape, 1)), real, flat)

    def log_prob(self, theta: Float[ArrayLike, "*shape params"]) -> Float[Array, "*shape"]:
        """Natural log density of ``theta`` (``-inf`` outside the support)."""
        flat = super().log_prob(theta) + np.log1p(-self.share)
        return jnp.logaddexp(flat, self.population.log_prob(theta) + np.log(self.share))

    def config(self) -> dict:
        """JSON-ready description, read back by `read_prior`."""
        described = {"population_share": self.share, "population": self.population.version}
        return super().config() | described

    def _identity(self) -> tuple:
        return (*super()._identity(), self.share, self.population.version)


def read_prior(config: dict) -> Prior:
    """The prior of a model file from its `config`.

    One that names no version of its population is of version 1, the only one then.

    Raises:
        ValueError: If a distribution is not one of numpyro's, or the version is of a later
            flowspec.
    """
    prior = Prior.from_config(config)
    if "population_share" in config:
        version = config.get("population", 1)
        return MixedPrior(prior, config["population_share"], version=version)
    return NitrogenPrior(prior, config["nitrogen_share"]) if "nitrogen_share" in config else prior
