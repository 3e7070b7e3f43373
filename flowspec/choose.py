"""Which adaptation, if any: chosen on simulations and unlabelled observations alone.

A candidate is worth what it is known to say about the observations,

    score = E_sim[ w(labels) min(1, p_obs(s) / p_sim(s)) ln(q(labels | x) / p(labels)) ],

the information gained about labels in that part of the summaries `s` that simulations and
observations share; an observation unlike any simulation counts as one that teaches nothing. With
the ratio not cut off at one it is importance-weighted validation (Sugiyama et al. 2007), whose
weights have no bound where the two hardly overlap. `p_sim` is that of the simulations with the
estimated population of the observations (`w`, `flowspec.check.population`), so that a
different population alone is no gap.

Summaries cannot tell everything: a smooth calibration error looks like a reddened galaxy to a
network that has never met one. What the simulator lacks is therefore looked for in the data
themselves first, and injected in the amount at which simulations look most like observations.
"""

import logging
from collections.abc import Callable
from functools import partial
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
from flowspec.train import Training, draw_many

log = logging.getLogger("flowspec")
FEWEST = 50  # observations to align with
MOST = 2000  # observations judged on
DRAWS = 32  # of the posterior of each
_ROWS = 2048  # simulations judged on
SIZES = (0.0, 0.7, 1.0, 1.4)  # of the measured calibration error that are tried
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
    describe: Callable[..., Float[np.ndarray, "rows features"]],
    inject: Callable | None,
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
        describe: What data look like, whatever a model makes of them.
        inject: ``(simulator, simulated, observed)`` to a simulator with the excess noise of the
            observations and the attribute `size`, of calibration errors; or None.
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
    judge = partial(judged, simulated=rows, observed=observed, draws=draws, key=jr.fold_in(key, 7))
    options = {"training": training, "adaptation": adaptation, "progress": progress}
    first = Candidate({"method": "none", "inject": 0.0}, *judge(model, simulator))
    candidates, asked = [first], method != "auto"
    look = partial(input_gap, observed=observed, describe=describe, key=jr.fold_in(key, 8),
                   population=first.judgement.population, simulated=rows)
    before = look(simulator)
    log.info("gap of the data: %.3f +- %.3f", before.auc, before.error)
    if not asked and before.closed and first.judgement.gap.closed:
        return _chosen(first, candidates, method, "no gap beyond the population")
    if adaptation.inject and inject is not None:
        injected, after = _injected(inject, simulator, rows, observed, key, look)
        if before.auc - after.auc > _SIGNIFICANT * np.hypot(before.error, after.error):
            *_, model = adapt(model, injected, observed, validation, jr.fold_in(key, 5),
                              method="none", weight=0.0, population=None, **options)
            name = {"method": "none", "inject": float(injected.size)}
            candidates.append(Candidate(name, *judge(model, injected)))
    start = candidates[-1]
    tried = [m for m in METHODS if m not in ("none", "auto")] if not asked else [method]
    if method == "none" or (not asked and start.judgement.gap.closed):
        tried = []
    for name in tried:
        for weight in adaptation.weights:
            stages = adapt(
                start.model, start.simulator, observed, validation, jr.fold_in(key, 6), method=name,
                weight=weight, population=start.judgement.population, **options,
            )  # fmt: skip
            for i, stage in enumerate(stages):
                made = start.name | {"method": name, "weight": weight, "stage": i + 1}
                candidates.append(Candidate(made, *judge(stage, start.simulator)))
    if asked:
        named = [c for c in candidates if c.name["method"] == method]
        return _chosen(max(named, key=_score), candidates, method, "asked for")
    best = max(candidates[candidates.index(start) :], key=_score)
    rise = _score(best) - _score(start)
    if rise <= _SIGNIFICANT * np.hypot(best.judgement.error, start.judgement.error):
        return _chosen(start, candidates, method, "nothing significantly better")
    return _chosen(best, candidates, method, "highest score")


def _score(candidate: Candidate) -> float:
    return candidate.judgement.score


def _injected(inject, simulator, rows, observed, key, look: Callable):
    """The injected simulator whose spectra look most like the observed ones, and that gap."""
    simulated = draw_many(simulator, key, _ROWS) if rows is None else rows
    measured = inject(simulator, simulated[-len(observed) :], observed)
    sizes = [eqx.tree_at(lambda s: s.size, measured, jnp.float32(size)) for size in SIZES]
    gaps = [look(s) for s in sizes]
    for size, gap in zip(SIZES, gaps, strict=True):
        log.info("injected, calibration error %.2f: %.3f +- %.3f", size, gap.auc, gap.error)
    best = int(np.argmin([gap.auc for gap in gaps]))
    return sizes[best], gaps[best]


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
    model: eqx.Module, simulator, simulated: tuple | None, observed: tuple, draws: Callable, key
) -> tuple[eqx.Module, object, Judgement]:
    """Gap, information and score of a model; with model and simulator.

    Args:
        model: The density.
        simulator: That it was trained on.
        simulated: Labels and data to judge on, still without injection; by default fresh ones.
        observed: Data of observations.
        draws: Of the posterior of a model of every (judged) observation.
        key: Random key.
    """
    labels, inputs = _drawn(simulator, simulated, len(observed), key)
    columns = np.asarray(as_labels(*labels))
    population = estimate_population(columns, draws(model))
    weight = np.asarray(population_weight(population, labels))
    own, others = features(model, inputs), features(model, tuple(a[:MOST] for a in observed))
    gap = domain_gap(own, others, weight)
    parts = zip(_parts(labels), _parts(inputs), strict=True)
    gain = np.concatenate([np.asarray(_gain(model, *part)) for part in parts])
    terms = weight * np.exp(np.minimum(gap.logit[: len(gain)], 0)) * gain
    error = terms.std() / np.sqrt(len(terms))
    shares = marginals(population, columns)
    numbers = (float(x) for x in (gain.mean(), terms.mean(), error))
    judgement = Judgement(gap, *numbers, population, shares)
    log.info("%s", judgement.record())
    return model, simulator, judgement


def input_gap(
    simulator, simulated: tuple | None, observed: tuple, population, describe: Callable, key
) -> Gap:
    """Between what simulations and observations look like, at the observed population."""
    labels, inputs = _drawn(simulator, simulated, len(observed), key)
    weight = np.asarray(population_weight(population, labels))
    return domain_gap(describe(*inputs), describe(*(a[:MOST] for a in observed)), weight)


def _drawn(simulator, simulated: tuple | None, inputs: int, key) -> tuple[tuple, tuple]:
    """Labels and data: fresh ones, or those given, with injection if the simulator has it."""
    if simulated is None:
        simulated = draw_many(simulator, key, _ROWS)
    elif hasattr(simulator, "perturbed"):
        simulated = simulator.perturbed(key, *map(jnp.asarray, simulated))
    simulated = tuple(map(jnp.asarray, simulated))
    return simulated[: len(simulated) - inputs], simulated[len(simulated) - inputs :]


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
