"""Training finds known posteriors, resumes bit for bit, and does not depend on the devices."""

import os
import signal
import subprocess
import sys
import time

import jax.random as jr
import numpy as np
import pytest

from flowspec.fit import draw_many, fit
from flowspec.model import Architecture
from flowspec.spectra import Spectra
from flowspec.train import Training
from tests.problems import SIGMA, WAVE, line_simulator, linear_posterior, linear_simulator

SIZES = Architecture(templates=3, aligned=4, window=21, condition=8, layers=2, width=16)


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
import sys
import numpy as np
import jax, jax.random as jr
from flowspec.fit import fit
from flowspec.train import Training
from tests.test_train import SIZES, line_simulator
training = Training(steps=60, batch=16, evaluate=10, validation=32)
post = fit(line_simulator(), seed=3, training=training, architecture=SIZES,
           checkpoint=sys.argv[1] or None, progress=False)
arrays = [np.asarray(a).ravel() for a in jax.tree.leaves(post.model) if hasattr(a, "shape")]
np.save(sys.argv[2], np.concatenate(arrays))
np.save(sys.argv[2] + ".history", np.array(post.provenance["history"]))
"""


def start(checkpoint, out, **env):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | env
    return subprocess.Popen([sys.executable, "-c", RUN, checkpoint, out], env=environment)


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    whole, resumed, checkpoint = (str(tmp_path / n) for n in ("a.npy", "b.npy", "checkpoint"))
    assert start("", whole).wait() == 0
    process = start(checkpoint, resumed)
    while not os.path.exists(checkpoint) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert start(checkpoint, resumed).wait() == 0
    np.testing.assert_array_equal(np.load(whole), np.load(resumed))


def test_one_and_four_devices_have_the_same_losses(tmp_path):
    one, four = str(tmp_path / "one.npy"), str(tmp_path / "four.npy")
    assert start("", one).wait() == 0
    assert start("", four, XLA_FLAGS="--xla_force_host_platform_device_count=4").wait() == 0
    one, four = (np.load(p + ".history.npy") for p in (one, four))
    # Rounded to 1e-4 when stored; sums in another order differ in the last bits, which grow.
    np.testing.assert_allclose(one[:2], four[:2], atol=2e-4)


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


def test_a_batch_must_divide_and_a_loss_be_finite():
    with pytest.raises(ValueError, match="finite loss"):
        broken = Training(steps=20, batch=8, evaluate=20, validation=16, learning_rate=1e12)
        fit(line_simulator(), training=broken, architecture=SIZES, progress=False)


def test_noise_comes_from_the_observations():
    ivar = np.full((3, len(WAVE)), SIGMA**-2)
    ivar[:, :40] = 0
    sim = line_simulator().with_noise(Spectra(WAVE, np.ones_like(ivar), ivar))
    _, flux, drawn = draw_many(sim, jr.key(0), 8)
    assert (drawn[:, :40] == 0).all() and (flux[:, :40] == 0).all() and (drawn[:, 40:] > 0).all()
