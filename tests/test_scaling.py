"""Numbers in extreme units: what sane ones give, or a row without data and a reason."""

import jax.numpy as jnp
import numpy as np
import pytest

from flowspec.data.continuum import broad_features
from flowspec.data.flags import Flag
from flowspec.data.frame import LineSet, Pixels
from flowspec.data.line_features import line_features
from flowspec.data.linear import scaled_fluxes
from flowspec.data.lines import Lines
from flowspec.data.scaling import in_own_unit
from flowspec.data.spectra import Spectra
from flowspec.data.units import FLUX_UNIT
from flowspec.data.vectors import Vectors
from flowspec.networks.channels import preprocess

WAVE = np.geomspace(4000.0, 8000.0, 300)
RNG = np.random.default_rng(0)
FLUX = 5 + RNG.normal(size=(2, 300))
IVAR = RNG.uniform(0.5, 5, FLUX.shape) * (RNG.uniform(size=FLUX.shape) > 0.1)


@pytest.mark.parametrize("factor", [1e-18, 1e-17, 1e18, 2.0**-60])
def test_a_network_sees_the_same_in_any_unit_but_for_the_level(factor):
    sane, extreme = (Spectra(WAVE, FLUX * f, IVAR / f**2) for f in (1, factor))
    given = [preprocess(jnp.asarray(s.flux), jnp.asarray(s.ivar), 21) for s in (sane, extreme)]
    np.testing.assert_allclose(given[1][0], given[0][0], atol=1e-4)
    level = given[1][1][:, 0] - given[0][1][:, 0]
    np.testing.assert_allclose(level, np.log10(factor), rtol=1e-6)
    np.testing.assert_allclose(given[1][1][:, 1:], given[0][1][:, 1:], atol=1e-5)
    both = [broad_features(s.flux, s.ivar) for s in (sane, extreme)]
    np.testing.assert_allclose(both[1], both[0], atol=1e-4)
    both = [scaled_fluxes(s.flux, s.ivar)[1] for s in (sane, extreme)]
    np.testing.assert_allclose(both[1], both[0], rtol=1e-5)


def test_no_precision_is_too_good_or_too_bad_for_finite_numbers():
    for flux, ivar in ((1.0, 1e30), (1e30, 1e30), (1e38, 3e38), (1.0, 2e-38), (0.0, 1.0)):
        data = [np.full((1, 300), x, np.float32) for x in (flux, ivar)]
        channels, scalars = preprocess(*map(jnp.asarray, data), 21)
        assert np.isfinite(channels).all() and np.isfinite(scalars).all()
        assert np.isfinite(broad_features(*data)).all()
        np.testing.assert_allclose(10 ** scalars[0, 0], flux or 1, rtol=1e-4)


def test_units_are_powers_of_two():
    flux, ivar, unit = in_own_unit(FLUX.astype(np.float32), (1e20 * IVAR).astype(np.float32))
    assert (np.frexp(unit)[0] == 0.5).all() and 0.5 <= ivar.max() < 2
    np.testing.assert_array_equal(flux * unit, FLUX.astype(np.float32))


def test_a_unit_that_is_named_may_be_of_any_size():
    unit = 1e-30 * FLUX_UNIT
    named = Spectra(WAVE, FLUX * 1e30 * unit, IVAR * 1e-60 / unit**2)
    plain = Spectra(WAVE, FLUX, IVAR)
    np.testing.assert_allclose(named.flux, plain.flux, rtol=1e-6)
    np.testing.assert_allclose(named.ivar, plain.ivar, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e30, 1e-30])
def test_what_single_precision_cannot_hold_is_no_data_and_says_so(factor):
    obs = Spectra(WAVE, FLUX * np.array([[1.0], [factor]]), IVAR / np.array([[1], [factor**2]]))
    assert obs.notes[0] == "" and "within single precision" in obs.notes[1]
    assert f"fluxes of about {5 * factor:.0e}"[:-4] in obs.notes[1]
    flags, _ = Pixels(WAVE).judged(obs)
    np.testing.assert_array_equal((flags & int(Flag.NO_DATA)) > 0, [False, True])
    np.testing.assert_array_equal(Spectra(WAVE, FLUX, 1e-40 + 0 * FLUX).usable, [False, False])


@pytest.mark.parametrize("factor", [1e-45, 1e-30, 1e30, 1e41, 1e60])
def test_lines_are_the_same_in_any_unit(factor):
    flux, err = np.array([[1.0, 3.0, np.nan]]), np.array([[0.1, 0.2, np.nan]])
    limit, frame = np.array([[np.nan, np.nan, 0.5]]), LineSet(("Hbeta", "[OIII]5007", "Halpha"))
    features = []
    for f in (1, factor):
        data = frame.arrays(Lines(frame.lines, flux * f, err * f, limit * f))
        features.append(line_features(*(jnp.asarray(a) for a in data[:3])))
    np.testing.assert_allclose(features[1], features[0], rtol=1e-5, atol=1e-6)


def test_numbers_beyond_single_precision_are_absent():
    obs = Vectors([[1.0, 1e41], [1e41, 1e41], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0], [1.0, 1e-50]])
    np.testing.assert_array_equal(obs.present, [[1, 0], [0, 0], [1, 0]])
    assert all("beyond single precision" in note for note in obs.notes)
