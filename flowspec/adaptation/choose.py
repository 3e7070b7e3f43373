"""Which adaptation, if any: chosen on simulations and unlabelled observations alone.

A candidate is worth what it is known to say about the observations,

    score = E_sim[ w(labels) min(1, p_obs(s) / p_sim(s)) ln(q(labels | x) / p(labels)) ],

the information gained about labels in that part of the summaries `s` that simulations and
observations share; an observation unlike any simulation counts as one that teaches nothing. With
the ratio not cut off at one it is importance-weighted validation (Sugiyama et al. 2007), whose
weights have no bound where the two hardly overlap. `p_sim` is that of the simulations with the
estimated population of the observations (`w`, `flowspec.adaptation.population`), so that a
different population alone is no gap.

Summaries cannot tell everything: a smooth calibration error looks like a reddened galaxy to a
network that has never met one. What the simulator lacks is therefore looked for in the data
themselves first, and injected in the amount at which simulations look most like observations.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from flowspec.adaptation.align import METHODS, Adaptation, adapt, population_weight
from flowspec.adaptation.gap import Gap, domain_gap
from flowspec.adaptation.population import (
    PopulationRatio,
    as_labels,
    estimate_population,
    marginals,
)
from flowspec.train.loop import Training, draw_many

log = logging.getLogger("flowspec")
ALIGNMENTS = tuple(m for m in METHODS if m not in ("none", "auto"))
FEWEST = 50  # observations to align with
MOST = 2000  # observations judged on
DRAWS = 32  # of the posterior of each
_ROWS = 2048  # simulations judged on
SIZES = (0.0, 0.7, 1.0, 1.4)  # of the measured calibration error that are tried
_AT_ONCE = 256
SHARED = 0.5  # least overlap of a candidate: a score must speak for most observations
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


class Task(NamedTuple):
    """What there is to adapt.

    Attributes:
        simulator: Of simulations.
        validation: Held-out simulations.
        observed: Arrays of observations as a model takes them.
        key: Random key.
        draws: Of the posterior of a model of the first `MOST` observations.
        describe: What data look like, whatever a model makes of them.
        inject: ``(simulator, simulated, observed)`` to a simulator with what observations have more
            of, in an amount `size`; or None.
        training: Of the model.
        adaptation: How to adapt.
        progress: Whether to show progress bars.
    """

    simulator: object
    validation: tuple[Array, ...]
    observed: tuple[Array, ...]
    key: Array
    draws: Callable[[eqx.Module], Float[np.ndarray, "n observations labels"]]
    describe: Callable[..., Float[np.ndarray, "rows features"]]
    inject: Callable | None
    training: Training
    adaptation: Adaptation
    progress: bool

    @property
    def rows(self) -> tuple[Array, ...] | None:
        """Simulations to judge on where there are no fresh ones."""
        return self.validation if hasattr(self.simulator, "split") else None


def check_request(method: str, observations: int | None) -> None:
    """Before anything is trained.

    Args:
        method: One of `flowspec.adaptation.align.METHODS`.
        observations: Number of them, or None.

    Raises:
        ValueError: On another method, without observations, or with fewer than `FEWEST` for a
            method that is asked for by name.
    """
    if method not in METHODS:
        raise ValueError(f"expected a method of adaptation among {METHODS}; got {method!r}")
    if method != "none" and observations is None:
        raise ValueError(f"expected observations to adapt to; got none with adapt={method!r}")
    if method not in ("none", "auto") and observations < FEWEST:
        raise ValueError(f"expected at least {FEWEST} observations to adapt to; got {observations}")


def adapted(model: eqx.Module, task: Task, method: str) -> tuple[eqx.Module, object, dict]:
    """The model adapted to observations, the simulator it was trained on, and a JSON-ready record.

    Args:
        model: Trained on simulations alone.
        task: Its simulator and the observations.
        method: One of `flowspec.adaptation.align.METHODS`.
    """
    count = len(task.observed[0])
    if count < FEWEST:
        log.warning("not adapted: %d observations, of which at least %d are needed to measure a "
                    "gap", count, FEWEST)
        reason = f"fewer than {FEWEST} observations"
        return model, task.simulator, {"asked": method, "method": "none", "reason": reason}
    automatic = method == "auto"
    candidates, data = explore(model, task, ALIGNMENTS if automatic else (method,), automatic)
    best, reason = pick(candidates, data, method)
    gap = best.judgement.gap
    if not gap.closed:
        log.warning(
            "the gap is not closed: a classifier tells observations from simulations with an area "
            "under the curve of %.2f +- %.2f. Look at p_value and flags of every object", gap.auc,
            gap.error,
        )  # fmt: skip
    record = {
        "asked": method, **best.name, "reason": reason, "closed": gap.closed,
        "before": candidates[0].judgement.record(), "after": best.judgement.record(),
        "data": [round(data.auc, 4), round(data.error, 4)],
        "population": best.judgement.shares.round(4).tolist(),
        "edges": [[float(x) for x in row if np.isfinite(x)]
                  for row in np.asarray(best.judgement.population.edges)],
        "candidates": [c.name | c.judgement.record() for c in candidates],
    }  # fmt: skip
    return best.model, best.simulator, record


def explore(
    model: eqx.Module, task: Task, methods: tuple[str, ...], aside: bool
) -> tuple[list[Candidate], Gap]:
    """All candidates, and the gap between the data of simulations and observations.

    Args:
        model: Trained on simulations alone: the first candidate.
        task: Its simulator and the observations.
        methods: Of alignment, to try.
        aside: Whether to try none of them where there is no gap.
    """
    name = {"method": "none", "injected": False}
    candidates = [Candidate(name, *judged(model, task.simulator, task))]
    population = candidates[0].judgement.population
    data = input_gap(task.simulator, population, task)
    log.info("gap of the data: %.3f +- %.3f", data.auc, data.error)
    if aside and data.closed and candidates[0].judgement.gap.closed:
        return candidates, data
    if task.adaptation.inject and task.inject is not None:
        injected, after = _injected(population, task)
        if data.auc - after.auc > _SIGNIFICANT * np.hypot(data.error, after.error):
            *_, model = adapt(
                model, injected, task.observed, task.validation, jr.fold_in(task.key, 5),
                method="none", weight=0.0, population=None, training=task.training,
                adaptation=task.adaptation, progress=task.progress,
            )  # fmt: skip
            name = {"method": "none", "injected": True, "size": float(injected.size)}
            candidates.append(Candidate(name, *judged(model, injected, task)))
    start = candidates[-1]
    if aside and start.judgement.gap.closed:
        return candidates, data
    for method in methods:
        candidates += [] if method == "none" else _aligned(start, method, task)
    return candidates, data


def _aligned(start: Candidate, method: str, task: Task) -> list[Candidate]:
    """Candidates of one method: every weight, every stage."""
    found = []
    population = start.judgement.population if task.adaptation.weighted else None
    for weight in task.adaptation.weights:
        stages = adapt(
            start.model, start.simulator, task.observed, task.validation, jr.fold_in(task.key, 6),
            method=method, weight=weight, population=population,
            training=task.training, adaptation=task.adaptation, progress=task.progress,
        )  # fmt: skip
        for i, stage in enumerate(stages):
            name = start.name | {"method": method, "weight": weight, "stage": i + 1}
            found.append(Candidate(name, *judged(stage, start.simulator, task)))
    return found


def pick(candidates: list[Candidate], data: Gap, method: str) -> tuple[Candidate, str]:
    """The candidate of a method, or of "auto", and why.

    Args:
        candidates: Of `explore`.
        data: Likewise.
        method: One of `flowspec.adaptation.align.METHODS`.
    """
    if method != "auto":
        named = [c for c in candidates if c.name["method"] == method]
        # without alignment: with injection, where there is any
        return (named[-1] if method == "none" else max(named, key=_score)), "asked for"
    if data.closed and candidates[0].judgement.gap.closed:
        return candidates[0], "no gap beyond the population"
    start = [c for c in candidates if c.name["method"] == "none"][-1]
    if start.judgement.gap.closed:
        return start, "closed without alignment"
    able = [c for c in candidates if c.judgement.gap.overlap >= SHARED]
    if not able:
        return candidates[0], "simulations cover too little of the observations"
    best = max([start, *(c for c in able if c.name["method"] != "none")], key=_score)
    rise = _score(best) - _score(start)
    if rise <= _SIGNIFICANT * np.hypot(best.judgement.error, start.judgement.error):
        return start, "nothing significantly better"
    return best, "highest score"


def _score(candidate: Candidate) -> float:
    return candidate.judgement.score


def _injected(population, task: Task):
    """The injected simulator whose data look most like the observed ones, and that gap."""
    rows = draw_many(task.simulator, task.key, _ROWS) if task.rows is None else task.rows
    measured = task.inject(task.simulator, rows[-len(task.observed) :], task.observed)
    sizes = [eqx.tree_at(lambda s: s.size, measured, jnp.float32(size)) for size in SIZES]
    gaps = [input_gap(simulator, population, task) for simulator in sizes]
    for size, gap in zip(SIZES, gaps, strict=True):
        log.info("injected, size %.1f: gap of the data %.3f +- %.3f", size, gap.auc, gap.error)
    best = int(np.argmin([gap.auc for gap in gaps]))
    return sizes[best], gaps[best]


def judged(model: eqx.Module, simulator, task: Task) -> tuple[eqx.Module, object, Judgement]:
    """Gap, information and score of a model; with model and simulator.

    Args:
        model: The density.
        simulator: That it was trained on.
        task: The observations.
    """
    labels, inputs = _drawn(simulator, task)
    columns = np.asarray(as_labels(*labels))
    population = estimate_population(columns, task.draws(model))
    weight = np.asarray(population_weight(population, labels))
    gap = domain_gap(features(model, inputs), features(model, _seen(task)), weight)
    parts = zip(_parts(labels), _parts(inputs), strict=True)
    gain = np.concatenate([np.asarray(_gain(model, *part)) for part in parts])
    terms = weight * np.exp(np.minimum(gap.logit[: len(gain)], 0)) * gain
    numbers = gain.mean(), terms.mean(), terms.std() / np.sqrt(len(terms))
    shares = marginals(population, columns)
    judgement = Judgement(gap, *map(float, numbers), population, shares)
    log.info("%s", judgement.record())
    return model, simulator, judgement


def input_gap(simulator, population, task: Task) -> Gap:
    """Between what simulations and observations look like, at the observed population."""
    labels, inputs = _drawn(simulator, task)
    weight = np.asarray(population_weight(population, labels))
    described = (task.describe(*map(np.asarray, data)) for data in (inputs, _seen(task)))
    return domain_gap(*described, weight)


def _seen(task: Task) -> tuple[Array, ...]:
    return tuple(jnp.asarray(a[:MOST]) for a in task.observed)


def _drawn(simulator, task: Task) -> tuple[tuple, tuple]:
    """Labels and data: fresh ones, or the held-out ones with the simulator's injection."""
    key = jr.fold_in(task.key, 7)
    simulated = draw_many(simulator, key, _ROWS) if task.rows is None else task.rows
    if task.rows is not None and hasattr(simulator, "perturbed"):
        simulated = simulator.perturbed(key, *map(jnp.asarray, simulated))
    simulated = tuple(map(jnp.asarray, simulated))
    count = len(simulated) - len(task.observed)
    return simulated[:count], simulated[count:]


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
