"""What observations have more of than simulations: measured where it is known."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.adaptation.injection import (
    Injected,
    autocovariance,
    correlation_filter,
    excess_noise,
    smooth_variety,
)
from flowspec.sim.simulator import Simulated
from tests.problems import WAVE, line_simulator

RNG = np.random.default_rng


def one_source(theta, *data) -> Simulated:
    return Simulated(theta, jnp.zeros(len(theta), int), data)


def smooth(rng, shape, width):
    taps = np.exp(-0.5 * (np.arange(-12, 13) / width) ** 2)
    taps /= np.linalg.norm(taps)
    white = rng.standard_normal((shape[0], shape[1] + 24))
    return np.stack([np.convolve(row, taps, mode="valid") for row in white])


def test_excess_noise_is_what_was_added():
    rng = RNG(0)
    own, theirs = rng.standard_normal((1000, 300)), rng.standard_normal((1000, 300))
    theirs = theirs * np.sqrt(2)
    theirs[:, 50] *= 5
    found = excess_noise(own, theirs)
    # of 300 pixels the median is known to a hundredth; of one to 4 %
    assert np.median(found) == pytest.approx(1, abs=0.03)
    assert found[50] == pytest.approx(7, rel=0.12)
    assert (excess_noise(own, rng.standard_normal((1000, 300))) == 0).all()


def test_correlation_is_that_of_the_noise():
    """A Gaussian filter of width s gives the autocovariance exp(-lag^2 / 4 s^2)."""
    noise = smooth(RNG(1), (400, 500), 2.0)
    covariance = autocovariance(noise)
    lags = np.arange(len(covariance))
    np.testing.assert_allclose(covariance, np.exp(-(lags**2) / 16), atol=0.02)
    kernel = correlation_filter(covariance)
    own = np.correlate(kernel, kernel, "full")[len(kernel) - 1 :]
    np.testing.assert_allclose(own[:8], np.exp(-(lags[:8] ** 2) / 16), atol=0.03)
    none = correlation_filter(np.zeros(25))
    assert none.sum() == 1 and none.max() == 1


def test_smooth_factor_is_found_behind_another_variety():
    """Shapes vary by a tilt of 0.3 in both; the second have random waves of 0.1 rms more."""
    rng, x = RNG(2), (np.arange(24) + 0.5) / 24

    def shapes(rows, waves):
        factor = np.zeros((rows, 24))
        for k in (1, 2, 3):
            phase = 2 * np.pi * rng.uniform(size=(rows, 1))
            factor += waves * np.sqrt(2 / 3) * rng.standard_normal((rows, 1)) * np.cos(
                np.pi * k * x + phase
            )
        flux = np.exp(0.3 * rng.standard_normal((rows, 1)) * (2 * x - 1) + factor)
        return flux / flux.mean(1, keepdims=True)

    curves = smooth_variety(shapes(2000, 0.0), shapes(2000, 0.1), 500)
    assert np.sqrt((curves**2).sum(0)).mean() == pytest.approx(0.1, rel=0.3)
    # of waves of random phase, the same everywhere
    assert np.sqrt((curves**2).sum(0)).std() < 1e-6
    assert not smooth_variety(shapes(2000, 0.0), shapes(2000, 0.0), 500).any()


@pytest.mark.slow
def test_injected_simulations_have_the_noise_of_observations():
    sim = line_simulator()
    theta, flux, ivar = sim.draw(jr.key(0), 800)
    _, other, _ = sim.draw(jr.key(1), 800)
    extra = 0.8 * smooth(RNG(3), other.shape, 1.5)
    injected = Injected.measured(
        sim, (flux, ivar), (other + extra * np.asarray(ivar) ** -0.5, ivar)
    )
    assert float(jnp.median(injected.excess)) == pytest.approx(0.8, rel=0.1)
    injected = eqx.tree_at(lambda s: s.size, injected, jnp.float32(0))
    _, _, (noisy, same) = injected.perturbed(jr.key(4), one_source(theta, flux, ivar))
    assert (same == ivar).all()
    added = np.asarray((noisy - flux) * jnp.sqrt(ivar))
    assert added.std() == pytest.approx(0.8, rel=0.12)
    assert autocovariance(added)[2] / added.var() == pytest.approx(np.exp(-4 / 9), abs=0.1)


def test_no_data_stays_no_data():
    sim = line_simulator()
    theta, flux, ivar = sim.draw(jr.key(0), 64)
    one = jnp.ones(len(WAVE))
    injected = Injected(sim, one, jnp.ones(1), jnp.stack([one, one]), jnp.ones(()))
    holes = jnp.where(jnp.arange(len(WAVE)) < 20, 0.0, ivar)
    seen = one_source(theta, jnp.where(holes > 0, flux, 0), holes)
    noisy, _ = injected.perturbed(jr.key(1), seen).data
    assert (noisy[:, :20] == 0).all() and (noisy[:, 20:] != flux[:, 20:]).all()
