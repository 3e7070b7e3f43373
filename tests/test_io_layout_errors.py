"""Files of known layouts that cannot be right: one line that says why, or a row with a note."""

import sys

import numpy as np
import pytest
from astropy.io import fits
from layouts import BAD, FLUX, SIGMA, SPOILED, WAVE, N, image, table, write
from test_io_layout_images import BANDS, bands, califa, gama, multispec, sixdf, wcs
from test_io_layouts import CGS, jwst, pypeit

from flowspec import io


def astra_models(path):
    columns = {"model_flux": FLUX[None], "continuum": FLUX[None], "ivar": SIGMA[None]}
    write(path, table(columns, "BOSS/APO"), header={"V_ASTRA": "0.6.0", "SDSS_ID": 42})


def counts_only(path):
    columns = {"OPT_WAVE": WAVE, "OPT_COUNTS": FLUX, "OPT_MASK": ~BAD}
    write(path, table(columns, "SPAT0176-SLIT0185-DET01", {"DMODCLS": "SpecObj"}))


def without_sigma(path):
    titles = {k: v for k, v in BANDS.items() if k != "BANDID4"}
    write(path, data=bands()[:3], header=titles | {"WAT0_001": "system=equispec", "CTYPE1":
          "LINEAR", "CRVAL1": 4000.0, "CD1_1": 1.5})  # fmt: skip


def without_unit(path):
    write(path, image((SIGMA / 10) ** 2, "VARIANCE"), data=FLUX, header=wcs(1))


CASES = {
    "models of Astra": (astra_models, "observed spectra .* got models"),
    "counts of 6dFGS": (sixdf, "flux_unit= .* got 6dFGS counts"),
    "counts of PypeIt": (counts_only, r"flux-calibrated spectra \(OPT_FLAM\); got counts only"),
    "no noise from IRAF": (without_sigma, "a band with the standard error"),
    "a spline of IRAF": (
        multispec(f"2 4000.0 1.5 {N} 0.|1.0 0. 3 3 1.0 {N}.0 1 2 3 4 5 6", WAVE),
        "Chebyshev or Legendre .* aperture 7; got a cubic spline"),
    "pixels of IRAF": (multispec(f"-1 0 1 {N} 0.", WAVE), "a dispersion .* aperture 7; got none"),
    "no unit of an image": (without_unit, "unit of flux in BUNIT, or flux_unit=; got none"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_line_says_why(case, tmp_path):
    make, message = CASES[case]
    make(tmp_path / "odd.fits")
    with pytest.raises(ValueError, match=f"odd.fits: expected .*{message}") as caught:
        io.read(tmp_path / "odd.fits")
    assert "\n" not in str(caught.value)


def test_an_object_without_flux_among_others_is_a_row_with_a_note(tmp_path):
    pypeit(tmp_path / "good.fits")
    counts_only(tmp_path / "counts.fits")
    with fits.open(tmp_path / "good.fits") as good, fits.open(tmp_path / "counts.fits") as counts:
        fits.HDUList([good[0], counts[1], good[2]]).writeto(tmp_path / "both.fits")
    s = io.read(tmp_path / "both.fits")
    assert s.names == ("both.fits#SPAT0176-SLIT0185-DET01", "both.fits#SPAT0300-SLIT0185-DET01")
    np.testing.assert_array_equal(s.usable, [False, True])
    assert "got counts only" in s.notes[0] and not s.notes[1]


def test_a_source_without_wavelengths_is_a_row_with_a_note(tmp_path):
    """As where a source of a WFSS field was outside one exposure."""
    columns = {"SOURCE_ID": [12, 57]} | jwst(2)
    columns["WAVELENGTH"][1] = columns["FLUX"][1] = np.nan
    units = {"WAVELENGTH": "um", "FLUX": "Jy", "FLUX_ERROR": "Jy"}
    write(tmp_path / "w.fits", table(columns, "EXTRACT1D", units=units))
    s = io.read(tmp_path / "w.fits")
    assert s.names == ("w.fits#12", "w.fits#57")
    np.testing.assert_array_equal(s.usable, [True, False])
    assert "expected wavelengths; got none" in s.notes[1]


def test_sources_in_several_exposures_are_told_apart(tmp_path):
    units = {"WAVELENGTH": "um", "FLUX": "Jy", "FLUX_ERROR": "Jy"}
    hdus = [table({"SOURCE_ID": [12, 57]} | jwst(2), "EXTRACT1D", units=units) for _ in range(2)]
    write(tmp_path / "w.fits", *hdus)
    names = io.read(tmp_path / "w.fits").names
    assert names == tuple(f"w.fits#{name}" for name in ("12#0", "57#1", "12#2", "57#3"))


def test_spaxels_without_data_are_rows_with_notes(tmp_path, caplog):
    caplog.set_level("INFO", logger="flowspec")
    califa(tmp_path / "cube.fits")
    with fits.open(tmp_path / "cube.fits", mode="update") as hdus:
        hdus[0].data[:, 1, 0] = np.nan
    s = io.read(tmp_path / "cube.fits")
    np.testing.assert_array_equal(s.usable, [True, True, False, True])
    assert "no good pixels" in s.notes[2]
    assert caplog.messages == ["1 of 4 spaxels have no data"]


@pytest.mark.parametrize(("says", "first"), [("T", 4000.0), ("F", io.air_to_vacuum(4000.0))])
def test_what_a_header_says_of_air_wins_over_the_survey(says, first, tmp_path):
    gama(tmp_path / "g.fits")
    fits.setval(tmp_path / "g.fits", "VACUUM", value=says)
    np.testing.assert_allclose(io.read(tmp_path / "g.fits").wave[0], first, atol=1e-6)


def test_columns_of_the_user_win_over_the_layout(tmp_path):
    pypeit(tmp_path / "p.fits")
    twice = io.read(tmp_path / "p.fits", columns={"err": "OPT_FLAM_SIG"})
    np.testing.assert_allclose(twice.ivar[0, ~BAD] ** -0.5, SIGMA[~BAD], rtol=1e-5)
    raw = io.read(tmp_path / "p.fits", columns={"flux": "OPT_COUNTS"})
    np.testing.assert_array_equal(raw.flux[0, ~BAD], 1)


def test_wavelengths_in_any_order(tmp_path):
    """Some dispersers run from red to blue; tables of several exposures interleave."""
    order = np.random.default_rng(0).permutation(N)
    columns = {"wavelength": WAVE[order] / 10, "flux": SPOILED[order], "error": SIGMA[order]}
    columns["mask"] = BAD[order] * 1
    write(tmp_path / "p.fits", table(columns, "FLUX_TABLE", {"MP_BAD": 0}))
    s = io.read(tmp_path / "p.fits", flux_unit=f"1e-17 {CGS}")
    np.testing.assert_allclose(s.wave, WAVE)
    np.testing.assert_allclose(s.flux[0, ~BAD], FLUX[~BAD], rtol=1e-6)
    np.testing.assert_array_equal(s.ivar[0] > 0, ~BAD)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(ValueError, match=r"a.parquet: expected pyarrow.*flowspec\[parquet\]"):
        io.read(tmp_path / "a.parquet")


def test_damaged_parquet_is_one_line(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(ValueError, match="a.parquet: expected a complete Parquet file") as caught:
        io.read(tmp_path / "a.parquet")
    assert "\n" not in str(caught.value)
