"""Which adaptation, if any: chosen on simulations and unlabelled observations alone.

A candidate is worth what it is known to say about the observations,

    score = E_sim[ w(labels) min(1, p_obs(s) / p_sim(s)) ln(q(labels | x) / p(labels)) ],

the information gained about labels in that part of the summaries `s` that simulations and
observations share; an observation unlike any simulation counts as one that teaches nothing. With
the ratio not cut off at one it is importance-weighted validation (Sugiyama et al. 2007), whose
weights have no bound where the two hardly overlap. `p_sim` is that of the simulations with the estimated population of the observations (`w`, `flowspec.check.population`), so that a
different population alone is no gap.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from flowspec.adapt import METHODS, Adaptation, adapt, population_weight
from flowspec.check.domain import Gap, domain_gap
from flowspec.check.population import (
    PopulationRatio,
    as_labels,
    estimate_population,
    marginals,
)
from flowspec.injection import Injected
from flowspec.train import Training, draw_many

log = logging.getLogger("flowspec")
FEWEST = 50  # observations to align with
MOST = 2000  # observations judged on
DRAWS = 32  # of the posterior of each
_ROWS = 2048  # simulations judged on
_AT_ONCE = 256
_SIGNIFICANT = 2.0  # standard errors by which a score must exceed that of standing aside


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


class Candidate(NamedTuple):
    """A model, what it saw, and how it was made.

    Attributes:
        name: Method, weight, stage.
        model: The density.
        simulator: That it was trained on.
        judgement: Of it.
    """

    name: dict
    model: eqx.Module
    simulator: object
    judgement: Judgement


def adapted(
    model: eqx.Module,
    simulator,
    observed: tuple[Array, ...],
    validation: tuple[Array, ...],
    key,
    draws: Callable[[eqx.Module], Float[np.ndarray, "n observations labels"]],
    *,
    method: str,
    training: Training,
    adaptation: Adaptation,
    progress: bool,
) -> tuple[eqx.Module, object, dict]:
    """The model adapted to observations, the simulator it was trained on, and a JSON-ready record.

    Args:
        model: Trained on simulations alone.
        simulator: Of these.
        observed: Arrays of observations as the model takes them.
        validation: Held-out simulations.
        key: Random key.
        draws: Of the posterior of a model of every (judged) observation.
        method: One of `flowspec.adapt.METHODS`.
        training: Of the model.
        adaptation: How to adapt.
        progress: Whether to show progress bars.

    Raises:
        ValueError: On another method, or too few observations for one that is asked for by name.
    """
    if method not in METHODS:
        raise ValueError(f"expected a method among {METHODS}; got {method!r}")
    few = len(observed[0]) < FEWEST
    if few and method != "auto":
        raise ValueError(f"expected at least {FEWEST} observations to adapt to; got "
                         f"{len(observed[0])}")
    if few:
        log.warning("not adapted: %d observations, of which at least %d are needed to measure a "
                    "gap", len(observed[0]), FEWEST)
        return model, simulator, {"asked": method, "method": "none", "reason": "few observations"}
    rows = validation if hasattr(simulator, "split") else None

    def judge(model, simulator) -> Judgement:
        return judged(model, simulator, rows, observed, draws(model), jr.fold_in(key, 7))

    name = {"method": "none", "inject": False}
    first = Candidate(name, model, simulator, judge(model, simulator))
    candidates = [first]
    if method == "auto" and first.judgement.gap.closed:
        return _chosen(first, candidates, method, "no gap beyond the population")
    options = {"training": training, "adaptation": adaptation, "progress": progress}
    if adaptation.inject and hasattr(simulator, "wave"):
        simulated = validation if rows is not None else draw_many(simulator, key, _ROWS)
        simulator = Injected.measured(simulator, simulated[-2:], observed)
        *_, model = adapt(model, simulator, observed, validation, jr.fold_in(key, 5),
                          method="none", weight=0.0, population=None, **options)
        name = {"method": "none", "inject": True}
        candidates.append(Candidate(name, model, simulator, judge(model, simulator)))
        log.info("%s: %s", name, candidates[-1].judgement.record())
    start = candidates[-1]
    tried = [m for m in METHODS if m not in ("none", "auto")] if method == "auto" else [method]
    tried = [] if method == "none" else tried
    for name in tried:
        for weight in adaptation.weights:
            stages = adapt(
                start.model, simulator, observed, validation, jr.fold_in(key, 6), method=name,
                weight=weight, population=start.judgement.population, **options,
            )  # fmt: skip
            for i, stage in enumerate(stages):
                made = start.name | {"method": name, "weight": weight, "stage": i + 1}
                verdict = judge(stage, simulator)
                candidates.append(Candidate(made, stage, simulator, verdict))
                log.info("%s: %s", made, verdict.record())
    if method != "auto":
        named = [c for c in candidates if c.name["method"] == method]
        named = named[1:] if method == "none" and len(named) > 1 else named
        best = max(named, key=lambda c: c.judgement.score)
        return _chosen(best, candidates, method, "asked for")
    best = max(candidates, key=lambda c: c.judgement.score)
    rise = best.judgement.score - first.judgement.score
    if rise < _SIGNIFICANT * np.hypot(best.judgement.error, first.judgement.error):
        return _chosen(first, candidates, method, "nothing significantly better")
    return _chosen(best, candidates, method, "highest score")


def _chosen(best: Candidate, candidates: list[Candidate], method: str, reason: str):
    gap = best.judgement.gap
    if not gap.closed:
        log.warning(
            "the gap is not closed: a classifier tells observations from simulations with an area "
            "under the curve of %.2f +- %.2f. Look at p_value and flags of every object", gap.auc,
            gap.error,
        )  # fmt: skip
    record = {
        "asked": method, **best.name, "reason": reason, "closed": bool(gap.closed),
        "before": candidates[0].judgement.record(), "after": best.judgement.record(),
        "population": best.judgement.shares.round(4).tolist(),
        "edges": np.asarray(best.judgement.population.edges, float).tolist(),
        "candidates": [c.name | c.judgement.record() for c in candidates],
    }  # fmt: skip
    return best.model, best.simulator, record


def judged(
    model: eqx.Module, simulator, simulated: tuple | None, observed: tuple, draws, key
) -> Judgement:
    """Gap, information and score of a model.

    Args:
        model: The density.
        simulator: That it was trained on.
        simulated: Labels and data to judge on; by default fresh ones.
        observed: Data of observations.
        draws: Of the posterior of every (judged) observation [n, observations, labels].
        key: Random key.
    """
    if simulated is None:
        simulated = draw_many(simulator, key, _ROWS)
    elif isinstance(simulator, Injected):
        simulated = simulator.perturbed(key, *simulated)
    count = len(simulated) - len(observed)
    labels, inputs = simulated[:count], simulated[count:]
    theirs = tuple(a[:MOST] for a in observed)
    columns = np.asarray(as_labels(*map(jnp.asarray, labels)))
    population = estimate_population(columns, draws)
    weight = np.asarray(population_weight(population, tuple(map(jnp.asarray, labels))))
    own, others = features(model, inputs), features(model, theirs)
    gap = domain_gap(own, others, weight)
    parts = zip(_parts(labels), _parts(inputs), strict=True)
    gain = np.concatenate([np.asarray(_gain(model, *part)) for part in parts])
    shared = np.exp(np.minimum(gap.logit[: len(gain)], 0))
    terms = weight * shared * gain
    error = terms.std() / np.sqrt(len(terms))
    return Judgement(gap, float(gain.mean()), float(terms.mean()), float(error), population,
                     marginals(population, columns))


def features(model: eqx.Module, data: tuple) -> Float[np.ndarray, "rows features"]:
    """Summaries that adaptation aligns, a few rows at a time."""
    return np.concatenate([np.asarray(_features(model, *part)) for part in _parts(data)])


def _parts(arrays: tuple):
    for start in range(0, len(arrays[0]), _AT_ONCE):
        yield tuple(jnp.asarray(a[start : start + _AT_ONCE]) for a in arrays)


@eqx.filter_jit
def _features(model, *data):
    return model.features(*data)


@eqx.filter_jit
def _gain(model, labels, inputs):
    return sum(model.log_prob(*labels, *inputs)) - model.log_prior(*labels)
