"""Ingredients of quasars against formulas, other packages and published shares."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.quasar import continuum, iron, lines, reddening, troughs
from flowspec.sim.quasar.nuisance import layout_of, nuisances_of
from tests.quasars import draw_of


def test_lines_are_as_wide_as_their_parameter():
    """Two Gaussians together have the full width at half maximum of the one of that width."""
    x = np.linspace(0, 3, 30_001)
    parts = (1 - lines.WINGS, lines.CORE_WIDTH), (lines.WINGS, lines.WING_WIDTH)
    profile = sum(share / w * np.exp(-0.5 * (x / w) ** 2) for share, w in parts)
    half = x[np.abs(profile - profile[0] / 2).argmin()]
    assert 2 * half == pytest.approx(lines.FWHM, rel=1e-3)


@pytest.mark.parametrize(("slope", "red"), [(-0.44, 0.0), (0.3, 1.3)])
def test_the_continuum_is_a_broken_power_law(slope, red):
    draw = draw_of(continuum=(0.7, 1.0, red))
    edges = (500, 911.75, 1215.67, 5000, 9000)
    powers = (-1.70 + 0.61, slope + float(draw.far), slope, slope + float(draw.red))
    for (low, high), alpha in zip(zip(edges, edges[1:], strict=False), powers, strict=True):
        ends = jnp.log(jnp.array([low, high], float))
        f = continuum.power_law(ends, slope, draw.far, draw.euv, draw.red)
        # F_nu goes as F_lambda times the wavelength squared
        found = -jnp.log(f[1] / f[0] * (high / low) ** 2) / np.log(high / low)
        assert found == pytest.approx(alpha, abs=1e-4)
    assert -2.01 < float(draw.red) < 0 and -1.07 < float(draw.far) < 0
    middle = continuum.power_law(jnp.log(jnp.array([3000.0])), slope, 0, 0, 0)
    assert middle[0] == pytest.approx(1.0)


def test_the_balmer_continuum_is_that_of_its_gas():
    """Planck's law times the absorbed share (Grandi 1982), nothing red of the edge."""
    from astropy import units
    from astropy.modeling.physical_models import BlackBody

    wave = np.array([1500.0, 2000.0, 2500.0, 3000.0, 3600.0, 3650.0, 5000.0])
    body = BlackBody(15_000 * units.K, scale=1 * units.Unit("erg / (s cm2 AA sr)"))
    expected = body(wave * units.AA).value * -np.expm1(-((wave / 3646) ** 3)) * (wave < 3646)
    found = continuum.balmer_continuum(jnp.log(wave), 1e-6)
    np.testing.assert_allclose(found, expected / expected[3], rtol=2e-4)
    # blurred by the gas it is half as high at the edge, and the series takes over
    edge = continuum.balmer_continuum(jnp.log(jnp.array([3646.0])), 0.006)[0]
    just = continuum.balmer_continuum(jnp.log(jnp.array([3645.9])), 1e-7)[0]
    assert edge == pytest.approx(float(just) / 2, rel=1e-3)


def test_the_balmer_series_joins_its_continuum():
    """Rydberg's wavelengths, and as much light per angstrom as the continuum has at the edge."""
    wave, flux = continuum.balmer_series()
    np.testing.assert_allclose(wave[:3], [3890.17, 3836.49, 3799.0], rtol=2e-4)
    high = wave < 3690
    span = wave[high][0] + 0.5 * (wave[~high][-1] - wave[high][0]) - 3647.05
    just = continuum.balmer_continuum(jnp.log(jnp.array([3645.9])), 1e-7)[0]
    assert flux[high].sum() / span == pytest.approx(float(just), rel=0.02)


def test_dust_is_that_of_the_small_magellanic_cloud():
    averages = pytest.importorskip("dust_extinction.averages")
    model = averages.G03_SMCBar()
    x = np.linspace(0.5, 9.99, 300)
    expected = model.evaluate(x) * model.Rv
    # the spline through the same points has other conditions at its ends
    np.testing.assert_allclose(reddening.smc(1e4 / x), expected, rtol=0.01)
    passed = reddening.transmission(jnp.log(1e4 / x), jnp.asarray(reddening.table()), 0.2)
    np.testing.assert_allclose(passed, 10 ** (-0.08 * reddening.smc(1e4 / x)), rtol=1e-3)


def test_weak_carbon_is_shifted_further():
    """Mean of 810 km/s (Richards et al. 2011), and the correlation that was put in."""
    layout = layout_of(("lines", "shifts"), {})
    latent = jr.normal(jr.key(0), (4000, layout.size))
    draws = jax.vmap(lambda x: nuisances_of(x, layout, jnp.ones(1)))(latent)
    speed = np.asarray(draws.blueshift)
    # 4 standard errors of 4000 draws
    assert speed.mean() == pytest.approx(-810, abs=4 * 550 / 4000**0.5)
    carbon = np.asarray(draws.lines)[:, list(lines.FAMILIES).index("C IV")]
    assert np.corrcoef(carbon, speed)[0, 1] == pytest.approx(0.5, abs=4 / 4000**0.5)


def test_share_of_troughs_and_of_weak_lines():
    """Counted by the balnicity of Weymann et al. (1991) and by fading, in 4000 draws."""
    layout = layout_of(("troughs", "weak"), {})
    latent = jr.normal(jr.key(1), (4000, layout.size))
    velocity = np.arange(-25_000.0, -3_000.0, 200.0)

    def absorbed(x, wave):
        draw = nuisances_of(x, layout, jnp.ones(1))
        ln_rest = jnp.log(wave) + velocity / C_KMS
        return 1 - jnp.exp(-troughs.opacity(ln_rest, draw.trough)), draw.lines[5]

    def share(wave):
        depth, carbon = jax.vmap(lambda x: absorbed(x, wave))(latent)
        run = np.cumsum(np.asarray(depth) > 0.1, axis=1)
        wide = (run[:, 10:] - run[:, :-10] == 10).any(1)  # 2,000 km/s without a break
        return wide.mean(), (np.asarray(carbon) < -0.45).mean()

    for wave, expected in ((1549.06, 0.15), (2798.75, 0.15 * 0.07)):
        found, weak = share(wave)
        error = (expected * (1 - expected) / 4000) ** 0.5
        # blends of other lines never reach; ratios to C IV and edges cost a tenth of Mg II
        assert found == pytest.approx(expected, abs=4 * error + 0.1 * expected)
    assert weak == pytest.approx(0.013, abs=4 * (0.013 / 4000) ** 0.5)


def test_iron_is_what_its_table_says():
    """Areas of features and humps over the power law; most of the humps' light is ultraviolet."""
    wave, own, width, optical = iron.blends()
    assert (own < 0.07).all() and (optical == (wave > 3700)).all()
    feature = np.flatnonzero(wave == 2964.28)[0]
    assert width[feature] == pytest.approx(7.30 * iron.underlying(wave[[feature]])[0])
