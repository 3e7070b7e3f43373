"""Which adaptation, if any: chosen on simulations and unlabelled observations alone.

Summaries cannot tell everything: a smooth calibration error looks like a reddened galaxy to a
network that has never met one. What the simulator lacks is therefore looked for in the data
themselves first, and injected in the amount at which simulations look most like observations.
Then, if a gap is left, alignments are tried, and the one with the highest score is taken
(`flowspec.adaptation.judge`).
"""

import logging
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from flowspec.adaptation.align import aligned, trained_on
from flowspec.adaptation.gap import Gap
from flowspec.adaptation.injection import Injected
from flowspec.adaptation.judge import Judgement, Task, input_gap, judged
from flowspec.adaptation.line_injection import InjectedLines
from flowspec.adaptation.settings import METHODS
from flowspec.model.model import Model
from flowspec.sim.simulator import Perturbed

log = logging.getLogger("flowspec")
ALIGNMENTS = tuple(m for m in METHODS if m not in ("none", "auto"))
INJECTIONS = {"pixels": Injected, "lines": InjectedLines}  # by the kind of the frame
FEWEST = 50  # observations to align with
SIZES = (0.0, 0.7, 1.0, 1.4)  # of the measured calibration error that are tried
SHARED = 0.5  # least overlap of a candidate: a score must speak for most observations
_SIGNIFICANT = 2.0  # standard errors by which a score must exceed that of standing aside


class Candidate(NamedTuple):
    """A model, what it saw, and how it was made.

    Attributes:
        name: Method, weight, stage.
        model: The density.
        injection: Around the simulator that it was trained on, or None.
        judgement: Of it.
    """

    name: dict
    model: Model
    injection: Perturbed | None
    judgement: Judgement


def check_request(method: str, observations: int | None) -> None:
    """Check what was asked for before anything is trained.

    Args:
        method: One of `flowspec.adaptation.settings.METHODS`.
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


def chosen(task: Task, method: str) -> tuple[Model, Perturbed | None, dict]:
    """The model adapted to observations, the injection it was trained on, a JSON-ready record.

    Args:
        task: The posterior, its simulator and the observations.
        method: One of `flowspec.adaptation.settings.METHODS`.
    """
    model, count = task.posterior.model, len(task.obs)
    if count < FEWEST:
        log.warning("not adapted: %d observations, of which at least %d are needed to measure a "
                    "gap", count, FEWEST)
        reason = f"fewer than {FEWEST} observations"
        return model, None, {"asked": method, "method": "none", "reason": reason}
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
    return best.model, best.injection, record


def explore(
    model: Model, task: Task, methods: tuple[str, ...], aside: bool
) -> tuple[list[Candidate], Gap]:
    """All candidates, and the gap between the data of simulations and observations.

    Args:
        model: Trained on simulations alone: the first candidate.
        task: Its simulator and the observations.
        methods: Of alignment, to try.
        aside: Whether to try none of them where there is no gap.
    """
    name = {"method": "none", "injected": False}
    candidates = [Candidate(name, model, None, judged(model, None, task))]
    population = candidates[0].judgement.population
    data = input_gap(None, population, task)
    log.info("gap of the data: %.3f +- %.3f", data.auc, data.error)
    if aside and data.closed and candidates[0].judgement.gap.closed:
        return candidates, data
    if task.adaptation.inject and task.simulator.frame.kind in INJECTIONS:
        injected, after = _injected(population, task)
        if data.auc - after.auc > _SIGNIFICANT * np.hypot(data.error, after.error):
            model = trained_on(
                model, injected, task.validation, jr.fold_in(task.key, 5),
                training=task.training, adaptation=task.adaptation, progress=task.progress,
            )  # fmt: skip
            name = {"method": "none", "injected": True, "size": float(injected.size)}
            candidates.append(Candidate(name, model, injected, judged(model, injected, task)))
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
    simulator = task.simulator if start.injection is None else start.injection
    for weight in task.adaptation.weights:
        stages = aligned(
            start.model, simulator, task.observed, task.validation, jr.fold_in(task.key, 6),
            method=method, weight=weight, population=population,
            training=task.training, adaptation=task.adaptation, progress=task.progress,
        )  # fmt: skip
        for i, stage in enumerate(stages):
            name = start.name | {"method": method, "weight": weight, "stage": i + 1}
            judgement = judged(stage, start.injection, task)
            found.append(Candidate(name, stage, start.injection, judgement))
    return found


def pick(candidates: list[Candidate], data: Gap, method: str) -> tuple[Candidate, str]:
    """The candidate of a method, or of "auto", and why.

    Args:
        candidates: Of `explore`.
        data: Gap of the data, of `explore` too.
        method: One of `flowspec.adaptation.settings.METHODS`.
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
    own = task.simulated().data
    measured = INJECTIONS[task.simulator.frame.kind].measured(task.simulator, own, task.observed)
    sizes = [eqx.tree_at(lambda s: s.size, measured, jnp.float32(size)) for size in SIZES]
    gaps = [input_gap(simulator, population, task) for simulator in sizes]
    for size, gap in zip(SIZES, gaps, strict=True):
        log.info("injected, size %.1f: gap of the data %.3f +- %.3f", size, gap.auc, gap.error)
    best = int(np.argmin([gap.auc for gap in gaps]))
    return sizes[best], gaps[best]
