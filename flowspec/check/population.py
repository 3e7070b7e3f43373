"""The distribution of parameters in a population of nebulae, learned without labels.

Where each object has few lines, what one of them says of an abundance is lost when it is left out,
and what predicts it is the prior. A flat one, as wide as a grid, is wrong for the H II regions of
one galaxy, and its centre comes out as a misfit of the models. Here the prior is that of the
objects themselves: normal in each of some parameters, of the largest marginal likelihood, by the EM
algorithm (Dempster, Laird & Rubin 1977, J. R. Stat. Soc. B 39, 1) over exact posteriors.
"""

from collections.abc import Sequence

import numpy as np
import numpyro.distributions as dist

from flowspec.check.importance import prior_draws
from flowspec.data.lines import Lines
from flowspec.sim.nebula.catalogues import NebulaSimulator

LEAST = 0.03  # standard deviation of a parameter: narrower ones leave too few draws


def learned_prior(
    sim: NebulaSimulator,
    obs: Lines,
    parameters: Sequence[str] = ("oh", "no"),
    *,
    rounds: int = 4,
    n: int = 200,
    draws: int = 15_000,
    seed: int = 0,
) -> dict[str, dist.Distribution]:
    """Normal distributions of some parameters in a catalogue, within the limits of their prior.

    Quantities that are to be compared between objects, such as O/H along the radius of a galaxy,
    should keep their flat prior in the end: pass `NebulaSimulator.with_prior` the others alone.

    Args:
        sim: Of catalogues, with flat priors of these parameters.
        obs: Rows of a catalogue, without labels.
        parameters: Their names.
        rounds: Of the EM algorithm; its steps get shorter, and the widths are the last to settle.
        n: Draws of the posterior of each object.
        draws: Of the prior, shared by all objects.
        seed: Random seed.

    Returns:
        Distributions by name, for `NebulaSimulator.with_prior`.
    """
    limits = {name: sim.priors[0].limits(name) for name in parameters}
    learned = {}
    for _ in range(rounds):
        prior = prior_draws(sim.with_prior(**learned), draws, seed=seed)
        drawn = prior.posterior(obs, n, tried=3 * n, seed=seed).samples
        learned = {name: _normal(drawn[..., sim.names.index(name)], *limits[name])
                   for name in parameters}  # fmt: skip
    return learned


def _normal(values: np.ndarray, low: float, high: float) -> dist.Distribution:
    spread = max(float(values.std(dtype=float)), LEAST)
    return dist.TruncatedNormal(float(values.mean(dtype=float)), spread, low=low, high=high)
