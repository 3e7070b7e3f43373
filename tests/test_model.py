"""The joint density is normalised, whatever the parameters of network and flow."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.networks.aligned import Architecture
from flowspec.prior.prior import Prior
from flowspec.sim.simulator import draw_many
from tests.problems import WAVE, line_simulator, spectral_model

SIZES = Architecture(templates=3, aligned=4, window=21, condition=8, layers=2, width=8)
SIM = line_simulator()


@pytest.fixture(scope="module")
def model():
    return spectral_model(SIM.prior, WAVE, SIZES)


def test_encode_and_decode_are_inverse(model):
    theta = SIM.prior.sample(jr.key(1), (500,))
    k, free, _ = model.space.encode(theta, jnp.zeros(500, int))
    np.testing.assert_allclose(model.space.decode(k, free), theta, atol=2e-5)


def test_joint_density_integrates_to_one(model):
    _, flux, ivar = draw_many(SIM, jr.key(2), 1)
    z, a = np.meshgrid(0.1 + 0.4 * (np.arange(1600) + 0.5) / 1600, (np.arange(50) + 0.5) / 50)
    theta = np.stack([z.ravel(), a.ravel()], -1)
    theta = jnp.asarray(theta, jnp.float32)
    flux, ivar = (jnp.repeat(v, 4000, 0) for v in (flux, ivar))
    total = 0.0
    for start in range(0, len(theta), 4000):
        n = len(theta[start : start + 4000])
        one = jnp.zeros(n, int)
        discrete, inside = model.log_prob(theta[start : start + n], one, flux[:n], ivar[:n])
        total += np.exp(np.asarray(discrete + inside)).sum()
    # A sum over 1,600 x 50 midpoints, 44 in a bin, of a density that can be steep at its edges.
    assert total * (0.4 / 1600) * (1 / 50) == pytest.approx(1, abs=0.05)


def test_without_a_redshift_there_is_one_bin():
    prior = Prior({"strength": dist.Uniform(0.0, 1.0)})
    model = spectral_model(prior, np.linspace(4000, 8000, 128), SIZES)
    assert model.space.redshift is None and model.network.bins == model.space.classes == 1


def test_a_redshift_needs_a_logarithmic_grid_and_limits():
    with pytest.raises(ValueError, match="uniform in ln"):
        spectral_model(SIM.prior, np.linspace(4000, 8000, 128), SIZES)
    with pytest.raises(ValueError, match="bounded prior on z"):
        spectral_model(Prior({"z": dist.Normal(1.0, 0.1)}), WAVE, SIZES)
