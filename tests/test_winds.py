"""Winds of young stars against what is published."""

import jax.numpy as jnp
import numpy as np
import pytest

from flowspec.sim.galaxy import stars, winds

LN_WAVE = np.linspace(np.log(1150), np.log(1650), 40001)
WAVE = np.exp(LN_WAVE)


def transmitted(log_z, youth=winds.STEADY, amplitude=(0.0, 0.0, 0.0), speed=winds.SPEED):
    tau = winds.opacity(jnp.asarray(LN_WAVE), log_z, youth, jnp.array(amplitude), speed)
    return np.exp(-np.asarray(tau, float))


def width(ratio, low, high):
    """Equivalent width in angstrom of what is taken between two wavelengths."""
    inside = (WAVE > low) & (WAVE < high)
    return ((1 - ratio) * np.gradient(WAVE))[inside].sum()


def test_the_trough_of_carbon_measures_metallicity():
    """C IV of 4 to 6 angstrom at solar, 2 to 3.5 at 0.4, 1 to 2 at 0.2 of it, below 1 at 0.05.

    Heckman et al. (1998, ApJ 503, 646) and Crowther et al. (2006) of local starbursts, Leitherer et
    al. (2010) of models; interstellar lines are not in it.
    """
    cases = ((0.0, 4.0, 6.0), (-0.4, 2.0, 3.5), (-0.7, 1.0, 2.0), (-1.3, 0.3, 1.0))
    for log_z, low, high in cases:
        assert low < width(transmitted(log_z), 1500, 1547) < high


@pytest.mark.parametrize(("edge", "low", "high"), [(1240.15, 1.1, 1.4), (1396.76, 1.03, 1.2),
                                                   (1549.06, 1.05, 1.25)])  # fmt: skip
def test_emission_of_composites_is_red_of_the_line(edge, low, high):
    """10 to 30 % over the continuum at a fifth of solar (Pettini et al. 2000; Steidel et al. 2016).

    VANDELS has 30 % at N V and 10 % at Si IV and C IV.
    """
    ratio = transmitted(-0.7)
    near = np.abs(np.log(WAVE / edge)) < 3000 / 299792.458
    assert low < ratio[near].max() < high and WAVE[near][ratio[near].argmax()] > edge
    assert WAVE[near][ratio[near].argmin()] < edge


def test_profiles_have_the_widths_of_their_table_and_no_light_goes_elsewhere():
    """In the limit of weak lines the transmitted light is one less the optical depth."""
    ratio = transmitted(0.0, youth=0.01 * winds.STEADY)
    for wave, trough, emission, *_ in winds.WINDS:
        got = width(ratio, wave - 30, wave + 30)
        np.testing.assert_allclose(got, 0.01 * (trough - emission), rtol=0.05, atol=2e-4)
    np.testing.assert_array_equal(transmitted(0.0, youth=0.0), 1.0)
    clear = (WAVE > 1290) & (WAVE < 1350)
    np.testing.assert_allclose(transmitted(0.3)[clear], 1.0, atol=1e-3)


def test_steady_star_formation_has_the_share_of_young_stars_that_strengths_are_for():
    table = stars.load_stars()
    at = np.searchsorted(table.wave, winds.CONTINUUM)
    for z in (list(table.log_z).index(0.0), list(table.log_z).index(-0.7)):
        light = (table.flux[z, :, at] * np.diff(table.age_edges))[:3]  # 100 Myr
        np.testing.assert_allclose(light[0] / light.sum(), winds.STEADY, atol=0.08)
