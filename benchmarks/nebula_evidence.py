"""Classes of real nebulae by Bayes' rule: what explicit densities of their fluxes can tell.

The nebulae and scores of `benchmarks.nebula_classes`, without any network: the evidence of each
class by importance sampling (`flowspec.check.importance`), all classes as likely beforehand.

- star-forming: mixtures of clouds of both grids of H II regions;
- hard: mixtures of clouds of the grids of active nuclei and post-AGB stars;
- composite: an H II region with gas of one abundance that an active nucleus (alpha -1.2) or
  post-AGB stars (100 kK) ionise, share of H-beta within `SHARE`. Planetary nebulae, supernova
  remnants and shocks have no grid and are missing.

Labels are curves in [N II] and [O III] (Kauffmann et al. 2003, MNRAS 346, 1055; Kewley et al. 2001,
ApJ 556, 121), no sources, and only judge. So three limits are beside the score: nebulae drawn from
the densities with the errors of the catalogue, their sources told by the same rule; and told, and
labelled by the curves, as the real ones are; and the curves themselves as the rule for sources.

Data: `FLOWSPEC_TEST_DATA`.
"""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

import flowspec as fs
from benchmarks import harness
from benchmarks.cloudy_grids import FILES, GRIDS
from benchmarks.nebula_classes import CLASSES, LINES, SHARE, STARS, scores
from benchmarks.real_nebulae import ngc628
from benchmarks.scores import report_half
from flowspec.check.importance import PriorDraws, prior_draws
from flowspec.data.lines import State
from flowspec.posterior.table import class_of

PARTNERS = ("AGN-1.2", "PAGB-100kK")  # of composites
AROUND = (8.2, 8.9)  # 12 + log O/H of the discs of spirals
AV = (-0.5, 4.0)  # H-alpha over H-beta of some is below case B
MANY = 2048  # nebulae of which mocks are taken
KEPT = 20  # draws of each posterior: only the evidence is wanted


def run(
    *, most: int = 60, mock: int = 60, draws: int = 9000, tried: int = 200, half: str = "report",
    without: str = "", tied: float = 0.5, disc: bool = False, seed: int = 0,
) -> dict:  # fmt: skip
    """Scores on real nebulae, and on mocks.

    Args:
        most: Real nebulae of each class at most.
        mock: Mocks of each class; 0 for none.
        draws: Of the prior of each density.
        tried: Draws of each nebula that get an exact weight.
        half: "report" or "look", by a hash of the names.
        without: Lines to leave out, with commas.
        tied: Share of the nebulae whose N/O follows O/H.
        disc: Whether O/H is one of the discs of spirals, not any of the grids.
        seed: Of draws and choice.
    """
    table, obs, _ = ngc628(harness.data_folder() / "lines" / "phangs_ngc628")
    lines = tuple(line for line in LINES if line not in without.split(","))
    label, obs = np.asarray(table["BPT_NII"]).astype(int), obs.select(lines)
    limits = {"mixing": SHARE} | ({"oh": AROUND} if disc else {})
    classes = densities(lines, tied, limits, draws, seed)
    rows = chosen(label, report_half(obs.names) == (half == "report"), most, seed)
    results = {"real": judged(probabilities(classes, obs[rows], tried, seed), label[rows])}
    if mock:
        nebulae, source = mocks(classes, limits, obs, mock, seed)
        code = np.array([*CLASSES.values()])
        by_curve = curves(nebulae)
        found = probabilities(classes, nebulae, tried, seed)
        results |= {
            "mocks, sources": judged(found, code[source]),
            "mocks, curves": judged(found, code[by_curve]),
            "curves of each source": confusion(by_curve, source),
        }
    return results


def densities(lines, tied: float, limits, draws: int, seed: int) -> dict[str, list[PriorDraws]]:
    """Of each class, in the order of `CLASSES`: equally likely kinds of nebulae."""
    folder = harness.data_folder()
    grids = {name: fs.read_grid(folder / GRIDS.format(file)) for name, file in FILES.items()}
    stars = {name: grid for name, grid in grids.items() if class_of(name) == STARS}
    hard = {name: grid for name, grid in grids.items() if name not in stars}
    first = next(iter(stars.values()))
    sims = {
        "star-forming": [fs.MixtureSimulator(stars, lines, tied=tied, av=AV)],
        "composite": [fs.MixtureSimulator(first, lines, tied=tied, av=AV,
                                          mixed=hard[name])
                      for name in PARTNERS],
        "AGN or shock-like": [fs.MixtureSimulator(hard, lines, tied=tied, av=AV)],
    }  # fmt: skip
    return {name: [within(prior_draws(sim, draws, seed=seed), limits) for sim in kinds]
            for name, kinds in sims.items()}  # fmt: skip


def within(prior: PriorDraws, limits: Mapping[str, tuple[float, float]]) -> PriorDraws:
    """The draws whose parameters are within limits, by name: those of a narrower prior."""
    kept = inside(prior.sim.names, prior.theta, limits)
    return prior._replace(theta=prior.theta[kept], source=prior.source[kept],
                          log_flux=prior.log_flux[:, kept])  # fmt: skip


def inside(names, theta: np.ndarray, limits: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Whether parameters [rows, params] are within the limits of those that have any."""
    kept = np.ones(len(theta), bool)
    for name in set(limits) & set(names):
        value, (low, high) = theta[:, names.index(name)], limits[name]
        kept &= (value > low) & (value < high)
    return kept


def chosen(label: np.ndarray, half: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Rows of a half, as many of each class as there are up to a number."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(half & (label == code)))[:most]
                           for code in CLASSES.values()])  # fmt: skip


def probabilities(classes, obs: fs.Lines, tried: int, seed: int) -> np.ndarray:
    """Of each class [rows, classes], all as likely beforehand; NaN where no draw explains a row."""
    evidence = np.stack([log_evidence(kinds, obs, tried, seed) for kinds in classes.values()], 1)
    with np.errstate(invalid="ignore"):
        away = np.exp(evidence - evidence.max(1, keepdims=True))
    return away / away.sum(1, keepdims=True)


def judged(probability: np.ndarray, label: np.ndarray) -> dict:
    """Scores against codes of classes, and what becomes of each class."""
    told = np.isfinite(probability).all(1)
    probability, label = probability[told], label[told]
    known = np.select([label == code for code in CLASSES.values()], range(3))
    return {"nebulae": int(told.sum()), "untold": int((~told).sum()), **scores(probability, label),
            "told as": confusion(probability.argmax(1), known)}  # fmt: skip


def log_evidence(kinds: list[PriorDraws], obs: fs.Lines, tried: int, seed: int) -> np.ndarray:
    """ln p(fluxes | class) of each row."""
    each = [prior.posterior(obs, KEPT, tried=tried, seed=seed).log_evidence for prior in kinds]
    return np.logaddexp.reduce(each, axis=0) - np.log(len(kinds))


def mocks(classes, limits, obs: fs.Lines, count: int, seed: int) -> tuple[fs.Lines, np.ndarray]:
    """As many nebulae of each class, with errors and gaps of a catalogue, and their classes."""
    parts, source = [], []
    for number, kinds in enumerate(classes.values()):
        for i, prior in enumerate(kinds):
            own, sim = count // len(kinds), prior.sim
            drawn = sim.nebulae(jr.fold_in(jr.key(seed + 1), 10 * number + i), MANY)
            theta, gas = (np.asarray(column) for column in drawn[:2])
            kept = np.flatnonzero(inside(sim.names, theta, limits))[:own]
            parts.append(observed(sim, theta[kept], gas[kept], obs, seed + 10 * number + i))
            source += [number] * len(kept)
    columns = (np.concatenate(c) for c in zip(*parts, strict=True))
    return fs.Lines(obs.lines, *columns), np.array(source)


def observed(sim, theta, source, obs: fs.Lines, seed: int):
    """Fluxes and errors [rows, lines] of nebulae, NaN where the catalogue has no line; each with
    the signal-to-noise of a random row."""
    rng = np.random.default_rng(seed)
    of_each = eqx.filter_jit(jax.vmap(type(sim).ratios, (None, 0, 0, None)))
    flux, own = (np.asarray(a) for a in of_each(sim, theta, source, np.float32(0)))
    flux = np.maximum(flux + own * rng.normal(size=flux.shape), 0)
    rows = rng.integers(len(obs), size=len(flux))
    # errors of a catalogue are those of the noise below its lines: they do not grow with the flux
    first = obs.lines.index("Hbeta")
    err = obs.err[rows] / np.maximum(obs.flux[rows, first], obs.err[rows, first])[:, None]
    err = np.where(obs.state[rows] == State.MEASURED, err, np.nan)
    return flux + err * rng.normal(size=flux.shape), err


def curves(obs: fs.Lines) -> np.ndarray:
    """Places in `CLASSES` of fluxes [rows] by the curves of the labels."""
    at = {name: np.maximum(obs.flux[:, obs.lines.index(name)], 1e-6)
          for name in ("Hbeta", "[OIII]5007", "Halpha", "[NII]6584")}  # fmt: skip
    x = np.log10(at["[NII]6584"] / at["Halpha"])
    y = np.log10(at["[OIII]5007"] / at["Hbeta"])
    above = [(x >= end) | (y > 0.61 / (x - end) + top) for end, top in ((0.05, 1.3), (0.47, 1.19))]
    return above[0].astype(int) + (above[0] & above[1])


def confusion(found: np.ndarray, true: np.ndarray) -> dict:
    """Shares of each class that are taken for each."""
    return {name: [float((found[true == k] == j).mean()) for j in range(3)]
            for k, name in enumerate(CLASSES)}  # fmt: skip
