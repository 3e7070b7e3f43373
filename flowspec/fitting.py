"""`fit`: simulations and observations in, a posterior out. Wiring only."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from flowspec.adaptation.align import Adaptation
from flowspec.adaptation.choose import DRAWS, MOST, Task, adapted, check_request
from flowspec.adaptation.gap import broad_features
from flowspec.adaptation.injection import Injected
from flowspec.data.spectra import Spectra
from flowspec.model.compiled import keep_programs
from flowspec.model.model import Architecture, Model, build
from flowspec.networks.aligned import principal_templates
from flowspec.posterior.posterior import Posterior, on_grid
from flowspec.posterior.redshift import LIMIT, Recalibration, peaks
from flowspec.posterior.screening import Screen
from flowspec.train.loop import Training, draw_many, negative_log_likelihood, train

_TEMPLATE_SPECTRA = 1024
_SCREEN_SPECTRA = 4096


def fit(
    sim,
    obs: Spectra | None = None,
    *,
    seed: int = 0,
    training: Training = Training(),  # noqa: B008 - frozen
    architecture: Architecture = Architecture(),  # noqa: B008 - frozen
    start: Posterior | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    loss: Callable = negative_log_likelihood,
    adapt: str = "none",
    adaptation: Adaptation = Adaptation(),  # noqa: B008 - frozen
) -> Posterior:
    """Train a posterior on simulations, with the noise of the observations, adapted to them.

    Args:
        sim: A simulator (`GalaxySimulator`, `CallableSimulator`) or a set of `Simulations`.
        obs: Unlabelled observations. Where the simulator can, it takes its noise from them.
        seed: Random seed of everything.
        training: Number of steps and the like.
        architecture: Sizes of the network and the flow.
        start: A posterior to start from, of the same grid, parameters and redshift limits, instead
            of from scratch; its architecture is kept.
        checkpoint: File to resume from if it exists, and to write while training.
        progress: Whether to show a progress bar.
        loss: Of training, as of `flowspec.train.loop.train`.
        adapt: "none"; or how to make summaries of simulations and of `obs` alike: "dann", "mmd",
            "coral"; or "auto", which chooses among all of these (`flowspec.adaptation.choose`) and
            leaves the model as it is where there is nothing to gain. What was measured and chosen
            is in ``provenance["adaptation"]``.
        adaptation: Steps and the like of that.

    Raises:
        ValueError: If there is nothing to adapt to, fewer than `flowspec.adaptation.choose.FEWEST`
            spectra, or they cover less than half of the grid; if `start` is of another grid or
            other parameters, if the simulator's grid is not logarithmic though it has a redshift,
            if the loss is not finite, or if the checkpoint belongs to another run.
    """
    began = time.process_time()
    keep_programs()
    check_request(adapt, None if obs is None else len(obs))
    if obs is not None and hasattr(sim, "with_noise"):
        sim = sim.with_noise(obs)
    keys = jr.split(jr.key(seed), 5)
    fixed = hasattr(sim, "split")
    training_set, held_out = sim.split(training.validation) if fixed else (sim, sim)
    validation = held_out.rows() if fixed else draw_many(sim, keys[0], training.validation)
    validation = tuple(map(jnp.asarray, validation))
    if start is None:
        model = build(keys[1], sim.prior, np.asarray(sim.wave), architecture)
        model = initialise(model, draw_many(training_set, keys[2], _TEMPLATE_SPECTRA))
    else:
        model, architecture = continued(start, sim), start.architecture
    model, history = train(
        model, training_set, validation, training, keys[3],
        checkpoint=checkpoint, progress=progress, loss=loss,
    )  # fmt: skip
    wave, blank = np.asarray(sim.wave), Screen.blank(architecture.condition)
    posterior = Posterior(model, wave, blank, Recalibration.identity(), architecture, {})
    record = {}
    if adapt != "none":
        seen = on_grid(obs, wave)[np.random.default_rng(0).permutation(len(obs))]
        judged = Spectra(wave, seen.flux[:MOST], seen.ivar[:MOST])
        if hasattr(sim, "with_noise"):
            training_set = held_out = sim.with_noise(obs, exact=True)
        observed = jnp.asarray(seen.flux), jnp.asarray(seen.ivar)
        task = Task(
            training_set, validation, observed, jr.fold_in(keys[3], 1),
            lambda model: replace(posterior, model=model).sample(judged, DRAWS), broad_features,
            Injected.measured, training, adaptation, progress,
        )  # fmt: skip
        model, simulator, record = adapted(model, task, adapt)
        posterior = replace(posterior, model=model)
        if isinstance(simulator, Injected):
            held_out = replace(simulator, simulator=held_out)
    provenance = account(sim, seed, training, began, start, history) | {"adaptation": record}
    posterior = replace(posterior, provenance=provenance)
    drawn = draw_many(held_out, keys[4], _SCREEN_SPECTRA)
    screen = Screen.from_summaries(posterior.summaries(Spectra(wave, *drawn[1:])))
    # of a fixed set every row once; a simulator's fresh draws are more than its validation
    unseen = validation if fixed else drawn
    return replace(posterior, screen=screen, recalibration=recalibrated(posterior, unseen))


def account(sim, seed: int, training: Training, began: float, start, history) -> dict:
    """How a model came to be, JSON-ready.

    Args:
        sim: The simulator.
        seed: Of everything.
        training: Number of steps and the like.
        began: `time.process_time` at the beginning.
        start: The posterior that it started from, or None.
        history: Of `flowspec.train.loop.train`.
    """
    return {
        "flowspec": version("flowspec"),
        "jax": jax.__version__,
        "seed": seed,
        "simulator": getattr(sim, "description", type(sim).__name__),
        "training": asdict(training),
        "cpu_seconds": round(time.process_time() - began),
        "start": None if start is None else start.provenance,
        "history": history.round(4).tolist(),
    }


def recalibrated(posterior: Posterior, simulated) -> Recalibration:
    """What makes the probabilities of right redshifts those of simulations (theta, flux, ivar)."""
    theta, flux, ivar = map(np.asarray, simulated)
    if "z" not in posterior.names:
        return Recalibration.identity()
    found = peaks(*posterior.redshift_pdf(Spectra(posterior.wave, flux, ivar)))
    right = np.abs(found.z - theta[:, posterior.names.index("z")]) < LIMIT
    return Recalibration.fit(found.share, right)


def continued(start: Posterior, sim) -> Model:
    """The model of a posterior under the prior of a simulator.

    Raises:
        ValueError: If the two differ in more than the shape of the prior.
    """
    old, new = start.model.prior, sim.prior
    same_grid = start.wave.shape == np.shape(sim.wave) and np.allclose(start.wave, sim.wave)
    ends = [p.config()["distributions"].get("z") for p in (old, new)]
    if not same_grid or old.names != new.names or ends[0] != ends[1]:
        raise ValueError(
            f"expected a model to start from with the grid, the redshift prior and the parameters "
            f"{new.names} of the simulator; got {old.names} on {len(start.wave)} pixels"
        )
    return replace(start.model, prior=new)


def initialise(model: Model, simulated) -> Model:
    """Templates from the principal components of simulations in the rest frame."""
    theta, flux, ivar = map(jnp.asarray, simulated)
    bins, _, _ = model.encode(theta)
    variables = principal_templates(model.network, model.variables, flux, ivar, bins)
    return eqx.tree_at(lambda m: m.variables, model, variables)
