"""Fibres on empty sky: what is left there is as in those of the SDSS, and nothing else is."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.sim.simulator import simulate_many
from flowspec.sim.sky import SkySimulator


@pytest.fixture(scope="module")
def sky() -> SkySimulator:
    return SkySimulator("sdss")


@pytest.fixture(scope="module")
def simulated(sky):
    """Signal-to-noise ratios of 1,024 spectra [rows, pixels]."""
    _, _, (flux, ivar) = simulate_many(sky, jr.key(0), 1024)
    return flux * np.sqrt(ivar)


def fifths(ratio, good) -> np.ndarray:
    """Size of the mean ratio per pixel in each fifth of the range [rows, 5]."""
    parts = [np.ma.masked_where(~g, r).mean(1) for r, g in
             zip(np.array_split(ratio, 5, axis=1), np.array_split(good, 5, axis=1), strict=True)]
    return np.abs(np.ma.stack(parts, axis=1)).compressed()


def test_what_is_left_is_as_much_as_in_fibres_of_the_sdss(data, simulated):
    """Observed are 0.10, 0.26 and 0.45 of the noise of a pixel; 765 fifths give them to 8 %."""
    files = sorted((data / "sky" / "sdss_sky_fibres").iterdir())
    obs = fs.read(list(map(str, files)))
    observed = fifths(obs.flux * np.sqrt(obs.ivar), obs.ivar > 0)
    levels = [np.percentile(x, (50, 84, 95)) for x in
              (observed, fifths(simulated, np.ones(simulated.shape, bool)))]
    np.testing.assert_allclose(levels[0], (0.10, 0.26, 0.45), atol=0.02)
    np.testing.assert_allclose(levels[1], levels[0], rtol=0.25)


def test_without_what_is_left_there_is_noise_of_the_stated_size(sky, simulated):
    """Of most pixels: residuals of the sky and blemishes have the rest."""
    assert 1.4826 * np.median(np.abs(simulated)) == pytest.approx(1, abs=0.04)
    assert abs(np.median(simulated)) < 0.01  # subtraction leaves as much below as above
    none = sky.spectrum_of(jnp.zeros(1), jnp.zeros(sky.layout.size))
    np.testing.assert_array_equal(none, 0.0)


def test_its_redshift_means_nothing(sky):
    assert sky.prior.unused == {"z"} and not sky.teachable
