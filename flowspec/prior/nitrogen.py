"""A prior for nebulae of unknown history: N/O partly free, partly what goes with O/H in the sky."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from flowspec.prior.prior import Prior
from flowspec.prior.relations import nitrogen

SCATTER = 0.2  # dex of N/O at one O/H: H II regions and galaxies, 0.1 to 0.2 (Berg et al. 2020)


class NitrogenPrior(Prior):
    """``share * N(no; relation(oh), SCATTER) + (1 - share) * prior(no)``, within the box of `no`.

    With N/O free, lines of nitrogen say nothing about O/H; with N/O tied to it, galaxies that are
    different come out wrong. Half and half leaves it to the data (defensive mixture, Hesterberg
    1995, Technometrics 37, 185). Parameters are Gaussianised as by the prior without relation.

    Args:
        prior: Of independent parameters with ``oh`` and ``no`` among them, `no` between limits.
        share: Of the nebulae whose N/O follows the relation.

    Raises:
        ValueError: If the share is not between 0 and 1, or a parameter is missing.
    """

    def __init__(self, prior: Prior, share: float):
        if not 0 < share < 1:
            raise ValueError(f"expected a share between 0 and 1; got {share:g}")
        if not {"oh", "no"} <= set(prior.names):
            raise ValueError(f"expected parameters oh and no; got {prior.names}")
        super().__init__(prior.distributions, prior.relative, correlations=prior.correlations)
        self.share = float(share)
        support = self.distributions["no"].support
        self._ends = float(support.lower_bound), float(support.upper_bound)

    def replace(self, **distributions) -> "NitrogenPrior":
        """As of `Prior`."""
        return NitrogenPrior(super().replace(**distributions), self.share)

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> Float[Array, "*shape params"]:
        """Draw parameters of shape ``[*shape, params]``."""
        which, level, own = jr.split(key, 3)
        theta = super().sample(own, shape)
        mean, (low, high) = self._mean(theta), self._levels(theta)
        tied = mean + SCATTER * ndtri(low + (high - low) * jr.uniform(level, shape))
        column = self.names.index("no")
        no = jnp.where(jr.bernoulli(which, self.share, shape), tied, theta[..., column])
        return theta.at[..., column].set(jnp.clip(no, *self._ends))

    def log_prob(self, theta: Float[ArrayLike, "*shape params"]) -> Float[Array, "*shape"]:
        """Natural log density of ``theta`` (``-inf`` outside the support)."""
        theta, column = jnp.asarray(theta), self.names.index("no")
        terms = self.log_probs(theta)
        low, high = self._levels(theta)
        away = (theta[..., column] - self._mean(theta)) / SCATTER
        tied = norm.logpdf(away) - jnp.log(SCATTER * (high - low)) + np.log(self.share)
        free = terms[..., column] + np.log1p(-self.share)
        no = jnp.where(jnp.isfinite(free), jnp.logaddexp(free, tied), -jnp.inf)
        return terms.at[..., column].set(no).sum(-1)

    def _mean(self, theta) -> Array:
        return nitrogen(theta[..., self.names.index("oh")])

    def _levels(self, theta) -> tuple[Array, Array]:
        """Of the relation's Gaussian at the limits of N/O."""
        mean = self._mean(theta)
        low, high = (ndtr((end - mean) / SCATTER) for end in self._ends)
        return low, high

    def config(self) -> dict:
        """JSON-ready description, read back by `flowspec.prior.mixture.read_prior`."""
        return super().config() | {"nitrogen_share": self.share}

    def _identity(self) -> tuple:
        return (*super()._identity(), self.share)
