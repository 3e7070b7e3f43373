"""The model: what its loss and features are, and what it refuses."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

from flowspec.data.frame import LineSet
from flowspec.model.model import model_for
from flowspec.networks.aligned import Architecture
from flowspec.networks.lines import LineArchitecture
from flowspec.networks.vector import VectorArchitecture
from flowspec.prior.prior import Prior
from tests.problems import (
    LINES,
    WAVE,
    TwoSources,
    line_simulator,
    linear_simulator,
    spectral_model,
    untrained,
    vector_simulator,
)

SIZES = Architecture(templates=3, aligned=4, window=21, condition=8, layers=2, width=8)
SIM = line_simulator()


@pytest.fixture(scope="module")
def model():
    return spectral_model(SIM.prior, WAVE, SIZES)


def test_encode_and_decode_are_inverse(model):
    theta = SIM.prior.sample(jr.key(1), (500,))
    k, free, _ = model.space.encode(theta, jnp.zeros(500, int))
    np.testing.assert_allclose(model.space.decode(k, free), theta, atol=2e-5)


CASES = {
    "a redshift": (line_simulator, SIZES),
    "a redshift, two sources": (TwoSources, SIZES),
    "no redshift": (linear_simulator, SIZES),
    "numbers": (vector_simulator, VectorArchitecture(hidden=8, blocks=1, layers=2, width=8)),
}


# to compile: `test_posteriors` has both kinds of posterior with two sources
LONG = ("a redshift", "no redshift", "a redshift, two sources")


@pytest.mark.parametrize("case", [
    pytest.param(c, marks=pytest.mark.slow) if c in LONG else c for c in CASES
])
def test_the_loss_is_minus_the_log_probability_of_the_truth(case):
    make, sizes = CASES[case]
    sim = make()
    model = model_for(jr.key(3), sim.priors, sim.sources, sim.frame, sizes)
    rows = jax.jit(lambda key: sim.simulate(key, 16))(jr.key(4))

    @eqx.filter_jit
    def all_of(model):
        both = model.loss_and_features(jr.key(5), rows)
        parts = model.log_prob(rows.theta, rows.source, *rows.data)
        share = jax.nn.softmax(model.embed(*rows.data).logits)
        return model.loss(jr.key(5), rows), both, parts, model.features(*rows.data), share

    loss, both, (discrete, inside), features, share = all_of(model)
    assert float(loss) == pytest.approx(-float((discrete + inside).mean()), rel=1e-5)
    assert float(both[0]) == pytest.approx(float(loss), rel=1e-5)
    # the same numbers, compiled apart
    np.testing.assert_allclose(both[1], features, rtol=1e-4, atol=1e-5)
    count = model.space.classes
    assert (discrete == 0).all() if count == 1 else (discrete < 0).all()
    if case == "a redshift, two sources":  # what posteriors work out elsewhere
        posterior = untrained(sim.priors, sim.sources, sim.frame, sizes, seed=3)
        obs, at = sim.frame.observed(*rows.data), np.asarray(rows.source)
        drawn = posterior.log_prob(np.asarray(rows.theta), obs, at)
        np.testing.assert_allclose(drawn, discrete + inside, rtol=1e-4, atol=1e-4)
    if model.space.redshift is None:
        return
    # what adaptation makes alike, besides: how sure the redshift is, and its entropy
    np.testing.assert_allclose(np.exp(features[:, -2]), share.max(1), rtol=1e-4)
    entropy = -(share * np.log(share)).sum(1)
    np.testing.assert_allclose(features[:, -1], entropy, rtol=1e-3)
    assert (features[:, -1] < np.log(count) + 1e-4).all()


def test_a_network_is_for_data_of_its_kind():
    args = jr.key(0), (SIM.prior,), ("a",)
    with pytest.raises(ValueError, match="a network for lines; got 'aligned', which is for pixels"):
        model_for(*args, LineSet(LINES), SIZES)
    with pytest.raises(ValueError, match="a network for pixels; got 'lines', which is for lines"):
        model_for(*args, SIM.frame, LineArchitecture())
    with pytest.raises(ValueError, match="a network among .*; got 'none'"):
        model_for(*args, SIM.frame, Architecture(network="none"))
    with pytest.raises(ValueError, match="a density among .*; got 'none'"):
        model_for(*args, SIM.frame, Architecture(density="none"))


def test_without_a_redshift_there_is_one_bin():
    prior = Prior({"strength": dist.Uniform(0.0, 1.0)})
    model = spectral_model(prior, np.linspace(4000, 8000, 128), SIZES)
    assert model.space.redshift is None and model.network.bins == model.space.classes == 1


def test_a_redshift_needs_a_logarithmic_grid_and_limits():
    with pytest.raises(ValueError, match="uniform in ln"):
        spectral_model(SIM.prior, np.linspace(4000, 8000, 128), SIZES)
    with pytest.raises(ValueError, match="bounded prior on z"):
        spectral_model(Prior({"z": dist.Normal(1.0, 0.1)}), WAVE, SIZES)
