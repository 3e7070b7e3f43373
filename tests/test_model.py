"""The joint density is normalised, whatever the parameters of network and flow."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.networks.aligned import Architecture
from flowspec.prior.prior import Prior
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


def test_without_a_redshift_there_is_one_bin():
    prior = Prior({"strength": dist.Uniform(0.0, 1.0)})
    model = spectral_model(prior, np.linspace(4000, 8000, 128), SIZES)
    assert model.space.redshift is None and model.network.bins == model.space.classes == 1


def test_a_redshift_needs_a_logarithmic_grid_and_limits():
    with pytest.raises(ValueError, match="uniform in ln"):
        spectral_model(SIM.prior, np.linspace(4000, 8000, 128), SIZES)
    with pytest.raises(ValueError, match="bounded prior on z"):
        spectral_model(Prior({"z": dist.Normal(1.0, 0.1)}), WAVE, SIZES)
