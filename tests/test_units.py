"""Units and masks that come with numbers are converted or refused, never lost."""

import astropy.units as u
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.table import Column, MaskedColumn

from flowspec.data.lines import Lines, State
from flowspec.data.spectra import Spectra
from flowspec.data.units import FLUX_UNIT
from flowspec.data.vectors import Vectors
from flowspec.prior.prior import Prior
from flowspec.sim.stored import Simulations
from flowspec.sim.user import CallableSimulator

WAVE = np.linspace(4000.0, 5000.0, 16)
PRIOR = Prior({"a": dist.Uniform(0.0, 2.0)})
THETA = np.linspace(0.1, 1.9, 5)[:, None]
FLUX = 1 + THETA * np.ones(16)
# F_nu to F_lambda by hand: 1 mJy is 1e-26 erg/s/cm2/Hz, times c / lambda^2 in 1e-17
MJY = 1e-26 * 2.99792458e18 / WAVE**2 / 1e-17


def flat(key, theta):
    return theta[0] * jnp.ones(16)


def test_a_simulator_takes_wavelengths_and_noise_in_any_unit():
    sim = CallableSimulator(flat, PRIOR, (WAVE * u.AA).to(u.um), 0.5 * u.mJy)
    np.testing.assert_allclose(sim.wave, WAVE, rtol=1e-12)
    np.testing.assert_allclose(sim.observed.sigma, 0.5 * MJY, rtol=1e-6)


def test_simulations_are_converted_as_spectra_are():
    given = FLUX * u.mJy, np.full(FLUX.shape, 4.0) / u.mJy**2, (WAVE * u.AA).to(u.um)
    sims = Simulations(THETA, *given, PRIOR)
    np.testing.assert_allclose(sims.wave, WAVE, rtol=1e-12)
    np.testing.assert_allclose(sims.spectra, FLUX * MJY, rtol=1e-6)
    np.testing.assert_allclose(sims.ivar, 4 / MJY**2 + 0 * FLUX, rtol=1e-6)


def test_columns_of_tables_have_units_and_masks_too():
    flux = MaskedColumn([1.0, 2.0, 3.0], unit="Jy", mask=[False, True, False])
    found = Spectra(Column([0.5, 0.6, 0.7], unit="um"), flux, Column([1.0, 1, 1], unit="Jy-2"))
    np.testing.assert_allclose(found.wave, [5000, 6000, 7000])
    np.testing.assert_allclose(found.flux[0, ::2], [119916.98, 3 * 61182.13], rtol=1e-6)
    np.testing.assert_array_equal(found.ivar[0] > 0, [True, False, True])


def test_errors_of_lines_are_in_the_unit_of_their_fluxes():
    unit = FLUX_UNIT * u.AA
    lines = Lines(("Hbeta", "[OIII]5007"), [1.0, np.nan] * unit, [100.0, 1.0] * (0.01 * unit),
                  [np.nan, 5e-17] * (u.erg / u.s / u.cm**2))
    np.testing.assert_allclose(lines.flux, [[1.0, 5.0]])
    np.testing.assert_allclose(lines.err, [[1.0, 5 / 3]])
    np.testing.assert_array_equal(lines.state, [[State.MEASURED, State.LIMIT]])


NO_ERR = np.ones(2)
REFUSED = {
    "wavelengths in seconds": (lambda: CallableSimulator(flat, PRIOR, WAVE * u.s), "of length"),
    "noise in K": (lambda: CallableSimulator(flat, PRIOR, WAVE, 1 * u.K), "a flux density"),
    "noise of a column in Jy": (
        lambda: CallableSimulator(flat, PRIOR, columns="abcdefghijklmnop", noise=1 * u.Jy),
        "noise as plain numbers"),
    "noise of another length": (lambda: CallableSimulator(flat, PRIOR, WAVE, NO_ERR), "or 16"),
    "noise without a square": (lambda: CallableSimulator(flat, PRIOR, WAVE, 1e-20), "1e-18"),
    "one unit of two": (lambda: Simulations(THETA, FLUX * u.mJy, FLUX, WAVE, PRIOR), "with units"),
    "parameters with a unit": (
        lambda: Simulations(THETA * u.M_sun, FLUX, FLUX, WAVE, PRIOR), "theta as plain numbers"),
    "vectors in Jy": (lambda: Vectors(NO_ERR * u.Jy, NO_ERR), "values as plain numbers"),
    "errors in Jy": (lambda: Vectors(NO_ERR, NO_ERR * u.Jy), "errors as plain numbers"),
    "lines in erg, errors in s": (
        lambda: Lines(("Hbeta", "Halpha"), NO_ERR * u.erg, NO_ERR * u.s), "in 'erg'; got 's'"),
    "lines in erg, errors in nothing": (
        lambda: Lines(("Hbeta", "Halpha"), NO_ERR * u.erg, NO_ERR), "all or none"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_unit_that_would_be_lost_is_refused(case):
    act, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)


def test_simulations_lack_data_where_spectra_do():
    flux, ivar = FLUX.copy(), np.ones(FLUX.shape)
    flux[3, 5], ivar[3, 5] = np.nan, 0
    sims = Simulations(THETA, flux, ivar, WAVE, PRIOR)
    assert sims.spectra[3, 5] == 0 and sims.ivar[3, 5] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, f, v: (t[:0], f[:0], v[:0]), "at least one simulation"),
        (lambda t, f, v: (t, f, v[:, :-1]), "of shapes"),
        (lambda t, f, v: (t[:-1], f, v), "of shapes"),
        (lambda t, f, v: (t, f, v * np.nan), r"row 0 \(5 of 5 rows\)"),
        (lambda t, f, v: (t, f, -v), "ivar >= 0"),
        (lambda t, f, v: (t * 1e60, f, v), "finite theta"),
    ],
)
def test_simulations_that_are_none_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Simulations(*change(THETA, FLUX, np.ones(FLUX.shape)), WAVE, PRIOR)
