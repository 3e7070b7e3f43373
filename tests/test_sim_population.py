"""The survey population: against the published relations written out anew, and against itself."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.cosmology import Planck18

from flowspec.prior import relations
from flowspec.prior.galaxies import Population, moons_prior
from flowspec.prior.prior import Prior
from flowspec.sim.galaxy import dust
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.photometry import H_BAND, ab_magnitude, h_band, h_magnitudes, top_hat
from flowspec.sim.instrument.shipped import INSTRUMENTS

PRIOR = moons_prior()
# Davidzon et al. (2017), tables 1 (all galaxies) and 2, typed a second time: z, log M*, alpha_1,
# phi_1, alpha_2, phi_2 in 10^-3 Mpc^-3
ALL = [
    (0.95, 10.56, -1.31, 1.428, 0.51, 2.19),
    (1.30, 10.62, -1.28, 1.069, 0.29, 1.21),
    (1.75, 10.51, -1.28, 0.969, 0.82, 0.64),
    (2.25, 10.60, -1.57, 0.295, 0.07, 0.45),
    (2.75, 10.59, -1.67, 0.228, -0.08, 0.21),
]
FORMING = [(0.95, 10.35, -1.29, 1.739, 0.81, 0.95), (1.75, 10.40, -1.24, 1.156, 0.90, 0.46)]
QUENCHED = [(0.95, 10.75, -0.07, 1.724, 0.0, 0.0), (1.75, 10.54, 0.93, 0.251, 0.0, 0.0)]


def schechter(mass, knee, slope1, phi1, slope2, phi2):
    """Galaxies per Mpc^3 and dex."""
    x = 10.0 ** (mass - knee)
    both = phi1 * x ** (slope1 + 1) + phi2 * x ** (slope2 + 1)
    return np.log(10) * 1e-3 * np.exp(-x) * both


def column(theta, name, prior=PRIOR):
    return np.asarray(theta, float)[:, prior.names.index(name)]


@pytest.fixture(scope="module")
def population():
    return Population()


@pytest.fixture(scope="module")
def galaxies(population):
    return population.sample(jr.key(0), 100_000)


def weighted(population, prior, n, key):
    """Draws from a prior and their weights to the population."""
    theta = prior.sample(key, (n,))
    ratio = population.log_prob(theta) - prior.log_prob(theta)
    return np.asarray(theta, float), np.exp(np.asarray(ratio, float))


@pytest.fixture(scope="module")
def flat(population):
    return weighted(population, PRIOR, 400_000, jr.key(1))


@pytest.fixture(scope="module")
def shaped(population):
    """The same limits, but denser where the galaxies are: another prior a network could have."""

    def bump(name, mean, width):
        support = PRIOR.distributions[name].support
        low, high = support.lower_bound, support.upper_bound
        return dist.TruncatedNormal(mean, width, low=low, high=high)

    prior = PRIOR.replace(
        log_mstar=bump("log_mstar", 8.0, 1.2),
        log_sfr=bump("log_sfr", -8.7, 1.0),
        log_zstar=bump("log_zstar", -0.6, 0.35),
        log_age=bump("log_age", 0.1, 0.4),
        av=bump("av", 0.3, 0.7),
        oh=bump("oh", 8.45, 0.25),
        log_u=bump("log_u", -2.5, 0.4),
    )
    return weighted(population, prior, 400_000, jr.key(2))


@pytest.mark.parametrize(
    ("table", "published"),
    [(relations.STAR_FORMING, FORMING), (relations.QUIESCENT, QUENCHED)],
)
def test_mass_functions_are_the_published_ones(table, published):
    mass = np.linspace(8.5, 11.5, 13)
    for z, *parameters in published:
        got = np.exp(relations.ln_mass_function(mass, np.full(13, z), table))
        np.testing.assert_allclose(got, schechter(mass, *parameters), rtol=1e-4)


def test_the_two_types_add_up_to_all_galaxies():
    """The paper fits the three apart: they agree to 0.1 dex where most galaxies are."""
    mass = np.linspace(9.0, 11.0, 9)
    for z, *parameters in ALL:
        tables = (relations.STAR_FORMING, relations.QUIESCENT)
        parts = [np.exp(relations.ln_mass_function(mass, np.full(9, z), t)) for t in tables]
        np.testing.assert_allclose(np.log10(sum(parts) / schechter(mass, *parameters)), 0, atol=0.1)


@pytest.mark.parametrize("mass", [10.0, 10.5, 11.0])
@pytest.mark.parametrize("case", [0, 1])
def test_quenched_fraction_follows_from_the_mass_functions(case, mass, galaxies):
    z = QUENCHED[case][0]
    quenched, forming = (schechter(mass, *t[case][1:]) for t in (QUENCHED, FORMING))
    expected = quenched / (quenched + forming)
    np.testing.assert_allclose(relations.quenched_fraction(mass, z), expected, rtol=1e-4)
    near = abs(column(galaxies.theta, "z") - z) < 0.15
    near &= abs(column(galaxies.theta, "log_mstar") - mass) < 0.1
    share, error = np.mean(galaxies.quiescent[near]), np.sqrt(expected / near.sum())
    assert abs(share - expected) < 4 * error + 0.03  # 0.03: the fraction varies across the window


@pytest.mark.parametrize(("z", "mass"), [(1.0, 10.0), (2.0, 11.0)])
def test_main_sequence(z, mass, galaxies):
    """Popesso et al. (2023), equation 15, written out: a0 + a1 t - log(1 + 10^(a2 + a3 t) / M)."""
    age = Planck18.age(z).value
    written = 2.71 - 0.186 * age - np.log10(1 + 10 ** (10.86 - 0.0729 * age) / 10**mass)
    np.testing.assert_allclose(relations.main_sequence(mass, age), written, rtol=1e-5)
    near = (abs(column(galaxies.theta, "z") - z) < 0.1) & ~np.asarray(galaxies.quiescent)
    near &= abs(column(galaxies.theta, "log_mstar") - mass) < 0.15
    away = column(galaxies.theta, "log_sfr")[near] - written
    # 3.3 % of starbursts, 0.72 dex up: by the mixture's own quantile the median is 0.013 dex higher
    assert abs(np.median(away) - 0.013) < 4 * 0.38 / np.sqrt(near.sum())  # 1.25 sigma: a median
    variance = 0.3**2 + 0.033 * 0.967 * 0.72**2
    assert abs(away.std() - variance**0.5) < 4 * 0.33 / np.sqrt(2 * near.sum()) + 0.02


def test_other_relations_at_a_point():
    np.testing.assert_allclose(relations.attenuation(10.0), 2.293 / 2.46, rtol=1e-5)
    av = relations.tilted_attenuation(9.5)  # whose light at 1600 A the simulator dims by A(1600)
    passed = dust.transmission(jnp.array([1600.0]), av, relations.typical_tilt(av))
    far = np.polyval([0.209, 0.256, 1.160, 2.293], -0.5)
    np.testing.assert_allclose(-2.5 * np.log10(passed), far, rtol=5e-3)
    np.testing.assert_allclose(relations.dispersion(10.26), 2.073, rtol=1e-5)
    # at the turnover mass of the fundamental metallicity relation: Z0 - gamma / beta log 2
    oh = relations.oxygen(10.11 + 0.56, 1.0)
    np.testing.assert_allclose(oh, 8.779 - 0.31 / 2.1 * np.log10(2), rtol=1e-5)
    z = 0.012 / 0.0142  # the abundance at which q is 2.8e7 cm/s
    log_u = relations.ionisation(8.69 + np.log10(z))
    np.testing.assert_allclose(log_u, np.log10(2.8e7 / 2.99792458e10), atol=1e-4)
    # a quiescent galaxy of 10^11 M_sun for a Salpeter IMF at z = 1
    rate = relations.quiescent_sfr(11 - 0.24, 1.0)
    np.testing.assert_allclose(rate, np.log10(2) - 0.6 - 0.24, atol=1e-5)


def test_sizes_are_those_of_the_redshift_bins():
    """log10 of the size at 5e10 M_sun in each bin, van der Wel et al. (2014), table 1: fits to
    bins, which the power laws of the redshift join to 0.05 dex."""
    z, pivot = 0.25 + 0.5 * np.arange(6), np.full(6, np.log10(5e10))
    late, early = relations.late_type_radius(pivot, z), relations.early_type_radius(pivot, z)
    np.testing.assert_allclose(late, [0.86, 0.78, 0.70, 0.65, 0.55, 0.51], atol=0.05)
    np.testing.assert_allclose(early, [0.60, 0.42, 0.22, 0.09, -0.05, -0.06], atol=0.05)


def test_number_per_square_degree(population):
    """Volume times mass functions, by another quadrature and astropy's volumes."""
    z, mass = np.linspace(0.6, 3.0, 101), np.linspace(8.0, 12.0, 161)
    shells = Planck18.differential_comoving_volume(z).to_value("Mpc3 / deg2")
    grid = [g.ravel() for g in np.meshgrid(z, mass, indexing="ij")]
    tables = (relations.STAR_FORMING, relations.QUIESCENT)
    phi = sum(np.exp(relations.ln_mass_function(grid[1], grid[0], t)) for t in tables)
    columns = np.trapezoid(np.asarray(phi).reshape(len(z), -1), mass, axis=1)
    expected = np.trapezoid(columns * shells, z)
    np.testing.assert_allclose(population.per_deg2, expected, rtol=2e-3)


def test_masses_of_the_draws_follow_the_mass_function(galaxies):
    z, mass = column(galaxies.theta, "z"), column(galaxies.theta, "log_mstar")
    near = (abs(z - 1.75) < 0.02) & ~np.asarray(galaxies.quiescent)
    edges = np.array([8.0, 8.5, 9.0, 9.5, 10.0, 10.5, 12.0])
    fine = np.linspace(8.0, 12.0, 4001)
    phi = schechter(fine, *FORMING[1][1:])
    ends = zip(edges[:-1], edges[1:], strict=True)
    inside = [phi[(fine >= a) & (fine < b)].sum() / phi.sum() for a, b in ends]
    counts = np.histogram(mass[near], edges)[0]
    expected = near.sum() * np.array(inside)
    assert ((counts - expected) ** 2 / expected).sum() < 20.5  # 0.1 % of chi2 with 5 degrees


@pytest.mark.slow
def test_density_integrates_to_one(flat, shaped):
    for name, (_, weights) in {"flat": flat, "shaped": shaped}.items():
        error = weights.std() / np.sqrt(len(weights))
        effective = weights.sum() ** 2 / (weights**2).sum()
        print(f"{name}: mean weight {weights.mean():.3f} +- {error:.3f}, ESS {effective:.0f}")
        assert abs(weights.mean() - 1) < 4 * error and effective > 30
    assert shaped[1].std() / np.sqrt(len(shaped[1])) < 0.04  # or the test would say nothing


@pytest.mark.slow
def test_weights_bring_a_prior_to_the_population(flat, shaped, galaxies, population):
    """Means and spreads, correlations, and a selection, to four standard errors."""

    def facts(theta):
        z, mass, sfr, _, zstar, av, log_u, oh, sigma = theta.T
        centred = (mass - 9.0) * (oh - 8.4)
        squares = [(oh - 8.4) ** 2, (sfr - mass + 9) ** 2, centred, (mass - 9) * av]
        return np.stack([*theta.T, *squares, oh * log_u, np.log(sigma), (mass > 9.5) * z], 1)

    direct = facts(np.asarray(galaxies.theta, float))
    for theta, weights in (flat, shaped):
        values, weights = facts(theta), weights / weights.sum()
        mean = weights @ values
        error = np.sqrt(weights**2 @ (values - mean) ** 2 + direct.var(0) / len(direct))
        pull = (mean - direct.mean(0)) / error
        assert np.abs(pull).max() < 4.5, pull  # 16 facts twice: 1 in 5,000 by chance
    share = np.mean(population.quiescent_prob(galaxies.theta))
    assert abs(share - np.mean(galaxies.quiescent)) < 0.003  # four standard errors of 100,000


@pytest.mark.slow
def test_draws_stay_inside_the_prior_and_nothing_is_outside(population, galaxies):
    assert np.isfinite(PRIOR.log_prob(galaxies.theta)).all()
    assert np.isfinite(population.log_prob(galaxies.theta[:1000])).all()
    for name, value in {"z": 0.5, "log_mstar": 12.1, "log_sfr": 5.0, "dispersion": -3.0}.items():
        theta = galaxies.theta[0].at[PRIOR.names.index(name)].set(value)
        assert population.log_prob(theta) == -jnp.inf


def test_types_and_sizes_are_those_of_galaxies(galaxies):
    z, mass = column(galaxies.theta, "z"), column(galaxies.theta, "log_mstar")
    near = (abs(z - 1.25) < 0.1) & (abs(mass - 10.7) < 0.1)
    arcsec = Planck18.arcsec_per_kpc_proper(1.25).value
    for quiescent, kpc in ((False, 8.9 * 2.25**-0.75), (True, 5.6 * 2.25**-1.48)):
        chosen = near & (np.asarray(galaxies.quiescent) == quiescent)
        sizes = np.log10(np.asarray(galaxies.radius)[chosen])
        assert abs(np.median(sizes) - np.log10(kpc * arcsec)) < 5 * 0.2 / np.sqrt(chosen.sum())
    ssfr = column(galaxies.theta, "log_sfr") - mass
    massive = mass > 10.5
    assert ssfr[massive & np.asarray(galaxies.quiescent)].max() < -9.0
    assert np.median(ssfr[massive & ~np.asarray(galaxies.quiescent)]) > -9.5


@pytest.mark.parametrize(
    "prior",
    [
        Prior({"z": dist.Uniform(0.6, 3.0)}),
        PRIOR.replace(log_mstar=dist.Normal(10.0, 1.0)),
    ],
)
def test_priors_without_limits_are_refused(prior):
    with pytest.raises(ValueError, match="expected"):
        Population(prior)


@pytest.mark.slow
def test_a_prior_without_limits_in_the_other_parameters_will_do():
    prior = PRIOR.replace(log_sfr=dist.Normal(-9.0, 0.8), av=dist.HalfNormal(1.0))
    population = Population(prior)
    theta = population.sample(jr.key(0), 500).theta
    assert np.isfinite(population.log_prob(theta)).all()


@pytest.mark.parametrize("pixels", [300, 3000])
@pytest.mark.parametrize("magnitude", [22.0, 25.5])
def test_a_source_of_constant_f_nu_has_its_magnitude(magnitude, pixels):
    """AB magnitudes by definition: F_nu = 10^(-0.4 (m + 48.60)) erg/s/cm2/Hz, in any band."""
    wave = np.linspace(14500, 18000, pixels)
    f_nu = 10 ** (-0.4 * (magnitude + 48.60))
    flux = jnp.asarray(f_nu * 2.99792458e18 / wave**2 / 1e-17, jnp.float32)
    for band in (top_hat(wave), np.exp(-0.5 * ((wave - 16300) / 800) ** 2)):
        np.testing.assert_allclose(ab_magnitude(flux, wave, band), magnitude, atol=1e-5)


def test_constant_f_lambda_in_closed_form():
    """The mean F_nu is F_lambda times the pivot wavelength squared over c, exactly."""
    low, high = H_BAND
    pivot2 = 0.5 * (high**2 - low**2) / np.log(high / low)
    expected = -2.5 * np.log10(3e-17 * pivot2 / 2.99792458e18) - 48.60
    wave = np.geomspace(14500, 18000, 256)
    flux = jnp.full((2, 256), 3.0)
    np.testing.assert_allclose(ab_magnitude(flux, wave, top_hat(wave)), expected, atol=1e-4)


def test_a_band_beyond_the_pixels_is_refused():
    with pytest.raises(ValueError, match="expected pixels"):
        top_hat(np.linspace(15000, 18000, 100))


@pytest.mark.slow
def test_h_magnitudes_of_known_galaxies():
    """A star-forming galaxy of 10^10.5 at z = 1.5 is of H = 22.2 or so, ten times less mass 2.5
    magnitudes and more fainter, and the coarse pixels say what fine ones say."""
    theta = jnp.array([
        [1.5, 10.5, 1.55, 0.1, -0.4, 1.2, -3.0, 8.6, 140.0],
        [1.5, 9.5, 0.75, 0.1, -0.6, 0.4, -2.8, 8.4, 60.0],
        [1.5, 9.5, 0.55, 0.1, -0.4, 1.2, -3.0, 8.6, 140.0],
    ])  # fmt: skip
    sim = GalaxySimulator(h_band(), prior=PRIOR, nuisances=())
    bright, blue, scaled = np.asarray(h_magnitudes(sim, theta))
    assert 21.7 < bright < 22.7 and 23.0 < blue < scaled
    np.testing.assert_allclose(scaled - bright, 2.5, atol=1e-3)
    fine = eqx.tree_at(
        lambda i: (i.wave, i.lsf, i.noise),
        h_band(),
        (np.geomspace(14600, 18100, 512), np.full(512, 150.0), np.ones(512)),
    )
    other = h_magnitudes(GalaxySimulator(fine, prior=PRIOR, nuisances=()), theta)
    np.testing.assert_allclose(other, [bright, blue, scaled], atol=0.01)


def test_moons_prior_is_registered():
    assert INSTRUMENTS["moons"]().prior == PRIOR
