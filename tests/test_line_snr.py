"""Signal-to-noise ratios of lines against closed forms, and against noise added by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.moons import moons
from flowspec.sim.survey.line_snr import (
    STRONG,
    line_fluxes,
    line_snr,
    mean_nuisances,
    strongest_line_snr,
)

WAVE = np.arange(9000.0, 9400.0, 0.25)
THETA = jnp.array([1.0, 10.2, 1.3, 0.2, -0.2, 0.6, -2.8, 8.5, 150.0])


@pytest.fixture(scope="module")
def sim() -> GalaxySimulator:
    return GalaxySimulator(moons(20), nuisances=())


def ratio(flux=3.0, centre=9200.0, sigma=5.0, ivar=4.0):
    """`line_snr` of one spectrum of even noise."""
    flux, centre, sigma = (np.atleast_2d(np.asarray(x, float)) for x in (flux, centre, sigma))
    return line_snr(flux, centre, sigma, WAVE, np.broadcast_to(ivar, (1, len(WAVE)))).item()


def test_one_line_in_even_noise():
    """The integral of a squared Gaussian is 1 / (2 sqrt(pi) sigma)."""
    want = 3 * np.sqrt(4 / 0.25 / (2 * np.sqrt(np.pi) * 5.0))
    assert ratio() == pytest.approx(want, rel=1e-4)  # pixels are a twentieth of sigma


def test_only_pixels_with_data_count():
    assert ratio(ivar=4.0 * (WAVE < 9200)) == pytest.approx(ratio() / np.sqrt(2), rel=0.02)
    assert ratio(ivar=0.0) == ratio(centre=9600.0) == ratio(centre=7000.0) == 0
    assert 0 < ratio(centre=9399.9) < ratio()


def test_a_doublet_adds_up_where_it_is_blended_and_in_quadrature_where_not():
    blended = ratio([3.0, 1.0], [9200.0, 9200.0], [5.0, 5.0])
    apart = ratio([3.0, 1.0], [9150.0, 9250.0], [5.0, 5.0])
    assert blended == pytest.approx(4 / 3 * ratio(), rel=1e-6)
    assert apart == pytest.approx(np.sqrt(10) / 3 * ratio(), rel=1e-4)


def test_a_line_narrower_than_a_pixel_is_that_pixel():
    """All of the flux in one pixel of 0.25 A: F / width over the noise."""
    assert ratio(centre=WAVE[800], sigma=0.01) == pytest.approx(3 / 0.25 * 2, rel=1e-6)


@pytest.mark.slow
def test_a_simulated_line_is_as_strong_and_as_uncertain(sim):
    """[O III] 5007 of the simulator's own spectrum, fitted in a thousand draws of its noise."""
    draw = sim.nuisances_of(jnp.zeros(0), THETA)
    number = (sim.nebula.names.index("OIII5007"),)
    spectrum = eqx.filter_jit(lambda s: s.spectrum(THETA, draw))
    chosen = jnp.zeros(len(sim.line_table)).at[number[0]].set(1.0)[:, None]
    only, none = (eqx.tree_at(lambda s: s.line_table, sim, sim.line_table * x) for x in (chosen, 0))
    near = np.abs(sim.wave / 5008.24 / 2 - 1) < 0.01
    line = np.asarray(spectrum(only) - spectrum(none))[near]
    ivar = np.asarray(sim.noise.ivar(spectrum(sim), 4.0, 0.3))[near]
    flux, dispersion = (np.asarray(a) for a in line_fluxes(sim, THETA[None], draw, number))
    width = np.gradient(sim.wave)[near]
    assert flux.item() == pytest.approx((line * width).sum(), rel=0.01)
    noise = np.random.default_rng(0).normal(size=(1000, near.sum())) / np.sqrt(ivar)
    fitted = ((line + noise) * line * ivar).sum(1) / (line**2 * ivar).sum()
    centre = np.full((1, 1), sim.nebula.wave[number[0]] * 2.0)
    lsf = np.interp(centre, sim.wave, moons(20).lsf)
    sigma = centre * np.hypot(dispersion[:, None], lsf) / 299792.458
    found = line_snr(flux, centre, sigma, sim.wave[near], ivar[None]).item()
    assert found > 5
    # a standard deviation of 1,000 draws is known to 2.2 %
    assert found == pytest.approx(fitted.mean() / fitted.std(), rel=0.07)


def test_the_strongest_line_is_the_strongest(sim):
    """Each line alone; next to none without star formation, none without data."""
    theta = np.asarray(THETA)[None].repeat(3, 0)
    theta[1, 2] = -4.0
    ivar, lsf = np.ones((3, len(sim.wave))), np.full(len(sim.wave), 80.0)
    ivar[2] = 0
    found = strongest_line_snr(sim, theta, sim.wave, lsf, ivar)
    assert found[0] > 1e4 * found[1] > 0 and found[2] == 0
    lines = [sim.nebula.names.index(n) for n in sum(STRONG, ())]
    flux, _ = line_fluxes(sim, jnp.asarray(theta), mean_nuisances(sim), tuple(lines))
    centre = 2 * sim.nebula.wave[lines]
    sigma = centre * np.hypot(150.0, 80.0) / 299792.458
    alone = {}
    for names in STRONG:
        own = [i for i, line in enumerate(lines) if sim.nebula.names[line] in names]
        parts = (np.asarray(flux)[:1, own], centre[None, own], sigma[None, own])
        alone[names] = line_snr(*parts, sim.wave, ivar[:1]).item()
    assert alone["Hbeta",] < 0.5 * alone["Halpha",]
    assert found[0] == pytest.approx(max(alone.values()), rel=1e-4)


def test_mean_nuisances_are_neutral_where_none_is_active(sim):
    one, mean = sim.nuisances_of(jnp.zeros(0), THETA), mean_nuisances(sim)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(mean), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)  # of one, or of nothing
