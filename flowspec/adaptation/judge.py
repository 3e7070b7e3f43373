"""What a candidate is worth: its gap, and what it is known to say about the observations.

    score = E_sim[ w(labels) min(1, p_obs(s) / p_sim(s)) ln(q(labels | x) / p(labels)) ],

the information gained about labels in that part of the summaries `s` that simulations and
observations share; an observation unlike any simulation counts as one that teaches nothing. With
the ratio not cut off at one it is importance-weighted validation (Sugiyama et al. 2007), whose
weights have no bound where the two hardly overlap. `p_sim` is that of the simulations with the
estimated population of the observations (`w`, `flowspec.adaptation.population`), so that a
different population alone is no gap.
"""

import logging
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from flowspec.adaptation.align import population_weight
from flowspec.adaptation.gap import Gap, domain_gap
from flowspec.adaptation.population import (
    PopulationRatio,
    as_labels,
    estimate_population,
    marginals,
)
from flowspec.adaptation.settings import Adaptation
from flowspec.data.observation import Observation
from flowspec.model.model import Model
from flowspec.posterior.posterior import Posterior
from flowspec.sim.simulator import Perturbed, Simulated, Simulator, simulate_many
from flowspec.train.settings import Training

log = logging.getLogger("flowspec")
MOST = 2000  # observations judged on
DRAWS = 32  # of the posterior of each
ROWS = 2048  # simulations judged on
_AT_ONCE = 256


class Task(NamedTuple):
    """What there is to adapt.

    Attributes:
        posterior: Whose model it is.
        simulator: Of simulations.
        validation: Held-out simulations.
        fixed: Whether these are all there are to judge on.
        obs: Observations, in random order.
        observed: Their arrays, as a model takes them.
        key: Random key.
        training: Of the model.
        adaptation: How to adapt.
        progress: Whether to show progress bars.
    """

    posterior: Posterior
    simulator: Simulator
    validation: Simulated
    fixed: bool
    obs: Observation
    observed: tuple[Array, ...]
    key: Array
    training: Training
    adaptation: Adaptation
    progress: bool

    @property
    def seen(self) -> tuple[Array, ...]:
        """Arrays of the observations that are judged on."""
        return tuple(jnp.asarray(a[:MOST]) for a in self.observed)

    def simulated(self, simulator: Simulator) -> Simulated:
        """Simulations to judge on, always the same: of a fixed set the rows held out."""
        key = jr.fold_in(self.key, 7)
        if not self.fixed:
            return Simulated(*(_on_device(a) for a in simulate_many(simulator, key, ROWS)))
        rows = Simulated(*(_on_device(a) for a in self.validation))
        known = isinstance(simulator, Perturbed)
        return simulator.perturbed(jr.fold_in(key, 1), rows) if known else rows

    def labels(self, theta, source) -> Float[np.ndarray, "*n labels"]:
        """Parameters, and the source where there are several."""
        several = len(self.simulator.sources) > 1
        return np.asarray(as_labels(theta, source) if several else theta)


class Judgement(NamedTuple):
    """Of one candidate.

    Attributes:
        gap: Between its summaries of simulations, weighted, and of observations.
        gain: Mean information about simulations, nats.
        score: See the module.
        error: Standard error of the score.
        population: Estimated from its own posteriors.
        shares: Of the population, in the bins of each label.
    """

    gap: Gap
    gain: float
    score: float
    error: float
    population: PopulationRatio
    shares: Float[np.ndarray, "labels bins"]

    def record(self) -> dict:
        """JSON-ready."""
        return {
            "auc": round(self.gap.auc, 4), "auc_error": round(self.gap.error, 4),
            "overlap": round(self.gap.overlap, 4), "gain": round(self.gain, 4),
            "score": round(self.score, 4), "score_error": round(self.error, 4),
        }  # fmt: skip


def judged(model: Model, simulator: Simulator, task: Task) -> Judgement:
    """Gap, information and score of a model.

    Args:
        model: The density.
        simulator: That it was trained on.
        task: The observations.
    """
    simulated = task.simulated(simulator)
    labels = task.labels(simulated.theta, simulated.source)
    posterior = eqx.tree_at(lambda p: p.model, task.posterior, model)
    draws = task.labels(*posterior.sample_sources(task.obs[:MOST], DRAWS))
    population = estimate_population(labels, draws)
    weight = np.asarray(population_weight(population, simulated))
    gap = domain_gap(features(model, simulated.data), features(model, task.seen), weight)
    rows = len(simulated.theta)
    gain = np.concatenate([
        np.asarray(_gain(model, Simulated(*(_rows(a, i) for a in simulated))))
        for i in range(0, rows, _AT_ONCE)
    ])  # fmt: skip
    terms = weight * np.exp(np.minimum(gap.logit[:rows], 0)) * gain
    numbers = gain.mean(), terms.mean(), terms.std() / np.sqrt(len(terms))
    judgement = Judgement(gap, *map(float, numbers), population, marginals(population, labels))
    log.info("%s", judgement.record())
    return judgement


def input_gap(simulator: Simulator, population, task: Task) -> Gap:
    """Between what simulations and observations look like, at the observed population."""
    simulated = task.simulated(simulator)
    weight = np.asarray(population_weight(population, simulated))
    frame = task.simulator.frame
    sides = (frame.described(*map(np.asarray, data)) for data in (simulated.data, task.seen))
    return domain_gap(*sides, weight)


def features(model: Model, data: tuple) -> Float[np.ndarray, "rows features"]:
    """Summaries that adaptation aligns, a few rows at a time."""
    starts = range(0, len(data[0]), _AT_ONCE)
    return np.concatenate([np.asarray(_features(model, *_rows(data, i))) for i in starts])


def _rows(arrays, start: int):
    """Some rows of an array, or of each of a tuple."""
    if isinstance(arrays, tuple):
        return tuple(_rows(a, start) for a in arrays)
    return jnp.asarray(arrays[start : start + _AT_ONCE])


def _on_device(arrays):
    return tuple(map(jnp.asarray, arrays)) if isinstance(arrays, tuple) else jnp.asarray(arrays)


@eqx.filter_jit
def _features(model, *data):
    return model.features(*data)


@eqx.filter_jit
def _gain(model, simulated):
    theta, source, data = simulated
    return sum(model.log_prob(theta, source, *data)) - model.space.log_prior(theta, source)
