"""Classes of real nebulae by networks that have seen photoionisation models only.

Trained on the Cloudy grids of H II regions, post-AGB stars and active nuclei, applied to the 1,430
nebulae of NGC 628 (Groves et al. 2023): the experiment of Belfiore et al. (2025, arXiv:2410.16370)
on data at hand. Networks, all of one size, seeds apart:

- plain: fluxes as the models have them, without noise; errors, gaps and limits are quoted as in the
  catalogue, so that no network is left to guess what these look like.
- noise: the same rows with noise of these errors, the error of the models and a random scatter of
  all ratios (`flowspec.line_injection`).
- dann, both: the two, adapted adversarially to the nebulae without their labels; mmd and coral
  likewise from the second; auto: what `flowspec.choose` makes of it, by its own score.

Fixed before any score was looked at: labels are those of [N II] (BPT_NII) where the catalogue has
one. The rest are composite and AGN or shock-like nebulae: no H II region by itself. A nebula is
star-forming where the sources of the class HII are more probable than all others together, each
side as likely beforehand (balanced accuracy counts both sides alike). Labels enter the scores
alone.

Data: `FLOWSPEC_TEST_DATA`.
"""

import time
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from benchmarks import harness
from benchmarks.cloudy_grids import ERROR, FILES, GRIDS
from benchmarks.real_nebulae import ngc628
from flowspec.adapt import Adaptation
from flowspec.io import read_grid
from flowspec.line_fit import fit_lines
from flowspec.line_injection import InjectedLines
from flowspec.line_model import LineArchitecture
from flowspec.line_posterior import LinePosterior, class_of
from flowspec.lines import Lines, State
from flowspec.sim.nebula_lines import Catalogue, NebulaSimulator
from flowspec.train import Training

STARS = "HII"
CLASSES = {"star-forming": 0, "composite": 1, "AGN or shock-like": 3}  # of BPT_NII
LINES = ("Hbeta", "[OIII]5007", "Halpha", "[NII]6584", "[SII]6717,6731", "[SIII]9069")
SIZES = LineArchitecture(hidden=96, blocks=3, condition=32, layers=4, width=48)


class Noiseless(eqx.Module):
    """Rows whose fluxes are those of the models and whose errors are quoted like any other's; no
    limits.

    Attributes:
        simulator: With the errors and gaps of a catalogue.
    """

    simulator: NebulaSimulator

    @property
    def priors(self):
        """Of the simulator."""
        return self.simulator.priors

    @property
    def sources(self):
        """Of the simulator."""
        return self.simulator.sources

    @property
    def lines(self):
        """Of the simulator."""
        return self.simulator.lines

    def draw(self, key, n: int) -> Catalogue:
        """The simulator's own nebulae and errors, with the fluxes of the models."""
        sim = self.simulator
        theta, source, (dust_key, noise, _) = sim.nebulae(key, n)
        dereddened = jr.bernoulli(dust_key, sim.dereddened, (n,)).astype(theta.dtype)
        flux, _ = jax.vmap(sim.ratios)(theta, source, dereddened)
        rows = jax.vmap(sim.noise.draw)(jr.split(noise, n), flux)
        state = jnp.where(rows.present, int(State.MEASURED), int(State.ABSENT))
        return Catalogue(theta, source, flux * rows.present, rows.err, state, dereddened)


def run(
    *, seeds: int = 5, steps: int = 3000, adapted: int = 600, batch: int = 256, seed: int = 0,
    methods: str = "dann,both,mmd,coral,auto",
) -> dict:  # fmt: skip
    """Scores of every network, mean and spread over seeds.

    Args:
        seeds: Number of runs.
        steps: Of training on simulations.
        adapted: Of adaptation.
        batch: Rows per step.
        seed: The first.
        methods: Columns beside plain and noise, with commas.
    """
    folder = harness.data_folder()
    table, obs, _ = ngc628(folder / "lines" / "phangs_ngc628")
    label, obs = np.asarray(table["BPT_NII"]).astype(int), obs.select(LINES)
    grids = {name: read_grid(folder / GRIDS.format(file)) for name, file in FILES.items()}
    sim = NebulaSimulator(grids, LINES, error=ERROR).with_noise(obs)
    training = Training(
        steps=steps, batch=batch, learning_rate=1e-3, validation=2048,
        evaluate=max(1, steps // 6), patience=100,
    )  # fmt: skip
    adaptation = Adaptation(steps=adapted)
    found = {}
    for number in range(seed, seed + seeds):
        options = {"seed": number, "training": training, "adaptation": adaptation}
        for name, posterior, seconds in networks(sim, obs, methods.split(","), **options):
            result = scores(stars(posterior, obs), label) | {"CPU s": seconds}
            record = posterior.provenance["adaptation"]
            result |= {"gap, area under the curve": record["after"]["auc"]} if record else {}
            print(number, name, {k: round(v, 3) for k, v in result.items()},
                  {k: record.get(k) for k in ("method", "weight", "stage", "reason")}, flush=True)
            found.setdefault(name, []).append(result)
    return {
        "nebulae": {n: int((label == k).sum()) for n, k in CLASSES.items()},
        "mean": {n: spread(rows, np.mean) for n, rows in found.items()},
        "standard deviation": {n: spread(rows, np.std) for n, rows in found.items()},
    }


def networks(sim: NebulaSimulator, obs: Lines, methods, *, seed, training, adaptation):
    """Name, posterior and CPU seconds of each network in turn."""
    trained = {}
    kinds = {"plain": Noiseless(sim), "noise": InjectedLines(sim)}
    for name, simulator in kinds.items():
        began = time.process_time()
        trained[name] = fit_lines(
            simulator, seed=seed, training=training, architecture=SIZES, progress=False
        )
        yield name, trained[name], time.process_time() - began
    begun = {"dann": ("plain", "dann"), "both": ("noise", "dann")}
    for name in filter(None, methods):
        start, method = begun.get(name, ("noise", name))
        began = time.process_time()
        posterior = fit_lines(
            kinds[start], obs, seed=seed, training=replace(training, steps=0),
            start=trained[start], adapt=method, adaptation=adaptation, progress=False,
        )  # fmt: skip
        yield name, posterior, time.process_time() - began


def stars(posterior: LinePosterior, obs: Lines) -> np.ndarray:
    """Probability that stars ionise each nebula, where they are as likely as not beforehand."""
    share = posterior.source_probabilities(obs)
    ours = np.array([class_of(source) == STARS for source in posterior.sources])
    star, other = (share[:, side].sum(1) / side.mean() for side in (ours, ~ours))
    return star / (star + other)


def scores(star: np.ndarray, label: np.ndarray) -> dict:
    """Of the probability of stars against labels of the catalogue."""
    chosen = star > 0.5
    recall = {n: float((chosen == (k == 0))[label == k].mean()) for n, k in CLASSES.items()}
    forming, rest = label == 0, label > 0
    right = [float(chosen[forming].mean()), float((~chosen)[rest].mean())]
    alone = [recall["star-forming"], recall["AGN or shock-like"]]
    return {
        "balanced accuracy": float(np.mean(right)),
        "F1 star-forming": f1(chosen, forming, forming | rest),
        "F1 rest": f1(~chosen, rest, forming | rest),
        "balanced accuracy without composites": float(np.mean(alone)),
    } | {f"recall {n}": value for n, value in recall.items()}


def f1(chosen: np.ndarray, true: np.ndarray, counted: np.ndarray) -> float:
    """Harmonic mean of purity and completeness."""
    both = (chosen & true & counted).sum()
    return float(2 * both / ((chosen & counted).sum() + (true & counted).sum()))


def spread(rows: list[dict], of) -> dict:
    """Each score over seeds."""
    return {name: float(of([row[name] for row in rows])) for name in rows[0]}
