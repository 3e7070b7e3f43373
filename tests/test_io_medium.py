"""Air and vacuum: from every word that says so, and only then."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import io
from flowspec.io.medium import says_air

WAVE = 10 ** (1e-4 * np.arange(36000, 36200))
ONES = np.ones(len(WAVE))


@pytest.mark.parametrize(
    ("card", "air"),
    [
        (("AIRORVAC", "air"), True),
        (("AIRORVAC", "vac"), False),
        (("VACUUM", True), False),
        (("VACUUM", "F"), True),
        (("CTYPE1", "AWAV"), True),
        (("CTYPE3", "AWAV-LOG"), True),
        (("CTYPE1", "WAVE"), False),
        (("TCTYP1", "WAVE-LOG"), False),
        (("WAT1_001", 'wtype=linear label="air wavelength" units=angstroms'), True),
        (("WAT1_001", "wtype=linear label=Wavelength units=angstroms"), None),
        (("CTYPE1", "LINEAR"), None),
        (("CTYPE1", "WAVELENGTH"), None),
        (("SPECSYS", "BARYCENT"), None),
        (("AIRMASS", 1.2), None),
        (("COMMENT", "wavelengths are in air"), None),
    ],
)
def test_keywords(tmp_path, card, air):
    assert says_air(dict([card])) is air
    for place in (0, 1):
        hdu = fits.BinTableHDU(Table({"WAVE": WAVE, "FLUX": ONES, "ERR": ONES}))
        hdus = fits.HDUList([fits.PrimaryHDU(), hdu])
        hdus[place].header[card[0]] = card[1]
        hdus.writeto(tmp_path / "t.fits", overwrite=True)
        s = io.read(tmp_path / "t.fits")
        np.testing.assert_allclose(s.wave, io.air_to_vacuum(WAVE) if air else WAVE, rtol=1e-12)
        assert ("in vacuum" in s.notes[0]) == (air is None)


@pytest.mark.parametrize(
    ("name", "ucd", "air"),
    [
        ("wave_air", "", True),
        ("AIR_WAVELENGTH", "", True),
        ("lambda_vac", "", False),
        ("WAVE", "em.wl;obs.atmos", True),
        ("WAVE", "em.wl", False),
        ("lambda_nm", "", None),
    ],
)
def test_names_and_ucds(name, ucd, air):
    assert says_air(name=name, ucd=ucd) is air
    if name != "WAVE":  # the column comes before the file
        assert says_air({"AIRORVAC": "vac"}, name=name, ucd=ucd) is (air or False)


def test_of_two_columns_that_in_vacuum_is_taken(tmp_path):
    columns = {"wave_air": io.vacuum_to_air(WAVE), "wave_vac": WAVE, "flux": ONES, "err": ONES}
    Table(columns).write(tmp_path / "t.fits")
    np.testing.assert_array_equal(io.read(tmp_path / "t.fits").wave, WAVE)
    s = io.read(tmp_path / "t.fits", columns={"wave": "wave_air"})
    np.testing.assert_allclose(s.wave, WAVE, rtol=1e-12)


def test_phase_3_spectrum_in_air(tmp_path):
    """ESO's phase 3: one row of arrays, in nm, `obs.atmos` for air."""
    air = io.vacuum_to_air(WAVE) / 10
    hdu = fits.BinTableHDU(Table({"WAVE": [air], "FLUX": [ONES], "ERR": [ONES]}))
    hdu.header.update(TUNIT1="nm", TUCD1="em.wl;obs.atmos")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "t.fits")
    np.testing.assert_allclose(io.read(tmp_path / "t.fits").wave, WAVE, rtol=1e-10)


def test_a_header_that_says_both_is_an_error(tmp_path):
    hdu = fits.BinTableHDU(Table({"WAVE": WAVE, "FLUX": ONES, "ERR": ONES}))
    hdu.header.update(AIRORVAC="air", VACUUM=True)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "t.fits")
    with pytest.raises(ValueError, match=r"in air or in vacuum .say air=.; got AIRORVAC = air"):
        io.read(tmp_path / "t.fits")
    np.testing.assert_array_equal(io.read(tmp_path / "t.fits", air=False).wave, WAVE)


def test_attributes_of_hdf5(tmp_path):
    for place, key, value, air in (
        ("wave", "medium", "air", True),
        ("/", "AIRORVAC", b"air", True),
        ("wave", "vacuum", True, False),
        ("/", "observer", "air", None),
    ):
        with h5py.File(tmp_path / "t.h5", "w") as f:
            f["wave"], f["flux"], f["err"] = WAVE, ONES, ONES
            f[place].attrs[key] = value
        s = io.read(tmp_path / "t.h5")
        np.testing.assert_allclose(s.wave, io.air_to_vacuum(WAVE) if air else WAVE, rtol=1e-12)
        assert ("in vacuum" in s.notes[0]) == (air is None)
