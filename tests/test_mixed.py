"""A prior that is partly the galaxies that are there, and simulations seen by others."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.cli.arguments import parser
from flowspec.cli.fit import run
from flowspec.data.spectra import Spectra
from flowspec.prior.galaxies import moons_prior
from flowspec.prior.mixture import MixedPrior, read_prior
from flowspec.sim.instrument.varied import COARSEST, LONGEST, coarsened, foreign

SHARE = 0.4
FLAT = moons_prior()
PRIOR = MixedPrior(FLAT, SHARE)


@pytest.fixture(scope="module")
def drawn():
    return PRIOR.sample(jr.key(0), (8000,))


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


def test_what_is_gaussianised_comes_back_and_so_does_the_configuration(drawn):
    theta = drawn[:500]
    free, slope = PRIOR.to_unconstrained(theta)
    np.testing.assert_allclose(PRIOR.to_constrained(free), theta, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(slope, FLAT.to_unconstrained(theta)[1])
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


@pytest.mark.parametrize("size", [2, 3, COARSEST])
def test_coarser_pixels_are_those_that_resampling_would_copy(size):
    rng = np.random.default_rng(size)
    flux, ivar = rng.normal(size=48).astype(np.float32), rng.uniform(0.5, 2, 48).astype(np.float32)
    ivar[20:29] = 0
    wide, weight = coarsened(*map(jnp.asarray, (flux, ivar, size, 0)))
    fine = 5000 + np.arange(48.0)
    coarse = Spectra(fine, flux[None], ivar[None]).resample(
        fine.reshape(-1, size).mean(1), weighted=True
    )
    np.testing.assert_allclose(np.asarray(weight)[::size], coarse.ivar[0], rtol=1e-5)
    good = coarse.ivar[0] > 0
    np.testing.assert_allclose(np.asarray(wide)[::size][good], coarse.flux[0][good], atol=1e-5)
    assert len(set(np.asarray(wide)[:size].tolist())) == 1


def test_its_noise_is_that_of_its_inverse_variance():
    """White noise of known variance: chi of every pixel is standard normal, whatever the pixels."""
    ivar = jnp.broadcast_to(jnp.linspace(0.2, 5, 300), (600, 300))
    flux = jr.normal(jr.key(5), ivar.shape) * ivar**-0.5
    seen, weight = jax.vmap(foreign)(jr.split(jr.key(6), 600), flux, ivar)
    chi = np.asarray(seen * jnp.sqrt(weight))[np.asarray(weight) > 0]
    # neighbours repeat, so up to COARSEST pixels are one
    assert chi.std() == pytest.approx(1, abs=5 * (COARSEST / 2 / len(chi)) ** 0.5)
    lost = (np.asarray(weight) == 0).mean(1)
    assert (np.asarray(seen)[np.asarray(weight) == 0] == 0).all()
    assert 0.15 < (lost > 0).mean() < 0.4  # two chances of 0.15, 600 spectra
    assert lost.max() <= 2 * LONGEST
