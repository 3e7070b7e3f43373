"""What a population believes of single galaxies, against published numbers and closed forms."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from astropy.cosmology import Planck18
from astropy.table import Table
from scipy.interpolate import RegularGridInterpolator
from scipy.special import ndtr

import flowspec as fs
from flowspec.prior import relations
from flowspec.prior.chain import CHAIN, FIRST, LATEST
from flowspec.prior.galaxies import Population, moons_prior
from flowspec.prior.mixture import MixedPrior, read_prior
from flowspec.prior.spread import Spread, of_type
from flowspec.sim.galaxy.nebula import load_nebula

# Curti et al. (2020), table 2: log10 of a line ratio as a polynomial in 12 + log O/H - 8.69, by
# electron temperatures of stacked galaxies
CURTI = {
    "R2": (0.435, -1.362, -5.655, -4.851, -0.478, 0.736),
    "R3": (-0.277, -3.549, -3.593, -0.981),
    "O32": (-0.691, -2.944, -1.308),
    "N2": (-0.489, 1.513, -2.554, -5.293, -2.867),
}


def galaxy(z, log_mstar, **values):
    """What a relation is given, with the star formation of the main sequence."""
    universe = float(Planck18.age(z).value)
    sfr = float(relations.main_sequence(log_mstar, universe))
    return {"z": z, "log_mstar": log_mstar, "universe": universe, "log_sfr": sfr} | values


@pytest.fixture(scope="module")
def ratios():
    """log10 line ratios of the nebular grid by log U and O/H, at its usual pressure."""
    table = load_nebula()
    axes = tuple(np.asarray(a, float) for a in (table.log_u, table.log_pk, table.oh))
    cube = RegularGridInterpolator(axes, np.asarray(table.log_flux, float))  # as the simulator

    def found(log_u, oh):
        flux = 10 ** cube(np.stack(np.broadcast_arrays(log_u, 5.8, oh), -1))
        of = {name: flux[..., np.argmin(abs(table.wave - wave))] for name, wave in {
            "oii": 3727.1, "oii2": 3729.9, "oiii": 5008.24, "hb": 4862.68, "ha": 6564.61,
            "nii": 6585.27}.items()}  # fmt: skip
        oii = of["oii"] + of["oii2"]
        linear = {"R2": oii / of["hb"], "R3": of["oiii"] / of["hb"], "O32": of["oiii"] / oii,
                  "N2": of["nii"] / of["ha"]}  # fmt: skip
        return {name: np.log10(value) for name, value in linear.items()}

    return found


def test_metallicities_over_two_suns_agree_over_one():
    """Carnall et al. (2022) fit one stack with two codes: -0.13 over 0.02 and 0.04 over 0.0142."""
    bagpipes, alf = (float(relations.over_solar(*x)) for x in ((-0.13, 0.02), (0.04, 0.0142)))
    np.testing.assert_allclose(bagpipes, np.log10(10**-0.13 * 0.02 / 0.0153), atol=1e-6)
    assert abs(bagpipes - alf) < 0.03 < abs(-0.13 - 0.04)
    quenched = CHAIN["log_zstar"](galaxy(1.2, 11.0, oh=8.8))[1]
    np.testing.assert_allclose(quenched.mean, bagpipes, atol=1e-6)


def test_young_stars_have_the_metallicity_of_their_spectra():
    """Z = 0.27 x 0.0142 at 10^10.23 M_sun and redshift 3.5 (Cullen et al. 2019, ultraviolet)."""
    p = galaxy(3.5, 10.23)
    p["oh"] = CHAIN["oh"](p)[0].mean
    measured = np.log10(0.27 * 0.0142 / 0.0153)
    np.testing.assert_allclose(CHAIN["log_zstar"](p)[0].mean, measured, atol=0.1)


DIRECT = np.arange(8.0, 8.81, 0.05)  # 12 + log O/H, where the calibrations hold


def misfit(ratios, log_u, oh):
    """rms in dex of the grid's lines from those of galaxies of `DIRECT`."""
    found = ratios(np.clip(np.asarray(log_u), -4, -2), np.asarray(oh))
    away = [found[n] - np.polyval(c[::-1], DIRECT - 8.69) for n, c in CURTI.items()]
    return np.sqrt(np.mean(np.square(away)))


def test_gas_has_the_lines_of_galaxies_of_its_abundance(ratios):
    """Nothing beside the constants fits the grid's lines to the direct scale better."""
    oh = relations.oxygen_of_grid(DIRECT)
    log_u = relations.ionisation_of_grid(oh)
    best = misfit(ratios, log_u, oh)
    assert best == pytest.approx(0.065, abs=0.003)
    for up, more in ((0, 0.1), (0, -0.1), (0.2, 0), (-0.2, 0), (0.2, 0.1), (-0.2, -0.1)):
        assert misfit(ratios, log_u + up, oh + more) > best + 0.01, (up, more)
    for steeper in (0.3, -0.3):
        assert misfit(ratios, log_u - steeper * (DIRECT - 8.5), oh) > best
    # the table of docs/physics.md: version 1, and it with 0.2 dex more of oxygen
    for more, expected in ((0.0, 0.16), (0.2, 0.57)):
        found = misfit(ratios, relations.ionisation(DIRECT + more), DIRECT + more)
        assert found == pytest.approx(expected, abs=0.01)


def test_offset_of_the_grid_is_that_of_galaxies_with_temperatures(ratios, data):
    """391 of DESI (Scholte et al. 2025): strong lines on the grid against direct abundances."""
    folder = data / "lines" / "direct_te"
    read = [Table.read(folder / f"scholte2025_desi{end}.fits") for end in ("_ratios", "")]
    log_u, oh = np.meshgrid(np.linspace(-4, -2, 81), np.arange(7.3, 9.2, 0.02), indexing="ij")
    grid = ratios(log_u, oh)
    seen = {n: np.asarray(read[0][f"log{n}_p50"], float) for n in ("R2", "R3")}
    # 0.05 dex: of what single models miss strong lines by
    chi2 = sum((grid[n][..., None] - x) ** 2 for n, x in seen.items()) / 0.05**2
    weight = np.exp(-0.5 * (chi2 - chi2.min((0, 1))))
    found = (weight * oh[..., None]).sum((0, 1)) / weight.sum((0, 1))
    offset = np.median(found - np.asarray(read[1]["OH_p50"], float))
    # 0.07 dex from one abundance to another, 0.2 dex from one galaxy to another
    assert abs(offset - relations.GRID_OVER_DIRECT) < 2 * relations.GRID_SCATTER


def test_starbursts_are_a_share_of_the_star_forming():
    """Mean rate and what starbursts add to it, in closed form and as published."""
    p = galaxy(2.0, 10.5)
    spread = CHAIN["log_sfr"](p)[0]
    keys = jr.split(jr.key(0), 40_000)
    rates = np.asarray(jax.vmap(lambda k: spread.sample(k, -5.0, 5.0))(keys), float)
    above = rates - p["log_sfr"]
    share, error = np.mean(above > 0.6), np.sqrt(0.044 / 40_000)
    expected = 0.967 * ndtr(-0.6 / 0.3) + 0.033 * ndtr(0.12 / 0.3)
    assert abs(share - expected) < 4 * error
    lognormal = np.exp(0.5 * (0.3 * np.log(10)) ** 2)
    mean = lognormal * (0.967 + 0.033 * 10**0.72)
    assert abs(np.mean(10**above) - mean) < 4 * np.std(10**above) / 200
    # 8 to 14 % of the star formation (Sargent et al. 2012), 10 % (Rodighiero et al. 2011), 15 %
    # (Schreiber et al. 2015)
    assert 0.08 < 0.033 * 10**0.72 / (0.967 + 0.033 * 10**0.72) < 0.16
    assert CHAIN["log_sfr"](p)[1].share == 0


@pytest.mark.parametrize("spread", [
    Spread(0.3, 0.3, 0.033, 0.72), Spread(-0.2, 0.3, 0.4, 1.5), Spread(1.9, 0.3, 0.033, 0.72),
    Spread(0.0, 0.4)])  # fmt: skip
@pytest.mark.parametrize("limits", [(-6.0, 6.0), (-0.5, 0.9)])
def test_a_spread_is_normalised_and_its_draws_follow_it(spread, limits):
    low, high = limits
    x = jnp.linspace(low, high, 4001)
    density = np.exp(np.asarray(jax.vmap(lambda v: spread.log_prob(v, low, high))(x), float))
    cumulative = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    cumulative *= (high - low) / 4000
    np.testing.assert_allclose(cumulative[-1], 1, atol=2e-4)
    keys = jr.split(jr.key(3), 20_000)
    draws = np.sort(np.asarray(jax.vmap(lambda k: spread.sample(k, low, high))(keys), float))
    assert draws[0] >= low and draws[-1] <= high
    steps = np.arange(1, 20_001) / 20_000
    distance = np.abs(np.interp(draws, x, cumulative) - steps).max()
    assert distance < 1.95 / 20_000**0.5  # 0.1 % of Kolmogorov's distribution


def test_no_quiescent_galaxy_is_expected_above_the_main_sequence():
    z, mass = np.meshgrid(np.linspace(0.05, 3.0, 9), np.linspace(5.0, 12.0, 15))
    universe = np.asarray(Planck18.age(z.ravel()).value).reshape(z.shape)
    p = {"z": z, "log_mstar": mass, "universe": universe}
    forming, quenched = CHAIN["log_sfr"](p)
    free = np.asarray(relations.quiescent_sfr(mass, z))
    assert (quenched.mean <= forming.mean).all()
    capped = np.asarray(quenched.mean) < free - 1e-6
    assert capped.any() and not capped[mass > 7.5].any()
    np.testing.assert_allclose(quenched.mean[~capped], free[~capped], rtol=1e-6)


def test_dispersions_are_those_of_the_type():
    """Published at a point; 130 km/s of star-forming galaxies in LEGA-C (Straatman et al. 2018)."""
    np.testing.assert_allclose(relations.rotating_dispersion(10.0), 1.89, atol=1e-6)
    np.testing.assert_allclose(10 ** relations.rotating_dispersion(10.65), 130, rtol=0.1)
    forming, quenched = CHAIN["dispersion"]({"log_mstar": np.linspace(9.5, 11.5, 9)})
    ratio = np.asarray(quenched.mean) - np.asarray(forming.mean)
    assert (ratio > 0).all() and ratio.max() < 0.2
    assert quenched.scatter < forming.scatter


@pytest.mark.parametrize("share", [0.0, 0.033])
def test_slopes_are_finite_without_and_with_starbursts(share):
    def density(value, mean):
        return Spread(mean, 0.3, share, 0.72).log_prob(value, -2.0, 2.0)

    for value in (-1.9, 0.0, 0.8, 1.9):
        slopes = jax.grad(density, argnums=(0, 1))(value, 0.1)
        assert np.isfinite(slopes).all()
        step = float(density(value + 1e-2, 0.1) - density(value - 1e-2, 0.1)) / 2e-2
        assert float(slopes[0]) == pytest.approx(step, rel=0.02, abs=0.02)


def test_of_type_takes_one_or_the_other():
    pair = Spread(1.0, 0.3, 0.1, 0.7), Spread(2.0, 0.4)
    assert [float(v) for v in of_type(True, *pair)] == pytest.approx([2.0, 0.4, 0.0, 0.0])
    assert [float(v) for v in of_type(False, *pair)] == pytest.approx([1.0, 0.3, 0.1, 0.7])


@pytest.mark.slow
def test_the_first_version_is_what_the_first_model_was_trained_on():
    """Densities by flowspec 0.1."""
    theta = jnp.array([
        [1.0, 10.0, 0.9, 0.3, -0.5, 1.0, -2.9, 8.5, 100.0],
        [2.0, 9.2, 0.6, 0.0, -0.9, 0.4, -2.6, 8.25, 55.0],
        [0.8, 11.2, -0.6, 0.5, -0.1, 0.2, -3.2, 8.8, 240.0],
    ])  # fmt: skip
    shipped = fs.load("moons@0.1").model.space.priors[0].population
    assert shipped.version == 1 and tuple(FIRST) == tuple(CHAIN)
    found = shipped.log_prob(theta)
    np.testing.assert_allclose(found, [-3.9698832, -3.7694025, -5.513214], atol=2e-4)
    assert np.abs(np.asarray(Population().log_prob(theta)) - found).max() > 0.1


def test_files_name_their_version_and_those_that_do_not_mean_the_first():
    latest = MixedPrior(moons_prior(), 0.5)
    assert latest.population.version == LATEST and read_prior(latest.config()) == latest
    old = read_prior({k: v for k, v in latest.config().items() if k != "population"})
    assert old.population.version == 1 and old != latest
    assert read_prior(old.config()) == old
    assert latest.replace(z=old.distributions["z"]).population.version == LATEST


def test_an_unknown_version_is_refused():
    with pytest.raises(ValueError, match="expected a population of version 1, 2; got 3"):
        Population(version=3)
