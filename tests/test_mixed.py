"""A prior that is partly the galaxies that are there."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.cli.arguments import parser
from flowspec.cli.fit import run
from flowspec.prior.galaxies import moons_prior
from flowspec.prior.mixture import MixedPrior, read_prior

SHARE = 0.4
FLAT = moons_prior()
PRIOR = MixedPrior(FLAT, SHARE)


@pytest.fixture(scope="module")
def drawn():
    return PRIOR.sample(jr.key(0), (8000,))


@pytest.mark.slow
def test_its_draws_are_of_its_density_and_no_weight_towards_a_part_is_large(drawn):
    """Under p, E[part / p] = 1 for both parts, and no ratio exceeds the inverse of its share."""
    density = PRIOR.log_prob(drawn)
    for part, share in ((PRIOR.population, SHARE), (FLAT, 1 - SHARE)):
        weight = np.exp(np.asarray(part.log_prob(drawn) - density, float))
        assert weight.max() <= 1 / share * (1 + 1e-4)
        assert weight.mean() == pytest.approx(1, abs=5 * weight.std() / 8000**0.5)
    real = PRIOR.population.sample(jr.key(2), 20000).theta[:, 1].mean()
    mass = np.asarray(drawn[:, 1], float)
    mean = SHARE * float(real) + (1 - SHARE) * 10.0
    assert mass.mean() == pytest.approx(mean, abs=5 * mass.std() / 8000**0.5)


@pytest.mark.slow
def test_what_is_gaussianised_comes_back_and_so_does_the_configuration(drawn):
    theta = drawn[:500]
    free, slope = PRIOR.to_unconstrained(theta)
    np.testing.assert_allclose(PRIOR.to_constrained(free), theta, rtol=1e-3, atol=2e-3)
    # logarithms of up to ten
    np.testing.assert_allclose(slope, FLAT.to_unconstrained(theta)[1], atol=1e-5)
    again = read_prior(PRIOR.config())
    assert again == PRIOR and hash(again) == hash(PRIOR) and again != FLAT
    assert read_prior(FLAT.config()) == FLAT
    assert (PRIOR.log_prob(theta.at[:, 0].set(5.0)) == -jnp.inf).all()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="share of the population between 0 and 1"):
        MixedPrior(FLAT, share)


def test_a_set_of_simulations_has_its_prior_already(tmp_path):
    (tmp_path / "sims.h5").write_bytes(b"")
    words = ["fit", "--simulations", str(tmp_path / "sims.h5"), "--varied", "-o", "model"]
    with pytest.raises(ValueError, match="only with --instrument"):
        run(parser().parse_args(words))
