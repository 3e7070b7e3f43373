"""The whole simulator against closed forms: light in, pixels out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.cosmology import FlatLambdaCDM, Planck18

from flowspec.data.spectra import Spectra
from flowspec.prior.parameters import broad_prior
from flowspec.sim.galaxy import nebula
from flowspec.sim.galaxy.nuisance import NUISANCES, layout_of, nuisances_of
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.instrument.sdss import sdss as sdss_instrument
from flowspec.sim.latent import Learned

LSUN, MPC = 3.828e33, 3.0856775814913673e24
TYPICAL = {
    "sdss": [0.1, 10.5, 0.4, 0.5, -0.13, 0.5, -2.9, 8.5, 120.0],
    "vandels": [3.3, 10.0, 1.5, 0.0, -0.5, 0.4, -2.7, 8.2, 100.0],
}


@pytest.fixture(scope="module")
def sdss():
    return GalaxySimulator("sdss")


@pytest.fixture(scope="module")
def vandels():
    return GalaxySimulator("vandels")


@pytest.fixture(scope="module", params=["sdss", "vandels"])
def both(request):
    return request.getfixturevalue(request.param)


CASES = "sdss", pytest.param("vandels", marks=pytest.mark.slow)
VANDELS_SLOWLY = pytest.mark.parametrize("both", CASES, indirect=True)
# two others come with the noise; neither instrument has an error of its zero point (test_prism.py)
ACTIVE = tuple(n for n in NUISANCES if n not in ("sky", "blemishes", "zero"))
# One compiled function for every test of one instrument.
SPECTRUM = eqx.filter_jit(lambda sim, theta, draw: sim.spectrum(theta, draw))
DRAWS = eqx.filter_jit(lambda sim, key: sim.draw(key, 64))


def draw_with(sim, key, active):
    """Nuisances of which only some are active."""
    layout = layout_of(active, sim.groups, len(sim.kinds), sim.responses.counts, {})
    latent = Learned.nothing(layout, 1).draw(key, jnp.zeros(1))
    return nuisances_of(
        latent, layout, groups=sim.groups, offsets=sim.offsets, scatter=sim.scatter,
        kinds=sim.kinds, curve=sim.curve(layout.parts(latent), theta_of()), av=0.0,
    )  # fmt: skip


def theta_of(**changes):
    """Parameters of a galaxy without dust or star formation, but for `changes`."""
    values = dict(z=0.1, log_mstar=10.0, log_sfr=-3.0, log_age=0.5, log_zstar=0.0, av=0.0)
    values |= dict(log_u=-3.0, oh=8.6, dispersion=100.0) | changes
    return jnp.array(list(values.values()))


def dl_cm(z, cosmology=Planck18):
    return cosmology.luminosity_distance(z).to_value("Mpc") * MPC


@pytest.fixture(scope="module")
def flux_of(sdss):
    """Spectrum of a nearby galaxy without nuisances."""
    quiet = draw_with(sdss, jr.key(0), ())
    return lambda sim=sdss, **p: np.asarray(SPECTRUM(sim, theta_of(**p), quiet), float)


@pytest.fixture(scope="module")
def dark(sdss):
    """SDSS without starlight and the continuum of gas: emission lines alone."""
    tables = [jnp.zeros_like(t) for t in (sdss.star_table, sdss.gas_table)]
    return eqx.tree_at(lambda s: [s.star_table, s.gas_table], sdss, tables)


@pytest.mark.parametrize("cosmology", [Planck18, FlatLambdaCDM(H0=70, Om0=0.3)])
@pytest.mark.parametrize("z", [0.01, 0.2137, 0.49])
def test_flat_spectrum_is_dimmed_by_distance_and_stretch(cosmology, z, flux_of):
    """L_wave = 1 L_sun/A per M_sun formed becomes L / (4 pi dL^2 (1 + z)) at every wavelength."""
    sim = GalaxySimulator("sdss", cosmology=cosmology)
    wave = np.geomspace(1000, 12000, 5000)
    flat = np.tile(sim.lattice.of_spectra(wave, wave[None]), (len(sim.star_table), 1))
    sim = eqx.tree_at(lambda s: s.star_table, sim, jnp.asarray(flat))
    got = flux_of(sim, z=z, log_sfr=-5.0, log_age=0.6)
    ratio = got / (1e10 * LSUN / (4 * np.pi * dl_cm(z, cosmology) ** 2 * (1 + z)) / 1e-17)
    formed = np.median(ratio)  # mass formed per surviving mass
    assert 1.7 < formed < 2.1
    np.testing.assert_allclose(ratio, formed, rtol=3e-4)


@pytest.mark.parametrize("z", [0.02, 0.25, 0.4])
def test_halpha_measures_star_formation(dark, flux_of, z):
    """Kennicutt & Evans (2012): log SFR = log L(Ha) - 41.27."""
    got = flux_of(dark, z=z, log_sfr=1.0, log_u=-3.5, oh=8.0)
    wave = dark.wave / (1 + z)
    inside = np.abs(wave / 6564.614 - 1) < 400 / C_KMS
    step = np.gradient(dark.wave)
    total = (got * step)[inside].sum() * 1e-17
    luminosity = 4 * np.pi * dl_cm(z) ** 2 * total
    np.testing.assert_allclose(np.log10(luminosity), 41.27 + 1.0, atol=0.01)


@pytest.mark.parametrize("z", [0.0, 0.21, 0.5])
def test_no_line_appears_where_none_belongs(dark, flux_of, z):
    """The lattice is periodic; nothing may come around its ends."""
    flux = flux_of(dark, z=z, log_sfr=1.0, log_u=-2.0, oh=7.7, dispersion=60.0)
    known = nebula.load_nebula()
    ratio = np.asarray(nebula.line_ratios(known, -2.0, 7.7))
    lines = known.wave[ratio > -4]
    offset = np.abs(np.log(dark.wave[:, None] / (1 + z) / lines)).min(1)
    assert np.abs(flux[offset > 1200 / C_KMS]).max() < 2e-5 * flux.max()


def test_dust_reddens_the_balmer_decrement(dark, flux_of):
    def decrement(av):
        got = flux_of(dark, z=0.05, log_sfr=1.0, oh=8.2, av=av) * np.gradient(dark.wave)
        parts = [got[np.abs(dark.wave / 1.05 / w - 1) < 400 / C_KMS].sum()
                 for w in (6564.614, 4862.683)]  # fmt: skip
        return parts[0] / parts[1]

    assert 2.75 < decrement(0.0) < 3.0
    nebular = 1.0 / 4.05 / 0.44
    expected = 10 ** (0.4 * nebular * (3.609 - 2.532))  # k of Cardelli at H-beta and H-alpha
    np.testing.assert_allclose(decrement(1.0) / decrement(0.0), expected, rtol=0.01)


def test_flux_scales_with_mass(flux_of):
    # at fixed specific star formation the spectrum is proportional to the mass
    one = flux_of(log_mstar=9.0, log_sfr=-1.0)
    ten = flux_of(log_mstar=10.0, log_sfr=0.0)
    np.testing.assert_allclose(ten / one, 10.0, rtol=1e-3)


def test_velocity_dispersion_broadens_lines_in_quadrature(dark, flux_of):
    def width(sigma):
        got = flux_of(dark, z=0.1, log_sfr=1.0, dispersion=sigma)
        near = np.abs(dark.wave / 1.1 / 5008.24 - 1) < 1500 / C_KMS
        x, weight = np.log(dark.wave[near]) * C_KMS, got[near]
        mean = (x * weight).sum() / weight.sum()
        return np.sqrt(((x - mean) ** 2 * weight).sum() / weight.sum())

    narrow, broad = width(80.0), width(200.0)
    np.testing.assert_allclose(broad**2 - narrow**2, 200**2 - 80**2, rtol=0.02)


@pytest.mark.parametrize("wave", [3900.0, 4400.0, 5500.0])
@pytest.mark.parametrize("dispersion", [120.0, 250.0])
def test_dispersion_is_that_of_the_galaxy_whatever_the_table_has(sdss, flux_of, wave, dispersion):
    """Observed stars have 2.51 A (FWHM): an absorption line of that width at any wavelength."""
    own = max(2.51 / 2.3548 / wave * C_KMS, 64.0)  # km/s; the table is smoothed to 64
    lattice = sdss.lattice.wave
    depth = np.exp(-0.5 * (np.log(lattice / (wave * (1 + sdss.prior.distributions["z"].low)))
                           * C_KMS / own) ** 2)  # fmt: skip
    table = sdss.lattice.of_spectra(lattice, (1 - 0.3 * depth)[None])
    table = jnp.asarray(np.broadcast_to(table, sdss.star_table.shape))
    sim = eqx.tree_at(lambda s: (s.star_table, s.gas_table), sdss,
                      (table, jnp.zeros_like(sdss.gas_table)))
    flux = flux_of(sim, z=0.1, dispersion=dispersion, log_sfr=-9.0) * sdss.wave
    v = np.log(sdss.wave / (1.1 * wave)) * C_KMS
    near = np.abs(v) < 5 * dispersion
    side = (np.abs(v) > 5 * dispersion) & (np.abs(v) < 7 * dispersion)
    lost = np.polyval(np.polyfit(v[side], flux[side], 1), v[near]) - flux[near]
    found = np.sqrt((lost * v[near] ** 2).sum() / lost.sum())
    lsf = np.interp(1.1 * wave, sdss.wave, np.asarray(sdss_instrument().lsf))
    assert found == pytest.approx(np.hypot(dispersion, lsf), rel=0.015)


def test_redshift_is_a_shift(sdss, flux_of):
    """A line's centroid moves with (1 + z), to a hundredth of a pixel."""
    for z in (0.05, 0.05012, 0.0507):
        got = flux_of(z=z, log_sfr=1.3)
        near = np.abs(sdss.wave / (1 + z) / 6564.614 - 1) < 350 / C_KMS
        weight = got[near] - got[near].min()
        centre = (sdss.wave[near] * weight).sum() / weight.sum()
        np.testing.assert_allclose(centre / (1 + z), 6564.614, atol=0.12)


@VANDELS_SLOWLY
def test_draws_are_finite_noisy_and_inside_the_prior(both):
    theta, flux, ivar = DRAWS(both, jr.key(3))
    assert flux.shape == ivar.shape == (64, len(both.wave)) and theta.shape == (64, 9)
    assert np.isfinite(flux).all() and np.isfinite(ivar).all() and (ivar > 0).all()
    assert np.isfinite(both.prior.log_prob(theta)).all()
    np.testing.assert_array_equal(flux, DRAWS(both, jr.key(3))[1])
    assert not np.allclose(flux, DRAWS(both, jr.key(4))[1])
    snr = np.log10(np.abs(flux * np.sqrt(ivar)).mean(1))
    assert snr.min() < 0.5 and snr.max() > 1.0


@VANDELS_SLOWLY
def test_corners_of_the_prior_are_finite(both):
    draws = both.prior.sample(jr.key(0), (4000,))
    draws = draws.at[:, both.prior.names.index("log_sfr")].add(-draws[:, 1])
    low, high = draws.min(0), draws.max(0)
    for i in range(16):
        theta = jnp.where(jr.bernoulli(jr.key(i), 0.5, (9,)), low, high)
        theta = theta.at[both.prior.names.index("log_sfr")].add(theta[1])
        flux = SPECTRUM(both, theta, draw_with(both, jr.key(i), ACTIVE))
        assert np.isfinite(flux).all() and (flux > -1e-3 * flux.max()).all(), theta


def _name(sim):
    return "sdss" if len(sim.wave) > 2000 else "vandels"


@VANDELS_SLOWLY
def test_gradients_match_finite_differences(both):
    """Every parameter, redshift among them."""
    theta = jnp.array(TYPICAL[_name(both)])
    draw = draw_with(both, jr.key(5), ACTIVE)
    steps = jnp.array(
        [3e-5 if both.wave[0] < 4000 else 2e-4, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2, 0.5]
    )

    @eqx.filter_jit
    def both_ways(sim, direction):
        def spectrum(t):
            return sim.spectrum(t, draw)

        exact = jax.jvp(spectrum, (theta,), (direction,))[1]
        return exact, (spectrum(theta + direction) - spectrum(theta - direction)) / 2

    for i, name in enumerate(both.prior.names):
        exact, difference = both_ways(both, jnp.zeros(9).at[i].set(steps[i]))
        error = jnp.linalg.norm(exact - difference) / jnp.linalg.norm(exact)
        assert error < 0.03, f"{name}: {error}"


def test_lyman_break_and_interstellar_lines(vandels):
    theta = theta_of(z=4.0, log_sfr=1.5, log_age=-0.3, log_zstar=-0.7)
    rest = vandels.wave / 5.0

    def mean(active):
        draws = [draw_with(vandels, jr.key(i), active) for i in range(32)]
        return np.mean([SPECTRUM(vandels, theta, d) for d in draws], axis=0)

    clear, all_gas = mean(()), mean(("igm", "absorption", "lya"))
    ratio = all_gas / clear
    # the mean forest is there with and without its scatter; half of the light is lost at z = 4
    forest = clear[(rest > 1050) & (rest < 1170)].mean()
    red = clear[(rest > 1230) & (rest < 1300)].mean()
    assert 0.4 < forest / red < 0.75
    assert 0.3 < ratio[(rest > 1331) & (rest < 1334)].mean() < 0.85  # C II 1334, blueshifted
    np.testing.assert_allclose(ratio[(rest > 1430) & (rest < 1470)], 1.0, atol=0.02)


def test_no_light_beyond_the_lyman_limit(vandels):
    """At z = 5 the range begins at 801 A; photons that ionise hydrogen do not come that far."""
    flux = SPECTRUM(
        vandels, theta_of(z=5.0, log_sfr=1.5, log_age=-0.3), draw_with(vandels, jr.key(0), ())
    )
    rest = vandels.wave / 6.0
    beyond, red = (np.asarray(flux)[s] for s in (rest < 905, (rest > 1230) & (rest < 1300)))
    assert len(beyond) > 100 and beyond.mean() < 0.05 * red.mean()


def test_lines_of_hydrogen_depart_together_and_nobody_teaches_how_far(both):
    """By Rydberg's formula. What ratios of lines can be wrong by is not to be redefined."""
    lines, groups = both.nebula.wave, np.array(both.groups)
    n = np.arange(2, 40)[:, None]
    series = 1e8 / (109677.58 * (1 / np.array([1, 2, 3]) ** 2 - 1 / np.maximum(n, [2, 3, 4]) ** 2))
    hydrogen = np.abs(lines[:, None] / series.ravel() - 1).min(1) < 1e-4
    hydrogen &= lines > 2400  # those of the ultraviolet depart on their own
    np.testing.assert_array_equal((groups == groups[hydrogen.argmax()]) & (lines > 2400), hydrogen)
    assert all(both.known[both.layout.place(name)].all() for name in ("lines", "nucleus"))


def test_parameters_left_out_of_the_prior_are_fixed():
    prior = broad_prior()
    kept = {n: prior.distributions[n] for n in ("z", "log_mstar", "log_sfr")}
    small = type(prior)(kept, {"log_sfr": "log_mstar"})
    sim = GalaxySimulator("sdss", prior=small, nuisances=())
    assert DRAWS(sim, jr.key(0))[0].shape == (64, 3)
    assert float(sim.parameters(jnp.array([0.1, 10.0, 0.0]))["oh"]) == 8.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"instrument": "hubble"}, "instrument among .*sdss"),
        ({"nuisances": ("gremlins",)}, "nuisances among .*gremlins"),
        ({"prior": broad_prior().replace(z=dist.Normal(0.1, 0.1))}, "redshifts within 0 to 20"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GalaxySimulator(**arguments)


@VANDELS_SLOWLY
def test_nuisances_act_one_by_one(both):
    theta = jnp.array(TYPICAL[_name(both)])

    def flux_with(active, key):
        return SPECTRUM(both, theta, draw_with(both, jr.key(key), active))

    one = flux_with((), 0)
    np.testing.assert_array_equal(one, flux_with((), 1))
    far = {"igm", "lya", "absorption", "winds"}  # none of these in a nearby galaxy's optical
    for name in set(ACTIVE) - (far if _name(both) == "sdss" else set()):
        assert not np.allclose(flux_with((name,), 0), one, rtol=1e-3), name


@pytest.mark.slow
def test_noise_can_come_from_observations(sdss):
    rng = np.random.default_rng(0)
    rows, pixels = 5, len(sdss.wave)
    ivar = np.exp(rng.normal(size=(rows, pixels)) * 0.1)
    ivar[:, : pixels // 4] = 0
    ivar[:, pixels // 2] = 1e9  # a pipeline's accident
    obs = Spectra(sdss.wave, 10 + rng.normal(size=(rows, pixels)), ivar)
    _, flux, ivar = DRAWS(sdss.with_noise(obs), jr.key(0))
    taken = np.asarray(ivar)[:, pixels // 2] == 0  # the others have the instrument's own curve
    assert 0.3 < taken.mean() <= 1.0
    flux, ivar = np.asarray(flux)[taken], np.asarray(ivar)[taken]
    assert (ivar[:, : pixels // 4] == 0).all() and (flux[:, : pixels // 4] == 0).all()
    good = ivar[0] > 0
    ratio = np.log10((flux * np.sqrt(ivar))[:, good].mean(1) / 10)
    assert (ratio > -0.7).all() and (ratio < 0.4).all() and np.ptp(ratio) > 0.3
