"""Attenuation and extinction curves against published values and another package."""

import jax.numpy as jnp
import numpy as np
import pytest

from flowspec.prior.relations import typical_tilt
from flowspec.sim.galaxy import dust


@pytest.mark.parametrize(
    ("wave", "k"), [(6562.8, 3.325), (4861.3, 4.598), (1500.0, 10.33), (22000.0, 0.369)]
)
def test_calzetti_matches_published_values(wave, k):
    # k(Ha), k(Hb): Dominguez et al. 2013; the others are the polynomials worked by hand
    got = dust.RV * dust.calzetti(jnp.array([wave]))[0]
    np.testing.assert_allclose(got, k, rtol=3e-3)


def test_curves_of_little_dust_are_steep():
    """Chevallard et al. (2013): that of an optical depth of one is Calzetti's, in the far
    ultraviolet; at a tenth of it A(1500)/A(V) is twice as large."""
    wave = jnp.array([1500.0])
    ratio = [float(dust.calzetti(wave)[0] * (wave[0] / 5500) ** typical_tilt(1.086 * tau))
             for tau in (1.0, 0.1)]  # fmt: skip
    assert ratio[0] == pytest.approx(float(dust.calzetti(wave)[0]), rel=1e-3)
    power = 2.8 / (1 + 3 * 0.1**0.5)
    assert ratio[1] == pytest.approx((5500 / 1500) ** (power - 0.7) * ratio[0], rel=1e-3)
    assert 1.8 < ratio[1] / ratio[0] < 3


def test_calzetti_is_one_at_v_and_continuous():
    wave = jnp.linspace(912, 11000, 20000)
    curve = dust.calzetti(wave)
    np.testing.assert_allclose(np.interp(5500, wave, curve), 1.0, atol=0.01)
    assert np.abs(np.diff(curve)).max() < 0.02 and (np.diff(curve) < 0.007).all()


def test_cardelli_matches_dust_extinction():
    models = pytest.importorskip("dust_extinction.parameter_averages")
    x = np.linspace(0.31, 9.99, 300)
    x = x[np.abs(x - 8) > 0.02]
    expected = models.CCM89(Rv=3.1).evaluate(x, 3.1)
    np.testing.assert_allclose(dust.cardelli(1e4 / x), expected, rtol=1e-6)


def test_transmission_tilts_about_v():
    wave = jnp.array([1500.0, 5500.0])
    flat, steep = (dust.transmission(wave, 1.0, s) for s in (0.0, -0.5))
    np.testing.assert_allclose(flat[1], steep[1], rtol=1e-6)
    np.testing.assert_allclose(flat[1], 10 ** (-0.4 * dust.calzetti(wave)[1]), rtol=1e-5)
    assert steep[0] < flat[0]


def test_nebular_colour_excess_follows_the_ratio():
    # E(B-V) of the lines from the Balmer decrement is that of the stars over the ratio
    wave = np.array([4862.7, 6564.6])
    curve = jnp.asarray(dust.cardelli(wave))
    av, ratio = 1.0, 0.44
    total = dust.nebular_excess(jnp.asarray(wave), curve, av, ratio, 0.0)
    total = total * dust.transmission(jnp.asarray(wave), av, 0.0)
    reddening = 2.5 * np.log10(total[1] / total[0]) / (3.1 * (curve[0] - curve[1]))
    np.testing.assert_allclose(reddening, av / dust.RV / ratio, rtol=1e-4)


# --- intergalactic and interstellar gas ------------------------------------------------------
