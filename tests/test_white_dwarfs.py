"""Simulated white dwarfs against Planck's law, closed forms, laboratory wavelengths, colours."""

import astropy.units as u
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.modeling.physical_models import BlackBody

import flowspec as fs
from flowspec.prior.stars import star_prior
from flowspec.sim.instrument.bands import band_magnitudes
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.star.white_dwarf import over_black_body
from flowspec.sim.tables.build_ssp import air_to_vacuum

NAMES = ("white_dwarf",)
MIDDLE = jnp.zeros(6)  # of hydrogen, everything as it is in the middle
HELIUM = MIDDLE.at[0].set(2.0)
# AB colours u - g and g - r of hydrogen atmospheres of log g 8 (Holberg & Bergeron 2006, AJ 132,
# 1221; from memory, to 0.05)
COLOURS = {8000: (0.42, 0.11), 12000: (0.38, -0.18), 20000: (0.0, -0.33), 30000: (-0.3, -0.43)}


def plain(lsf: float = 100.0, pixels: int = 3600) -> Instrument:
    wave = np.geomspace(3560.0, 9300.0, pixels)
    return Instrument("plain", wave, np.full(pixels, lsf), np.ones(pixels), (30.0, 100.0))


@pytest.fixture(scope="module")
def sim() -> fs.StarSimulator:
    return fs.StarSimulator(plain(), nuisances=NAMES)


FLUX = eqx.filter_jit(lambda sim, theta, latent: sim.spectrum_of(theta, latent))


def flux_of(sim, teff, latent=MIDDLE, **changed) -> np.ndarray:
    p = {"z": 0.0, "log_teff": np.log10(teff), "logg": 4.9, "feh": 0.0, "av": 0.0, "mag": 17.0}
    theta = jnp.array([(p | changed)[name] for name in sim.prior.names])
    return np.asarray(FLUX(sim, theta, latent), float)


def over_planck(sim, teff, latent=MIDDLE):
    """A spectrum over Planck's law, 1 at 9000 angstrom."""
    law = BlackBody(teff * u.K, scale=1.0 * u.Unit("erg / (s cm2 AA sr)"))(sim.wave * u.AA).value
    ratio = flux_of(sim, teff, latent) / law
    return ratio / ratio[np.abs(sim.wave - 9000) < 50].mean()


def missing(sim, ratio, line, half):
    """Equivalent width in angstrom of a line in air under a chord over `half` on both sides."""
    centre = float(air_to_vacuum(np.array(line)))
    fine = centre + np.arange(-half, half + 0.1, 0.25)
    seen = np.interp(fine, sim.wave, ratio)
    return 0.25 * (1 - seen / np.linspace(seen[0], seen[-1], len(seen))).sum()


@pytest.mark.parametrize("teff", [5500, 9000])
def test_without_lines_it_is_a_black_body(sim, teff):
    # helium is invisible there; pixels hold means, in single precision
    np.testing.assert_allclose(over_planck(sim, teff, HELIUM), 1, atol=1e-3)


@pytest.mark.parametrize(("lsf", "pixels"), [(70.0, 3600), (150.0, 3600), (400.0, 1200)])
def test_h_alpha_has_the_equivalent_width_put_in(lsf, pixels):
    sim = fs.StarSimulator(plain(lsf, pixels), nuisances=NAMES)
    # 43 A and 0.574 deep: a Lorentzian's area within 300 A, less that under the chord
    depth = 0.65 * (1 - np.exp(-43 / 20))
    half = 43 / (np.pi * depth)
    expected = 43 * 2 / np.pi * np.arctan(300 / half) - 600 * depth / (1 + (300 / half) ** 2)
    found = missing(sim, over_planck(sim, 12000), 6562.8, 300.0)
    assert found == pytest.approx(expected, rel=0.015)  # curvature of the continuum: 0.2 A


def test_pixels_see_a_line_as_an_exact_convolution():
    """A Lorentzian of the width of a Voigt profile, for the profile itself."""
    narrow, wide = (fs.StarSimulator(plain(s), nuisances=NAMES) for s in (30.0, 200.0))
    step = C_KMS * np.log(9300 / 3560) / 3599
    offsets = step * np.arange(-40, 41)
    kernel = np.exp(-0.5 * offsets**2 / (200.0**2 - 30.0**2))
    for teff in (6000, 12000):
        expected = np.convolve(flux_of(narrow, teff), kernel / kernel.sum(), "same")
        # where lines are a fifth to a half deep
        np.testing.assert_allclose((flux_of(wide, teff) / expected)[60:-60], 1, atol=0.02)


def test_balmer_lines_are_strongest_hotter_and_broader_than_in_stars(sim):
    teffs = np.array([5000, 6000, 7000, 8000, 9500, 11000, 12000, 13000, 14000, 17000, 25000, 3e4])
    found = np.array([missing(sim, over_planck(sim, t), 4861.3, 100.0) for t in teffs])
    # near 13,000 K at log g 8, where stars have it at 9,000 (Tremblay & Bergeron 2009; memory)
    assert 12000 <= teffs[found.argmax()] <= 14000
    assert (np.diff(found[: found.argmax() + 1]) > 0).all()
    assert found[0] < 1 and 30 < found.max() < 55 and found[-1] < 0.65 * found.max()
    star = flux_of(sim, 9500, logg=4.1)
    at, beside = (np.argmin(np.abs(sim.wave - w)) for w in (4862.7 + 25, 4862.7 + 90))
    white = flux_of(sim, 12000)
    assert white[at] / white[beside] < star[at] / star[beside] - 0.15


@pytest.mark.parametrize(
    ("teff", "latent", "waves"),
    [(9000, MIDDLE, (6562.79, 4861.35, 4340.47, 4101.73)),
     (20000, HELIUM, (4026.19, 4471.48, 4921.93, 5875.62, 6678.15, 7065.19)),
     (7000, HELIUM.at[5].set(2.5), (4226.73,))],
)  # fmt: skip
def test_lines_are_at_laboratory_wavelengths_in_vacuum(sim, teff, latent, waves):
    """Those of the NIST in air, brought to vacuum."""
    for z in (0.0, 0.0015):
        flux = flux_of(sim, teff, latent, z=z)
        for wave in air_to_vacuum(np.array(waves)) * (1 + z):
            near = np.abs(sim.wave - wave) < 12
            x, y = sim.wave[near] - wave, flux[near]
            # the slope of the continuum moves the vertex of the parabola
            slope = (flux[sim.wave > wave + 90][0] - flux[sim.wave < wave - 90][-1]) / 180
            a, b, _ = np.polyfit(x, y - slope * x, 2)
            assert -b / (2 * a) == pytest.approx(0, abs=1.2), wave


@pytest.mark.parametrize("teff", COLOURS)
def test_hydrogen_has_published_colours(teff):
    wave = np.arange(2900.0, 7500.0, 1.0)
    law = BlackBody(teff * u.K, scale=1.0 * u.Unit("erg / (s cm2 AA sr)"))(wave * u.AA).value
    flux = law * np.asarray(over_black_body(jnp.asarray(wave), np.log10(teff), MIDDLE))
    flux = (flux / flux.mean())[None]
    mags = [band_magnitudes(wave, flux, np.ones_like(flux), f"sdss_{b}")[0][0] for b in "ugr"]
    print(teff, -np.diff(mags))
    np.testing.assert_allclose(-np.diff(mags), COLOURS[teff], atol=0.12)


def test_the_magnitude_is_as_seen(sim):
    for latent in (MIDDLE, HELIUM):
        flux = flux_of(sim, 13000, latent, mag=19.3, av=1.5, z=0.0015)[None]
        found, _ = band_magnitudes(sim.wave, flux, np.ones_like(flux), "sdss_r")
        # pixels of 2 A in place of steps of 10
        assert found[0] == pytest.approx(19.3, abs=2e-3)


def test_they_are_those_of_high_gravity_and_only_if_asked_for(sim):
    without = fs.StarSimulator(plain(), nuisances=())
    for teff, logg in ((9000, 4.7), (3900, 4.9), (3100, 5.0), (25000, 3.0)):
        np.testing.assert_array_equal(
            flux_of(sim, teff, logg=logg), flux_of(without, teff, jnp.zeros(0), logg=logg)
        )
    assert not np.allclose(flux_of(sim, 9000), flux_of(without, 9000, jnp.zeros(0)), rtol=0.05)
    assert "white_dwarf" not in fs.StarSimulator("sdss").nuisances
    # gravity from 4.75 to 5 of 0.5 to 5, temperatures above 3.6 of 3.48 to 4.48
    theta = np.asarray(star_prior().sample(jr.key(0), (20000,)))
    names = star_prior().names
    white = (theta[:, names.index("logg")] > 4.75) & (theta[:, names.index("log_teff")] > 3.6)
    assert white.mean() == pytest.approx(0.25 / 4.5 * 0.88, abs=0.006)  # 4 standard errors


def test_where_all_are_white_dwarfs_lines_are_broad_or_absent():
    prior = star_prior().replace(logg=dist.Uniform(4.8, 5.0), log_teff=dist.Uniform(4.0, 4.3))
    sim = fs.StarSimulator(plain(150.0, 1800), prior=prior, nuisances=NAMES)
    keys = jr.split(jr.key(1), 300)
    theta = prior.sample(jr.key(2), (300,)).at[:, prior.names.index("z")].set(0.0)
    flux = np.asarray(eqx.filter_jit(jax.vmap(lambda k, t: sim.flux(k, t)))(keys, theta))
    assert np.isfinite(flux).all() and (flux > 0).all()
    centre, wing, beside = (flux[:, np.argmin(np.abs(sim.wave - w))]
                            for w in (4862.7, 4862.7 + 12, 4862.7 + 100))  # fmt: skip
    depth, still = 1 - centre / beside, 1 - wing / beside
    hydrogen = depth > 0.2
    assert hydrogen.mean() == pytest.approx(0.78, abs=0.1)  # 4 standard errors
    # more than half as deep 740 km/s off, where lines of stars are over but for their wings
    assert (still[hydrogen] > 0.4 * depth[hydrogen]).all()


def test_derivatives_are_those_of_differences(sim):
    theta = jnp.array([1e-4, 4.13, 4.9, 0.0, 0.3, 17.0])
    latent = jnp.array([0.1, 0.2, -0.3, 0.4, 0.1, 0.0])
    both = jax.jit(jax.jacfwd(sim.spectrum_of, (0, 1)))
    found = jnp.concatenate(both(theta, latent), 1)
    assert jnp.isfinite(found).all()
    # z, temperature, dust and magnitude; strength, depth, decrement and jump of hydrogen
    for i in (0, 1, 4, 5, 7, 8, 9, 10):
        step = {0: 1e-4, 1: 2e-3}.get(i, 0.02)
        ends = [FLUX(sim, *jnp.split(jnp.append(theta, latent).at[i].add(d), [6]))
                for d in (step, -step)]  # fmt: skip
        expected = (ends[0] - ends[1]) / (2 * step)
        # single precision of the flux over the step, and nodes of the widths with temperature
        error = jnp.abs(found[:, i] - expected).max()
        assert error < 0.02 * jnp.abs(expected).max(), i
