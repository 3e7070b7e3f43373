"""A prior learned from a catalogue, against the population that the catalogue was drawn from."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

import flowspec as fs
from flowspec.check.population import LEAST, learned_prior
from flowspec.data.line_grid import LineGrid

LINES = ("Hbeta", "[OIII]5007", "[NII]6584", "[SII]6717,6731")
ROWS = 120


def planes() -> LineGrid:
    """Planes of log10 flux in O/H and log U: what the interpolation has exactly."""
    axes = np.linspace(7.0, 9.0, 5), np.linspace(-4.0, -2.0, 5)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    slopes = np.array([[0, 0], [-1.0, 0.6], [0.8, -0.2], [0.5, -0.4]])
    return LineGrid(points, 10 ** ((points - points.mean(0)) @ slopes.T), ("oh", "log_u"), LINES,
                    1e-6, "made up")  # fmt: skip


@pytest.mark.slow
def test_a_population_is_found_again():
    sim = fs.NebulaSimulator(planes(), error=0.1)
    truth = sim.with_prior(oh=dist.TruncatedNormal(8.4, 0.15, low=7.0, high=9.0))
    theta, source, _ = truth.nebulae(jr.key(1), ROWS)
    ratio, err = jax.jit(jax.vmap(sim.ratios, (0, 0, None)))(theta, source, jnp.ones(()))
    ratio, rng = np.asarray(ratio), np.random.default_rng(1)
    flux = ratio + np.hypot(err, 0.05 * ratio) * rng.normal(size=ratio.shape)
    obs = fs.Lines(LINES, flux, 0.05 * ratio, dereddened=True)
    found = learned_prior(sim, obs, ("oh",), rounds=6, draws=6000)["oh"]
    # the error of one O/H is about 0.05: mean and width of ROWS are known to 0.16 / ROWS^1/2 and
    # 0.7 of that; four of these
    error = np.hypot(0.15, 0.05) / ROWS**0.5
    assert float(found.base_dist.loc) == pytest.approx(float(theta[:, 0].mean()), abs=4 * error)
    assert float(found.base_dist.scale) == pytest.approx(0.15, abs=4 * error)
    assert (float(found.low), float(found.high)) == (7.0, 9.0)


def test_a_prior_is_exchanged_and_nothing_else():
    sim = fs.NebulaSimulator(planes())
    other = sim.with_prior(oh=dist.TruncatedNormal(8.4, LEAST, low=7.0, high=9.0))
    theta = other.nebulae(jr.key(0), 2000)[0]
    assert float(theta[:, 0].std()) == pytest.approx(LEAST, rel=0.1)
    assert sim.priors[0].limits("oh") == (7.0, 9.0) and sim.names == other.names
    middle = jnp.array([8.0, -3.0, 0.5]), jnp.array(0), jnp.zeros(())
    for a, b in zip(sim.ratios(*middle), other.ratios(*middle), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="expected parameters among"):
        sim.with_prior(zz=dist.Uniform(0.0, 1.0))
