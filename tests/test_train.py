"""Training finds known posteriors, resumes bit for bit, and does not depend on the devices."""

import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.data.spectra import Spectra
from flowspec.fitting import fit
from flowspec.networks.aligned import Architecture
from flowspec.sim.simulator import draw_many, simulate_many
from flowspec.train.loop import train
from flowspec.train.optimiser import make_optimiser
from flowspec.train.settings import Training
from tests.problems import (
    SIGMA,
    WAVE,
    line_simulator,
    linear_posterior,
    linear_simulator,
    spectral_model,
)

SIZES = Architecture(templates=3, learned=0, aligned=4, window=21, condition=8, layers=2, width=16)


@pytest.mark.slow
def test_linear_gaussian_posterior_is_found():
    training = Training(steps=800, batch=128, evaluate=400, validation=256, learning_rate=5e-3)
    sim = linear_simulator()
    posterior = fit(sim, seed=1, training=training, architecture=SIZES, progress=False)
    _, flux, ivar = draw_many(sim, jr.key(9), 200)
    samples = posterior.sample(Spectra(WAVE, flux, ivar), 1000, seed=2)
    mean, covariance = linear_posterior(flux)
    sigma = np.sqrt(np.diag(covariance))
    # In units of the exact sigma: 1/sqrt(1000) = 0.03 of sampling, the rest what 800 steps leave
    # of the regression on noisy inputs; an untrained posterior is at 4.
    assert np.sqrt((((samples.mean(0) - mean) / sigma) ** 2).mean()) < 0.35
    assert np.median(samples.std(0) / sigma) == pytest.approx(1, abs=0.1)
    correlation = np.mean([np.corrcoef(samples[:, i].T)[0, 1] for i in range(200)])
    assert correlation == pytest.approx(covariance[0, 1] / sigma.prod(), abs=0.1)


RUN = """
import os, signal, sys
import jax, jax.random as jr, numpy as np
from flowspec.train import loop as train
from flowspec.sim.simulator import simulate_many
from tests.problems import WAVE, line_simulator, spectral_model
from tests.test_train import SIZES

out, steps, evaluate, checkpoint, kill_at, number = sys.argv[1:]

class Bar(train.tqdm):
    def __init__(self, **options):
        super().__init__(**options)
        Bar.first = self.n

    def update(self, n=1):
        super().update(n)
        if self.n == int(kill_at):
            os.kill(os.getpid(), int(number))

train.tqdm = Bar
sim = line_simulator()
config = train.Training(steps=int(steps), batch=16, evaluate=int(evaluate), validation=32)
model = spectral_model(sim.prior, WAVE, SIZES)
validation = simulate_many(sim, jr.key(0), 32)
model, history = train.train(model, sim, validation, config, jr.key(2), checkpoint=checkpoint)
arrays = [np.asarray(a).ravel() for a in jax.tree.leaves(model) if hasattr(a, "shape")]
np.savez(out, model=np.concatenate(arrays), history=history, first=Bar.first)
"""


def run(out, steps, evaluate, checkpoint="absent", kill_at=0, number=signal.SIGKILL, **env):
    """Exit status of a training in a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | env
    words = map(str, (out, steps, evaluate, checkpoint, kill_at, int(number)))
    return subprocess.run([sys.executable, "-c", RUN, *words], env=environment).returncode


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    whole, resumed, checkpoint = (tmp_path / n for n in ("a.npz", "b.npz", "checkpoint"))
    interrupted = tmp_path / "c.npz"
    # One compiled program for the three runs, as it would be for a user who resumes.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled")}
    assert run(whole, 60, 8, tmp_path / "unused", **cache) == 0
    assert run(resumed, 60, 8, checkpoint, kill_at=30, **cache) == -signal.SIGKILL
    assert checkpoint.exists() and not resumed.exists()
    assert run(resumed, 60, 8, checkpoint, **cache) == 0
    # SIGTERM and SIGINT lose no step, wherever they come
    checkpoint.unlink()
    for number, at in ((signal.SIGTERM, 11), (signal.SIGINT, 40)):
        options = {"kill_at": at, "number": number, **cache}
        assert run(interrupted, 60, 8, checkpoint, **options) == -number
        assert not interrupted.exists()
    assert run(interrupted, 60, 8, checkpoint, **cache) == 0
    whole, resumed, interrupted = map(np.load, (whole, resumed, interrupted))
    assert resumed["first"] == 24 and interrupted["first"] == 40
    for other in (resumed, interrupted):
        np.testing.assert_array_equal(whole["history"], other["history"])
        np.testing.assert_array_equal(whole["model"], other["model"])


@pytest.mark.slow
def test_one_and_four_devices_have_the_same_losses(tmp_path):
    one, four = tmp_path / "one.npz", tmp_path / "four.npz"
    assert run(one, 20, 1, tmp_path / "c1") == 0
    flags = "--xla_force_host_platform_device_count=4"
    assert run(four, 20, 1, tmp_path / "c4", XLA_FLAGS=flags) == 0
    one, four = (np.load(path)["history"] for path in (one, four))
    assert len(one) == len(four) == 20
    np.testing.assert_allclose(one, four, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    training = Training(steps=2, batch=8, evaluate=1, validation=16)
    run = dict(training=training, architecture=SIZES, checkpoint=path, progress=False)
    fit(line_simulator(), seed=0, **run)
    with pytest.raises(ValueError, match="another"):
        fit(line_simulator(), seed=1, **run)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="checkpoint: expected a checkpoint"):
        fit(line_simulator(), seed=0, **run)


@pytest.mark.slow
def test_a_batch_must_divide_and_a_loss_be_finite():
    with pytest.raises(ValueError, match="finite loss"):
        broken = Training(steps=20, batch=8, evaluate=20, validation=16, learning_rate=1e12)
        fit(line_simulator(), training=broken, architecture=SIZES, progress=False)


@pytest.mark.slow
def test_muon_moves_matrices_by_orthogonal_ones_and_the_rest_as_adam_does():
    """After one step: all singular values alike, but for what five iterations leave; rms 0.2."""
    gradient = {"matrix": jr.normal(jr.key(0), (24, 48)), "vector": jr.normal(jr.key(1), (48,))}
    params = jax.tree.map(jnp.zeros_like, gradient)
    moved = {}
    for name in ("muon", "adamw"):
        optimiser = make_optimiser(Training(steps=1, optimiser=name), {})
        state = optimiser.init(params)
        for _ in range(2):  # the first has no rate yet
            moved[name], state = optimiser.update(gradient, state, params)
    sizes = np.linalg.svd(moved["muon"]["matrix"], compute_uv=False)
    assert sizes.max() / sizes.min() < 1.8
    adam = moved["adamw"]["matrix"]
    ratio = np.sqrt((moved["muon"]["matrix"] ** 2).mean() / (adam**2).mean())
    assert ratio == pytest.approx(0.2, rel=0.2)
    # its Adam looks ahead (Nesterov)
    np.testing.assert_allclose(moved["muon"]["vector"], moved["adamw"]["vector"], rtol=0.2)
    with pytest.raises(ValueError, match="expected an optimiser among"):
        make_optimiser(Training(optimiser="sgd"), {})


@pytest.mark.slow
def test_templates_may_be_told_to_stay_and_another_loss_be_trained():
    """With a loss of one parameter alone nothing else moves; validation keeps the model's."""
    sim = line_simulator()
    model = spectral_model(sim.prior, WAVE, SIZES)
    held = simulate_many(sim, jr.key(0), 32)
    config = Training(steps=3, batch=8, evaluate=3, validation=32, weight_decay=0.0,
                      trial_rate=0.0, rest_rate=1.0)  # fmt: skip

    def templates(model, key, simulated):
        params = model.variables["params"]
        return ((params["trial"] - 1) ** 2).mean() + ((params["rest"] - 1) ** 2).mean()

    options = {"progress": False, "loss": templates, "last": True}
    trained, history = train(model, sim, held, config, jr.key(1), **options)
    old, new = (m.variables["params"] for m in (model, trained))
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), old, new)
    assert moved.pop("rest") and not any(jax.tree.leaves(moved))
    for a, b in zip(*(jax.tree.leaves(m.density) for m in (model, trained)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (new["rest"] > old["rest"]).all()
    loss = trained.loss(jr.key(2), jax.tree.map(jnp.asarray, held))
    np.testing.assert_allclose(history[0, [0, 2]], [3, loss], rtol=1e-4)
    assert history[0, 1] == pytest.approx(2, abs=0.1)  # templates begin near zero


def test_noise_comes_from_the_observations():
    ivar = np.full((3, len(WAVE)), SIGMA**-2)
    ivar[:, :40] = 0
    sim = line_simulator().with_noise(Spectra(WAVE, np.ones_like(ivar), ivar))
    _, flux, drawn = draw_many(sim, jr.key(0), 8)
    assert (drawn[:, :40] == 0).all() and (flux[:, :40] == 0).all() and (drawn[:, 40:] > 0).all()
