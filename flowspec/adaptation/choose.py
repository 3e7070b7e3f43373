"""Which adaptation, if any: chosen on simulations and unlabelled observations alone.

Where the forward model can be fitted to observations, what they say of its nuisances is taught to
it first (`flowspec.adaptation.taught`).

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
from flowspec.adaptation.taught import lessons
from flowspec.model.model import Model
from flowspec.sim.simulator import Simulator

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
        simulator: That it was trained on.
        judgement: Of it.
    """

    name: dict
    model: Model
    simulator: Simulator
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


def chosen(task: Task, method: str) -> tuple[Model, Simulator, dict]:
    """The model adapted to observations, the simulator it was trained on, a JSON-ready record.

    Args:
        task: The posterior, its simulator and the observations.
        method: One of `flowspec.adaptation.settings.METHODS`.
    """
    model, count = task.posterior.model, len(task.obs)
    if count < FEWEST:
        log.warning("not adapted: %d observations, of which at least %d are needed to measure a "
                    "gap", count, FEWEST)
        reason = f"fewer than {FEWEST} observations"
        return model, task.simulator, {"asked": method, "method": "none", "reason": reason}
    automatic = method == "auto"
    named = () if method in ("none", "nuisances") else (method,)
    candidates, data = explore(model, task, ALIGNMENTS if automatic else named, method)
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
    model: Model, task: Task, methods: tuple[str, ...], asked: str
) -> tuple[list[Candidate], Gap]:
    """All candidates, and the gap between the data of simulations and observations.

    Args:
        model: Trained on simulations alone: the first candidate.
        task: Its simulator and the observations.
        methods: Of alignment, to try.
        asked: Of `flowspec.adaptation.settings.METHODS`; with "auto" nothing more is tried where
            there is no gap.
    """
    aside, key = asked == "auto", jr.fold_in(task.key, 5)
    name = {"method": "none", "injected": False}
    plain = Candidate(name, model, task.simulator, judged(model, task.simulator, task))
    candidates, population = [plain], plain.judgement.population
    data = input_gap(task.simulator, population, task)
    log.info("gap of the data: %.3f +- %.3f", data.auc, data.error)
    if aside and data.closed and plain.judgement.gap.closed:
        return candidates, data
    left = data
    if asked in ("auto", "nuisances") and task.simulator.teachable:
        simulator, record = lessons(task.posterior, task.simulator, task.obs, task.adaptation)
        after = input_gap(simulator, population, task)
        log.info("taught: gap of the data %.3f +- %.3f", after.auc, after.error)
        if asked == "nuisances" or _less(after, data):
            record = {"nuisances": record, "gap": [round(after.auc, 4), round(after.error, 4)]}
            candidates.append(_trained(name | record, model, simulator, task, key))
            left = after
    if asked != "nuisances" and task.adaptation.inject and task.simulator.frame.kind in INJECTIONS:
        injected, after = _injected(candidates[-1].simulator, population, task)
        if _less(after, left):
            record = {"injected": True, "size": float(injected.size)}
            start = candidates[-1]
            candidates.append(_trained(start.name | record, start.model, injected, task, key))
    if aside and candidates[-1].judgement.gap.closed:
        return candidates, data
    start = candidates[-1]
    for method in methods:
        candidates += _aligned(start, method, task)
    return candidates, data


def _less(after: Gap, before: Gap) -> bool:
    """Whether a gap is significantly smaller."""
    return before.auc - after.auc > _SIGNIFICANT * np.hypot(before.error, after.error)


def _trained(name: dict, model: Model, simulator: Simulator, task: Task, key) -> Candidate:
    """The model trained on with another simulator."""
    model = trained_on(model, simulator, task.validation, key, training=task.training,
                       adaptation=task.adaptation, progress=task.progress)
    return Candidate(name, model, simulator, judged(model, simulator, task))


def _aligned(start: Candidate, method: str, task: Task) -> list[Candidate]:
    """Candidates of one method: every weight, every stage."""
    found = []
    population = start.judgement.population if task.adaptation.weighted else None
    for weight in task.adaptation.weights:
        stages = aligned(
            start.model, start.simulator, task.observed, task.validation, jr.fold_in(task.key, 6),
            method=method, weight=weight, population=population,
            training=task.training, adaptation=task.adaptation, progress=task.progress,
        )  # fmt: skip
        for i, stage in enumerate(stages):
            name = start.name | {"method": method, "weight": weight, "stage": i + 1}
            judgement = judged(stage, start.simulator, task)
            found.append(Candidate(name, stage, start.simulator, judgement))
    return found


def pick(candidates: list[Candidate], data: Gap, method: str) -> tuple[Candidate, str]:
    """The candidate of a method, or of "auto", and why.

    Args:
        candidates: Of `explore`.
        data: Gap of the data, of `explore` too.
        method: One of `flowspec.adaptation.settings.METHODS`.
    """
    if method != "auto":
        plain = method in ("none", "nuisances")  # the last of those without alignment
        named = [c for c in candidates if c.name["method"] == ("none" if plain else method)]
        return (named[-1] if plain else max(named, key=_score)), "asked for"
    if data.closed and candidates[0].judgement.gap.closed:
        return candidates[0], "no gap beyond the population"
    start = [c for c in candidates if c.name["method"] == "none"][-1]
    if start.judgement.gap.closed:
        return start, "closed without alignment"
    able = [c for c in candidates if c.judgement.gap.overlap >= SHARED]
    if not able:
        taught = [c for c in candidates if "nuisances" in c.name and not c.name["injected"]]
        reason = "simulations cover too little of the observations"
        return (taught[0] if taught else candidates[0]), reason
    best = max([start, *(c for c in able if c.name["method"] != "none")], key=_score)
    rise = _score(best) - _score(start)
    if rise <= _SIGNIFICANT * np.hypot(best.judgement.error, start.judgement.error):
        return start, "nothing significantly better"
    return best, "highest score"


def _score(candidate: Candidate) -> float:
    return candidate.judgement.score


def _injected(simulator: Simulator, population, task: Task):
    """The injected simulator whose data look most like the observed ones, and that gap."""
    own = task.simulated(simulator).data
    measured = INJECTIONS[simulator.frame.kind].measured(simulator, own, task.observed)
    sizes = [eqx.tree_at(lambda s: s.size, measured, jnp.float32(size)) for size in SIZES]
    gaps = [input_gap(simulator, population, task) for simulator in sizes]
    for size, gap in zip(SIZES, gaps, strict=True):
        log.info("injected, size %.1f: gap of the data %.3f +- %.3f", size, gap.auc, gap.error)
    best = int(np.argmin([gap.auc for gap in gaps]))
    return sizes[best], gaps[best]
