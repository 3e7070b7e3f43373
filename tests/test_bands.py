"""Magnitudes of observed spectra through the filters of imaging surveys."""

import astropy.units as u
import h5py
import jax.numpy as jnp
import numpy as np
import pytest

import flowspec as fs
from flowspec.posterior.aperture import LEAST_COVERED
from flowspec.sim.instrument.bands import BANDS, band_magnitudes
from flowspec.sim.instrument.photometry import ab_magnitude, top_hat


def test_a_source_of_3631_jansky_has_magnitude_zero():
    wave = np.arange(3000.0, 21000.0, 5.0)
    flux = (3631 * u.Jy).to_value(1e-17 * u.erg / u.s / u.cm**2 / u.AA,
                                  u.spectral_density(wave * u.AA))
    for band in BANDS:
        magnitude, covered = band_magnitudes(wave, flux[None], np.ones((1, len(wave))), band)
        assert magnitude[0] == pytest.approx(0, abs=2e-4), band  # 48.60 is that of 3630.8 Jy
        assert covered[0] == pytest.approx(1, abs=1e-6), band


def test_magnitudes_agree_with_those_of_simulations():
    """Of a slope, the band being almost the top hat between its half-power points."""
    wave = np.arange(6000.0, 9000.0, 2.0)
    flux = (wave / 7000) ** -1.5
    found = band_magnitudes(wave, flux[None], np.ones((1, len(wave))), "sdss_i")[0]
    hat = top_hat(wave, (6905.0, 8195.0))
    assert found[0] == pytest.approx(float(ab_magnitude(jnp.asarray(flux), wave, hat)), abs=0.02)


def test_magnitudes_are_those_of_the_survey_itself(data):
    """Synthetic fluxes of the SDSS pipeline, of its own good pixels."""
    path = data / "spectra/sdss/sdss.h5"
    with h5py.File(path) as file:
        flux = file["catalog/spectrosynflux_ugriz"][:300]
    obs = fs.read(path)[:300]
    for column, band in ((1, "sdss_g"), (2, "sdss_r"), (3, "sdss_i")):
        magnitude, covered = band_magnitudes(obs.wave, obs.flux, obs.ivar, band)
        with np.errstate(invalid="ignore", divide="ignore"):
            away = magnitude - (22.5 - 2.5 * np.log10(flux[:, column]))
        away = away[(covered > LEAST_COVERED) & np.isfinite(away)]
        assert len(away) > 250 and abs(np.median(away)) < 0.01 and np.std(away) < 0.05


def test_gaps_and_ends_are_not_covered():
    wave = np.concatenate([np.arange(6000.0, 7000.0), np.arange(7500.0, 9000.0)])
    one = np.ones((1, len(wave)))
    _, covered = band_magnitudes(wave, one, one, "sdss_i")
    assert 0.3 < covered[0] < 0.7
    assert band_magnitudes(wave, one, one, "sdss_u")[1][0] < 0.2
    assert np.isnan(band_magnitudes(wave, -one, one, "sdss_i")[0][0])  # no light
    with pytest.raises(ValueError, match="expected a band of sdss_u, .*; got 'sdss_q'"):
        band_magnitudes(wave, one, one, "sdss_q")
