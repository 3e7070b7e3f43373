"""Totals of galaxies from a spectrum of a part of them and a total magnitude."""

import astropy.units as u
import equinox as eqx
import h5py
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from astropy.table import MaskedColumn, Table

import flowspec as fs
from flowspec import Flag
from flowspec.cli import main
from flowspec.data.frame import Pixels
from flowspec.posterior.aperture import (
    GRADIENT_SCATTER,
    SPECIFIC_SCATTER,
    Whole,
    growth,
    mean_gradient,
    measured,
)
from flowspec.posterior.magnitudes import magnitudes_of
from flowspec.sim.instrument.bands import band_magnitudes
from tests.problems import untrained

WAVE = np.geomspace(5600.0, 9400.0, 192)
SIZES = fs.Architecture(
    templates=3, learned=0, aligned=6, window=21, condition=16, layers=2, width=16
)
PARTS = ("log_mstar", "log_sfr")
COLUMNS = [f"{name}_p{level}" for name in PARTS for level in (16, 50, 84)]
DRAWS = eqx.filter_jit(lambda sim, key: sim.draw(key, 64))
TOTALS = [f"{name}_total_p{level}" for name in PARTS for level in (16, 50, 84)]


@pytest.fixture(scope="module")
def posterior():
    prior = fs.Prior({"z": dist.Uniform(0.0, 0.3), "log_mstar": dist.Uniform(8.0, 12.0),
                      "log_sfr": dist.Uniform(-3.0, 2.0), "av": dist.Uniform(0.0, 2.0)})
    return untrained((prior,), ("galaxy",), Pixels(WAVE), SIZES)


def spectra(**extra) -> fs.Spectra:
    """Six of them, always: one program to compile."""
    flux = 5 + WAVE / 5000 + np.random.default_rng(3).normal(size=(6, len(WAVE)))
    return fs.Spectra(WAVE, flux, np.ones_like(flux), extra=extra)


def summarize(posterior, obs, total, **options) -> Table:
    return posterior.summarize(obs, n=100, total=total, **options)


def own(obs: fs.Spectra, band: str = "sdss_i") -> np.ndarray:
    return band_magnitudes(obs.wave, obs.flux, obs.ivar, band)[0]


def values(table: Table, names) -> np.ndarray:
    return np.stack([np.ma.filled(np.ma.asarray(table[n]), np.nan) for n in names])


def whole(log_ratio, error=0.0) -> Whole:
    d = np.atleast_1d(np.asarray(log_ratio, float))
    return Whole("sdss_i", d, np.full(d.shape, error), np.zeros(d.shape, int), [""] * len(d))


def draws(log_ratio, error=0.0, n=20_000, mass=10.0, seed=0):
    """Total mass and rate over those in the aperture, of galaxies of exactly known parts."""
    samples = np.tile([mass, 0.5], (n, np.size(log_ratio), 1))
    numbers = np.arange(np.size(log_ratio), dtype=np.uint32)[:, None]
    found = whole(log_ratio, error).totals(samples, PARTS, seed, numbers).draws
    return found["log_mstar"] - mass, found["log_sfr"] - 0.5


# --- what is outside the aperture


def test_growth_has_its_limits():
    d = np.array([0.0, 0.3, 1.0, 4.0, -0.2])
    np.testing.assert_allclose(growth(d, 0.0), d, atol=1e-12)  # the same stars everywhere
    assert growth(0.0, 0.4) == 0.0  # nothing outside
    assert growth(4.0, -0.2) == pytest.approx(3.8, abs=1e-3)  # everything outside
    # half of the light outside, with half of the mass per light: 1 + 1/2
    assert growth(np.log10(2), np.log10(0.5)) == pytest.approx(np.log10(1.5))


def test_gradients_follow_the_mass():
    np.testing.assert_allclose(mean_gradient(np.array([8.0, 9.0, 10.0, 10.5, 11.0, 12.0])),
                               [0.1, 0.1, 0.0, -0.05, -0.1, -0.1])


def test_scatter_is_none_without_light_outside_and_grows_with_it():
    """Of little light outside that of a lognormal number times it, of much the whole scatter."""
    d = np.array([0.0, 0.002, 0.3, 1.0, 4.0])
    for found, scatter in zip(draws(d, mass=2.0), (GRADIENT_SCATTER,
                              np.hypot(GRADIENT_SCATTER, SPECIFIC_SCATTER)), strict=True):
        spread = found.std(0)
        assert spread[0] == 0.0 and (np.diff(spread) > 0).all()
        wide = np.exp((np.log(10) * scatter) ** 2)
        more = (10 ** d[1] - 1) * 10**0.1 * np.sqrt(wide * (wide - 1))  # a mean gradient of 0.1
        assert spread[1] == pytest.approx(more / np.log(10), rel=0.05)  # to first order
        assert spread[4] == pytest.approx(scatter, rel=0.02)  # 4 standard errors


def test_the_error_of_a_magnitude_counts_and_is_shared():
    """Where nearly all the light is outside, all of it is that of the total magnitude."""
    mass, rate = draws([3.0], error=0.3, mass=2.0)
    assert mass.std() == pytest.approx(np.hypot(0.3, GRADIENT_SCATTER), rel=0.02)
    assert np.corrcoef(mass[:, 0], rate[:, 0])[0, 1] > 0.7


def test_random_numbers_are_of_the_row_and_the_seed():
    first, second = draws([0.5, 0.5], n=50)[0].T
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(draws([0.5], n=50)[0][:, 0], first)
    assert not np.array_equal(draws([0.5], n=50, seed=1)[0][:, 0], first)


# --- tables


@pytest.mark.slow
def test_with_nothing_outside_totals_are_the_parts_bit_for_bit(posterior):
    obs = spectra()
    with_total = summarize(posterior, obs, {"sdss_i": own(obs)})
    plain = posterior.summarize(obs, n=100)
    for part, total in zip(COLUMNS, TOTALS, strict=True):
        np.testing.assert_array_equal(with_total[total], plain[part])
    new = {*TOTALS, "log_total_over_aperture"}
    assert set(with_total.colnames) - set(plain.colnames) == new
    for name in plain.colnames:
        np.testing.assert_array_equal(np.asarray(with_total[name]), np.asarray(plain[name]))


def test_columns_say_of_what_they_are(posterior):
    obs = spectra()
    table = summarize(posterior, obs, {"sdss_i": own(obs) - 1})
    assert table["log_mstar_p50"].description == (
        "50th percentile of mass in stars and remnants in the aperture, log10 M_sun")
    assert table["av_p50"].description.endswith("in the aperture")
    assert "aperture" not in table["z_p50"].description
    assert "in the whole galaxy" in table["log_sfr_total_p16"].description
    assert table["log_sfr_total_p16"].unit == u.dex(u.M_sun / u.yr)
    np.testing.assert_allclose(table["log_total_over_aperture"], 0.4, atol=1e-6)
    assert all(table[name].description for name in table.colnames)


def test_totals_are_of_the_row_or_name_wherever_it_stands(posterior):
    obs, magnitude = spectra(), own(spectra()) - 1.5
    back = slice(None, None, -1)
    forth = summarize(posterior, obs, {"sdss_i": magnitude}, by_name=True)
    other = summarize(posterior, obs[back], {"sdss_i": magnitude[back]}, by_name=True)
    np.testing.assert_allclose(values(forth, TOTALS), values(other, TOTALS)[:, back], atol=2e-5)


def test_rows_without_a_magnitude_or_a_band_are_masked_with_a_reason(posterior):
    whole, ivar = spectra(), spectra().ivar.copy()
    ivar[1, (WAVE > 7000) & (WAVE < 7200)] = 0
    ivar[2] = 0
    obs = fs.Spectra(WAVE, whole.flux, ivar)
    magnitude = MaskedColumn(own(whole) + [-1, -1, -1, 0, 0, 1], mask=np.arange(6) == 3)
    magnitude[4] = -9999
    table = summarize(posterior, obs, Table({"sdss_i": magnitude}))
    missing = np.isnan(values(table, TOTALS)).all(0)
    assert missing.tolist() == [False, True, True, True, True, False]
    assert not np.isnan(values(table, COLUMNS)[:, [0, 1, 3, 4, 5]]).any()
    flags = np.asarray(table["flags"])
    assert ((flags & Flag.NO_TOTAL) > 0).tolist() == missing.tolist()
    assert ((flags & Flag.BRIGHTER_THAN_TOTAL) > 0).tolist() == [False] * 5 + [True]
    assert "of sdss_i has good pixels" in table["notes"][1]
    assert table["notes"][3] == "no total: no magnitude in sdss_i" == table["notes"][4]
    assert table["notes"][0] == "" and "no_total" in table["flag_names"][3]


def test_magnitudes_of_any_form_are_one():
    magnitude, error = np.linspace(15.0, 16.0, 6), np.linspace(0.1, 0.2, 6)
    obs = spectra(mag=magnitude, err=error)
    for form in (
        {"sdss_i": list(magnitude), "sdss_i_err": list(error)},
        {"sdss_i": "mag", "sdss_i_err": "err"},
        {"sdss_i": magnitude * u.ABmag, "sdss_i_err": error * u.mag},
        {"sdss_i": (magnitude * u.ABmag).to(u.Jy), "sdss_i_err": error},
        {"sdss_i": 10 ** (-0.4 * (magnitude - 22.5)) * u.nmgy, "sdss_i_err": error},
        Table({"sdss_i": magnitude * u.mag, "sdss_i_err": error}),
    ):
        found = magnitudes_of(obs, form)
        assert found.band == "sdss_i"
        np.testing.assert_allclose(found.magnitude, magnitude, atol=3e-4)  # 3631 Jy or 48.60
        np.testing.assert_allclose(found.error, error)


@pytest.mark.parametrize(("total", "message"), [
    ({"sdss_q": [1.0]}, "expected total magnitudes in one band of sdss_u, .*; got sdss_q"),
    ({"sdss_i": [15.0], "sdss_r": [15.0]}, "in one band of .*; got sdss_i, sdss_r"),
    ([15.0], "expected total magnitudes by band, such as .*; got list"),
    ({"sdss_i": [15.0, 16.0]}, "6 numbers, one per row; got float64 of shape \\[2\\]"),
    ({"sdss_i": "nope"}, "expected a column nope in the input; got ra"),
    ({"sdss_i": [15.0] * u.km}, "expected total magnitudes in sdss_i in .*; got unit 'km'"),
])  # fmt: skip
def test_wrong_totals_are_told_in_one_line(posterior, total, message):
    with pytest.raises(ValueError, match=message):
        summarize(posterior, spectra(ra=np.ones(6)), total)


def test_only_models_of_galaxies_have_totals(posterior, monkeypatch):
    monkeypatch.setattr("flowspec.posterior.aperture.EXTENSIVE", ("log_mhalo",))
    message = "expected total magnitudes only with a model of spectra that has log_mhalo; got z"
    with pytest.raises(ValueError, match=message):
        measured(posterior.model, spectra(), {"sdss_i": np.ones(6)})


# --- the command line


@pytest.fixture
def files(posterior, tmp_path):
    """A model, and an HDF5 file with magnitudes of the galaxies; the third has none."""
    posterior.save(tmp_path / "model")
    obs = spectra()
    fs.io.write(tmp_path / "x.h5", obs)
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["petro_i"] = own(obs) - [1.0, 2.0, np.nan, 0.5, 0.5, 0.5]
        file["petro_i_err"] = [0.01] * 6
    return tmp_path


def predict(folder, *words, output="out.ecsv") -> int:
    arguments = ["predict", str(folder / "x.h5"), "--model", str(folder / "model"),
                 "--num-samples", "100", "-o", str(folder / output)]
    return main([*arguments, *words])


@pytest.mark.parametrize("output", ["out.ecsv", "out.h5"])
def test_predict_gives_the_totals_that_python_gives(posterior, files, output):
    assert predict(files, "--total", "petro_i:petro_i_err:sdss_i", output=output) == 0
    obs = fs.read(files / "x.h5", keep=["petro_i", "petro_i_err"])
    names = {"sdss_i": "petro_i", "sdss_i_err": "petro_i_err"}
    expected = summarize(posterior, obs, names)
    if output.endswith(".h5"):
        with h5py.File(files / output) as file:
            found = np.stack([file[name][:] for name in TOTALS])
    else:
        table = Table.read(files / output)
        found = values(table, TOTALS)
        assert table["petro_i"].description and "no magnitude" in table["notes"][2]
    np.testing.assert_allclose(found, values(expected, TOTALS), atol=1e-4)  # six digits
    assert np.isfinite(found).all(0).tolist() == [True, True, False, True, True, True]


@pytest.mark.parametrize(("words", "message"), [
    (["nope:sdss_i"], "expected a column nope in the input; got"),
    (["petro_i:sdss_q"], "expected total magnitudes in one band of sdss_u"),
    (["petro_i"], "expected COLUMN:BAND or COLUMN:ERROR:BAND"),
])  # fmt: skip
def test_predict_tells_wrong_totals_in_one_line(files, capsys, words, message):
    try:
        assert predict(files, "--total", *words) == 2
    except SystemExit as end:
        assert end.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1] and said[-1].startswith("error: ")
    assert not (files / "out.ecsv").exists()


# --- a known galaxy


@pytest.mark.slow
def test_three_tenths_of_a_galaxy_give_back_all_of_it():
    """Through a fibre that holds 0.3 of the light, mass and rate are those of the whole galaxy."""
    sim, posterior = fs.GalaxySimulator("sdss"), fs.load("sdss")
    theta, flux, ivar = map(np.asarray, DRAWS(sim, jr.key(5)))
    full, part = fs.Spectra(sim.wave, flux, ivar), fs.Spectra(sim.wave, 0.3 * flux, ivar / 0.09)
    table = posterior.summarize(part, n=300, total={"sdss_i": own(full)})
    known = np.asarray(table["flags"] & int(Flag.NO_TOTAL)) == 0
    assert known.sum() > 32  # some have gaps in the band
    reference = posterior.summarize(full, n=300)
    for name in PARTS:
        low, middle, high = values(table[known], [f"{name}_total_p{p}" for p in (16, 50, 84)])
        width = 0.5 * (high - low)
        # of the same model, the whole spectrum being the answer
        away = values(reference[known], [f"{name}_p50"])[0] - middle
        assert np.median(np.abs(away / width)) < 0.5
        truth = theta[known, posterior.names.index(name)]
        # 0.67 where widths are right; these hold what is outside too
        assert np.median(np.abs((truth - middle) / width)) < 1.0
