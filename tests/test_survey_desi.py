"""The simulated main survey of DESI: its noise against coadds, its targets against their limits."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from scipy.ndimage import gaussian_filter1d

import flowspec as fs
from benchmarks import desi_targets, survey_desi
from benchmarks.desi_noise import MIRROR, POINT, SurveyNoise, response
from flowspec.sim.galaxy.dust import transmission as transmitted
from flowspec.sim.instrument.bands import transmission
from flowspec.sim.instrument.desi import desi

TILES = {"coadd-5-169-thru20210419.fits": 4, "coadd-4-80613-thru20210324.fits": 0}
C = 2.998e18  # angstrom/s
CHUNK = 48  # galaxies at once


def coadd(data, name):
    """The noise of a coadd over that of the survey for its effective time, by pixel, and that."""
    path = data / "spectra/desi" / name
    with fits.open(path) as file:
        seconds = 12.15 * float(file["SCORES"].data["TSNR2_LRG"][TILES[name]])
    obs = fs.read(str(path)).resample(desi().wave)
    ivar = obs.ivar[TILES[name]]
    smooth = gaussian_filter1d(obs.flux[TILES[name]].astype(float), 30)
    expected = np.asarray(SurveyNoise(seconds).draw(None, jnp.asarray(smooth)))
    good = ivar > 0
    return np.sqrt(expected / np.where(good, ivar, np.nan)), seconds


def test_the_noise_is_that_of_the_dark_survey(data):
    """The tile that the level is of: 1001 s, and the shape with it to 15 %."""
    ratio, seconds = coadd(data, "coadd-5-169-thru20210419.fits")
    assert seconds == pytest.approx(1000, abs=10)
    assert np.nanmedian(ratio) == pytest.approx(1, abs=0.02)
    wave = desi().wave
    medians = [np.nanmedian(ratio[(wave > a) & (wave < a + 200)]) for a in range(3700, 9800, 200)]
    np.testing.assert_allclose(medians, 1, atol=0.15)


def test_the_noise_of_another_tile_is_predicted(data):
    """Three times as long, ten times as bright: 12 % less noise, half of that by dust of the
    Milky Way, which shortens effective times and not the noise of spectra as they are seen."""
    ratio, seconds = coadd(data, "coadd-4-80613-thru20210324.fits")
    assert 2900 < seconds < 3000
    assert np.nanmedian(ratio) == pytest.approx(1, abs=0.15)


def test_airglow_is_where_it_is(data):
    """Noise of pixels over its median in the far red: the lines of the sky explain most of it."""
    ratio, _ = coadd(data, "coadd-5-169-thru20210419.fits")
    red = (desi().wave > 7700) & (desi().wave < 8700) & np.isfinite(ratio)
    plain = SurveyNoise(1000.0).variance / jnp.asarray(desi().noise) ** 2
    without = np.log(ratio[red]) + 0.5 * np.log(np.asarray(plain)[red])
    spread = [np.diff(np.percentile(x, [16, 84]))[0] for x in (np.log(ratio[red]), without)]
    assert spread[0] < 0.6 * spread[1]


def test_counting_photons_gives_the_same_noise():
    """Of the nominal sky and read-out, 3.73 and 0.932 nMgy/arcsec2 in r, through the telescope."""
    wave, at = desi().wave, 6420.0
    surface = (3.73 + 0.932) * 1e-9 * 3.631e-20 * C / at**2 / 1e-17
    i = np.searchsorted(wave, at)
    electrons = response(wave)[i] * 1000
    background = surface * np.pi / 4 * 1.52**2 * electrons
    sigma = np.sqrt(np.median(SurveyNoise(1000.0).variance[i - 100 : i + 100]))
    assert sigma == pytest.approx(np.sqrt(background) / (electrons * POINT), rel=0.1)


def test_bright_sources_are_limited_by_their_photons():
    """S/N^2 of a pixel is the number of photons: of AB 12, 3.63e-20 x 10^-4.8 erg/s/cm2/Hz."""
    wave = desi().wave
    i = np.searchsorted(wave, 7000.0)
    per_hertz = 3.631e-20 * 10**-4.8
    photons = per_hertz / 6.626e-27 / wave[i] * np.diff(wave)[i] * MIRROR * 0.45 * 180 * POINT
    flux = per_hertz * C / wave**2 / 1e-17
    ivar = np.asarray(SurveyNoise(180.0).draw(None, jnp.asarray(flux, jnp.float32)))
    assert ivar[i] * flux[i] ** 2 == pytest.approx(photons, rel=0.02)  # the sky is 1 % of it


def test_shares_in_the_fibre_are_those_of_the_imaging(data):
    """Fluxes that Tractor gives of round exponential discs and points, in the fibre and whole."""
    for name, rows in (("coadd-5-169-thru20210419.fits", (1, 4)),
                       ("coadd-4-80613-thru20210324.fits", (0,))):  # fmt: skip
        with fits.open(data / "spectra/desi" / name) as file:
            table = file["FIBERMAP"].data[list(rows)]
        assert set(table["MORPHTYPE"]) <= {"REX", "PSF"}
        found = desi_targets.in_fibre(table["SHAPE_R"])
        # real seeing has wings, Tractor's that is meant here has not: within 3 %
        np.testing.assert_allclose(found, table["FIBERFLUX_R"] / table["FLUX_R"], rtol=0.03)


def ab(wave, flux, band):
    """AB magnitudes by trapezia over pixel centres, of what is seen of a band."""
    curve = np.interp(wave, *transmission(f"decam_{band}"), left=0, right=0)
    light = np.trapezoid(flux * curve * wave, wave, axis=-1)
    return -2.5 * np.log10(1e-17 * light / np.trapezoid(C * curve / wave, wave)) - 48.6


@pytest.fixture(scope="module")
def emission():
    """A few galaxies with emission lines, and their simulator."""
    sim = desi_targets.galaxy_simulator()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desi_targets, "CHUNK", CHUNK)
        return sim, desi_targets.galaxies("ELG", jr.key(1), 6, sim)


def test_targets_are_as_bright_as_they_are_selected(emission):
    sim, sample = emission
    seen, point = sample.seen, -2.5 * np.log10(desi_targets.in_fibre(np.zeros(1)))
    assert ((seen.z > 0.6) & (seen.z < 1.6) & (seen.o2 > 8)).all()
    fibre = ab(sim.wave, sample.flux, "g") + point
    np.testing.assert_allclose(fibre, seen.fibre["g"], atol=0.01)  # coarseness of the sums
    assert (fibre < 24.11).all() and (seen.whole["g"] > 20).all()
    # of an exponential disc or a point no more is in the fibre than of a point
    assert (seen.fibre["g"] - seen.whole["g"] > point - 1e-3).all()


def test_flux_of_o2_is_the_power_of_its_lines(emission):
    """Luminosity of both lines, dimmed by the stars' dust, over 4 pi d^2; the lattice loses none.

    Where it is bright: within 4 %, for high Balmer lines are in the window too.
    """
    sim, sample = emission
    both = np.isin(sim.nebula.names, ["OII3726", "OII3729"])

    @jax.jit
    @jax.vmap
    def expected(key, theta):
        p = sim.parameters(theta)
        draw = sim.nuisances_of(sim.draw_latent(key, theta), theta)
        dust = transmitted(jnp.array([3728.5]), p["av"], draw.slope)[0]
        return sim.line_power(p, draw)[both].sum() * sim.flux_scale(p) * dust

    theta = jnp.asarray(np.resize(sample.theta, (CHUNK, sample.theta.shape[1])))
    keys = jr.split(jr.key(2), CHUNK)
    _, found = desi_targets._galaxies(sim, keys, theta)
    bright = np.asarray(found) > 3
    assert bright.sum() > CHUNK / 4
    ratio = np.asarray(found / expected(keys, theta))[bright]
    np.testing.assert_allclose(ratio, 1.02, atol=0.03)


def test_stars_are_between_their_magnitudes(monkeypatch):
    monkeypatch.setattr(desi_targets, "CHUNK", 16)
    sample = desi_targets.point_sources("STAR", jr.key(0), 8)
    found = ab(desi().wave, sample.flux, "r")
    np.testing.assert_allclose(found, sample.seen.whole["r"], atol=0.01)
    assert ((found > 15.99) & (found < 19.01)).all()


def test_quasars_rise_in_number_as_they_do():
    """Ten to the 0.3 more per magnitude: 50 % of those from 16 to 23 are fainter than 22.0."""
    drawn = np.concatenate([desi_targets._counted(jr.key(i), 16.0, 23.0) for i in range(8)])
    assert drawn.min() > 16 and drawn.max() < 23
    median = 23 + np.log10(0.5 * (1 + 10 ** (-0.3 * 7))) / 0.3
    assert np.median(drawn) == pytest.approx(median, abs=0.1)  # 2048 draws: 0.03


def test_scores_of_a_class_of_targets():
    """By hand: of five one has the wrong class, one a wrong redshift, one no redshift."""
    found = Table({
        "class": ["GALAXY", "GALAXY", "QSO", "GALAXY", "GALAXY"],
        "z_best": np.ma.masked_invalid([0.5, 0.6, 0.7, 0.8, np.nan]),
        "z_prob": np.ma.masked_invalid([0.99, 0.95, 0.5, 0.97, np.nan]), "snr": np.ones(5),
    })  # fmt: skip
    scored = survey_desi.judged("LRG", found, np.array([0.5, 0.61, 0.7, 0.8, 0.9]))
    assert scored["class right"] == 0.8 and scored["redshift right"] == 0.6
    assert scored["sure"] == 0.6 and scored["wrong of the sure"] == pytest.approx(1 / 3)
    assert scored["both right"] == 0.4 and scored["kept at purity 0.97"] == 0.4
    assert survey_desi.confused(found) == {"GALAXY": 0.8, "QSO": 0.2, "STAR": 0, "NOTHING": 0}
