"""Networks and densities by name, on the same problem: held-out log q, and seconds.

The toy problem is that of `benchmarks.toy_spectra` (9,000 spectra to train on, 1,000 to stop
early, 1,000 to score; exact: 13.78); "moons" is a file of ``flowspec simulate moons``, of which the
last rows are scored.
"""

import time

import numpy as np

import flowspec as fs
from benchmarks import toy
from benchmarks.moons import coarse
from flowspec.prior.galaxies import moons_prior


def run(
    *,
    problem: str = "toy",
    network: str = "aligned",
    density: str = "flow",
    simulations: str = "moons.h5",
    test: int = 3000,
    epochs: int = 10,
    batch: int = 64,
    seed: int = 0,
) -> dict:
    """Train one architecture and score it.

    Args:
        problem: "toy" or "moons".
        network: Name of a summary network (`flowspec.networks.registry`).
        density: Name of a density (`flowspec.model.registry`).
        simulations: File of "moons".
        test: Rows of it to score.
        epochs: Passes over the training rows.
        batch: Rows per step.
        seed: Of everything but the data.
    """
    names = {"network": network, "density": density}
    if problem == "toy":
        theta, flux = toy.generate()
        sim = toy.fixed(theta[: toy.TRAIN], flux[: toy.TRAIN])
        unseen, truth = toy.observed(flux[-toy.TEST :]), theta[-toy.TEST :]
        sizes = fs.Architecture(bin_pixels=1, aligned=16, learned=0, layers=3, **names)
        options, held_out = {"trial_rate": 0.3, "rest_rate": 0.0}, toy.TRAIN // 10
    else:
        theta, obs = coarse(simulations, 4.0)
        prior = moons_prior()
        theta = theta[:, : len(prior.names)].astype(np.float32)
        part = obs.part(slice(None, -test))
        sim = fs.Simulations(theta[:-test], part.flux, part.ivar, obs.wave, prior, extra_noise=1.0,
                             redshift="z")  # fmt: skip
        unseen, truth = fs.Spectra(*obs.part(slice(-test, None))), theta[-test:]
        sizes = fs.Architecture(**names)
        options, held_out = {"rest_rate": 0.0, "weight_decay": 0.3}, 2048
    epoch = (len(sim) - held_out) // batch
    training = fs.Training(steps=epochs * epoch, batch=batch, validation=held_out, evaluate=epoch,
                           patience=10**6, **options)  # fmt: skip
    began = time.process_time()
    posterior = fs.fit(sim, seed=seed, training=training, architecture=sizes, progress=False)
    fitted = time.process_time()
    log_q = posterior.log_prob(truth, unseen)
    scored = time.process_time()
    posterior.sample(unseen[:200], 200)
    again = time.process_time()
    posterior.sample(unseen[:200], 200, seed=1)
    return {
        "held-out mean log q": float(log_q.mean()),
        "standard error": float(log_q.std() / np.sqrt(len(log_q))),
        "fit, CPU s": fitted - began,
        "log_prob of the test, CPU s": scored - fitted,
        "200 draws of 200 spectra, CPU s": time.process_time() - again,
        "steps": training.steps,
        "best validation loss": min(row[-1] for row in posterior.provenance["history"]),
    }
