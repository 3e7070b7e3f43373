"""Units of flux, noise and wavelengths in all their spellings, and what happens without them."""

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import io
from flowspec.data.spectra import Spectra
from flowspec.data.units import FLUX_UNIT
from flowspec.io.join import common_grid
from flowspec.io.units import flux_power, parse_unit

WAVE = 10 ** (1e-4 * np.arange(36000, 36500))
N = len(WAVE)
FLUX = 3 + np.sin(np.arange(N))
ERR = 0.5 + 0.1 * np.cos(np.arange(N))
CGS = u.Unit("erg / (s cm2 AA)")
SPELLINGS = {
    CGS: """erg/s/cm2/A|ergs/s/cm^2/A|erg/s/cm^2/Å|ergs/sec/cm**2/Ang|erg/cm**2/s/angstrom|flam|FLAM
        erg cm**(-2) s**(-1) angstrom**(-1)|ERG/S/CM2/A|ERG/CM**2/S/ANGSTROM|erg/cm2/s/Angstroms
        erg s^-1 cm^-2 A^-1|erg s-1 cm-2 A-1|erg s^{-1} cm^{-2} \\AA^{-1}|erg/(s*cm**2*Angstrom)
        erg.s-1.cm-2.Angstrom-1|erg s$^{-1}$ cm$^{-2}$ $\\mathrm{\\AA}^{-1}$|erg/cm^2/s/A/spaxel""",
    1e-17 * CGS: """1E-17 erg/cm^2/s/Ang|10^-17 ergs/s/cm^2/A|10**-17 erg/(s cm2 Angstrom)
        10**(-17)*erg/s/cm**2/A|10-17erg/s/cm2/A|1E-17erg/s/cm2/A|E-17 erg/s/cm2/A
        1.e-17 erg/s/cm2/A|10^{-17} erg s^{-1} cm^{-2} A^{-1}|x10^-17 erg/s/cm2/A
        1E-17 ERG/S/CM2/A""",
    1e-40 * CGS**2: """(10**(-20)*erg/s/cm**2/Angstrom)**2|(1e-20 erg/s/cm2/A)^2
        1e-40 erg2/s2/cm4/A2""",
    1e34 * CGS**-2: """1e34 s2 cm4 A2 / erg2|10**+34 (s2 cm4 Angstrom2) / erg2
        (1e-17 erg/s/cm2/A)^-2|1/(1e-17 erg/s/cm^2/A)^2""",
    u.W / u.m**2 / u.um: "W/m2/um|W/m^2/µm|W m-2 um-1|W/m2/micron|W/m**2/microns|watt/m2/um",
    u.Jy: "Jy|jy|JY|jansky",
    u.mJy: "mJy|mjy",
    u.uJy: "uJy|µJy|microJy",
    u.nJy: "nJy|NJY",
    u.MJy: "MJy",
    u.AA: "A|AA|Ang|angstroms|Angstroms|ANGSTROM|Å|0.1nm",
    u.um: "um|µm|micron|microns|MICRONS",
    u.nm: "nm|NM|nanometers",
    u.m: "m|meters",
}


def table(path, units=(), **columns):
    """A FITS table; `units` are texts in the order of the columns."""
    hdu = fits.BinTableHDU(Table(columns))
    for i, unit in enumerate(units, 1):
        if unit:
            hdu.header[f"TUNIT{i}"] = unit
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)
    return path


@pytest.mark.parametrize("unit", SPELLINGS, ids=str)
def test_spellings_of_a_unit(unit):
    for text in SPELLINGS[unit].replace("\n", "|").split("|"):
        got = (1 * parse_unit(text.strip())).to_value(u.Unit(unit))
        assert got == pytest.approx(1, rel=1e-12), text


@pytest.mark.parametrize("text", ["furlongs", "MJY", "mag(AB)", "nanomaggies", "counts"])
def test_what_is_no_unit_or_either_of_two_is_refused(text):
    with pytest.raises(ValueError, match=f"got unit '{text.replace('(', '.').replace(')', '.')}'"):
        parse_unit(text)


def test_powers_of_a_flux_density():
    for power in (1, 2, -2):
        assert flux_power(u.Jy**power) == (power, u.Jy)
        assert flux_power(FLUX_UNIT**power)[0] == power
    for other in (u.ct, u.km / u.s, u.AA, u.Unit("erg/(s cm2)"), u.MJy / u.sr):
        assert flux_power(other) is None


def test_flux_and_noise_come_out_in_one_unit(tmp_path):
    """F_λ = F_ν c / λ², 1 W/m2/um = 0.1 erg/s/cm2/A = 1e16 units."""
    jansky = 1e-23 * 2.99792458e18 / WAVE**2 * 1e17
    ivar = {"flux": "1e-17 erg/s/cm2/A", "noise": "1e34 s2 cm4 A2 / erg2"}
    for name, flux_unit, noise_unit, factor, noise in (
        ("ERROR", "ergs/s/cm^2/A", "ergs/s/cm^2/A", 1e17, ERR),
        ("IVAR", ivar["flux"], ivar["noise"], 1, ERR**-2),
        ("ERR", "Jy", "mJy", jansky, 1e3 * ERR),
        ("ERR", "nJy", "", 1e-9 * jansky, ERR),
        ("VAR", "W/m2/um", "(W/m2/um)^2", 1e16, ERR**2),
    ):
        columns = {"WAVELENGTH": WAVE, "FLUX": FLUX, name: noise}
        path = table(tmp_path / "t.fits", ("angstroms", flux_unit, noise_unit), **columns)
        s = io.read(path)
        np.testing.assert_allclose(s.wave, WAVE)
        np.testing.assert_allclose(s.flux[0], FLUX * factor, rtol=1e-6)
        np.testing.assert_allclose(s.ivar[0] ** -0.5, ERR * factor, rtol=1e-5)


def test_the_unit_of_noise_tells_its_kind(tmp_path):
    for unit, noise in (("(erg/s/cm2/A)^2", ERR**2), ("(erg/s/cm2/A)^-2", ERR**-2)):
        units = ("A", "erg/s/cm2/A", unit)
        s = io.read(table(tmp_path / "t.fits", units, wave=WAVE, flux=FLUX, uncertainty=noise))
        np.testing.assert_allclose(s.ivar[0] ** -0.5, 1e17 * ERR, rtol=1e-5)
    for name, unit in (("ivar", "erg/s/cm2/A"), ("var", "erg/s/cm2/A"), ("ivar", "1e-34 erg2")):
        units = ("A", "erg/s/cm2/A", unit)
        path = table(tmp_path / "t.fits", units, **{"wave": WAVE, "flux": FLUX, name: ERR})
        with pytest.raises(ValueError, match=f"expected {name} in a flux density"):
            io.read(path)
        assert io.read(path, flux_unit="erg/s/cm2/A").usable.all()


def test_a_width_of_lines_is_no_noise(tmp_path):
    columns = {"WAVE": WAVE, "FLUX": FLUX, "SIGMA": np.full(N, 1.3)}
    beside = table(tmp_path / "a.fits", ("A", "Jy"), **columns, FLUX_ERR=ERR)
    s, first = io.read(beside), io.read(beside, columns={"err": "SIGMA"})
    np.testing.assert_allclose(s.ivar / first.ivar, [(1.3 / ERR) ** 2], rtol=1e-5)
    for unit in ("Angstrom", "km/s", "pix", "0.7 arcsec"):
        path = table(tmp_path / "b.fits", ("A", "Jy", unit), **columns)
        with pytest.raises(ValueError, match="expected "):
            io.read(path)
    s = io.read(table(tmp_path / "c.fits", ("A", "Jy"), **columns))
    assert "SIGMA is the error of flux" in s.notes[0]


def test_what_a_file_does_not_say_is_in_the_notes(tmp_path):
    bare = {"wave": WAVE, "flux": FLUX, "err": ERR}
    s = io.read(table(tmp_path / "t.fits", **bare))
    np.testing.assert_allclose(s.flux[0], FLUX, rtol=1e-6)
    assert s.notes == ("assumed: flux in 1e-17 erg/s/cm2/A, wavelengths in A in vacuum",)
    said = {"flux_unit": "1e-17 erg/s/cm2/A", "wave_unit": "A", "air": False}
    assert io.read(tmp_path / "t.fits", **said).notes == ("",)
    with h5py.File(tmp_path / "t.h5", "w") as f:
        for name, values in bare.items():
            f[name] = values
    assert io.read(tmp_path / "t.h5").notes == s.notes
    io.write(tmp_path / "own.h5", Spectra(WAVE, FLUX, ERR**-2))
    assert io.read(tmp_path / "own.h5").notes == ("",)


def test_the_unit_of_a_header(tmp_path):
    path = table(tmp_path / "t.fits", ("A",), wave=WAVE, flux=FLUX, err=ERR)
    for ext, unit, factor in ((0, "1E-16 erg/cm^2/s/Ang", 10), (1, "1E-18 erg/cm^2/s/Ang", 0.1)):
        fits.setval(path, "BUNIT", value=unit, ext=ext)
        s = io.read(path)
        np.testing.assert_allclose(s.flux[0], FLUX * factor, rtol=1e-6)
        np.testing.assert_allclose(s.ivar[0] ** -0.5, ERR * factor, rtol=1e-5)
        assert s.notes == ("assumed: wavelengths in vacuum",)


def test_flux_without_a_unit_takes_that_of_its_error(tmp_path):
    path = table(tmp_path / "t.fits", ("A", "", "erg/s/cm2/A"), wave=WAVE, flux=FLUX, err=ERR)
    s = io.read(path)
    np.testing.assert_allclose(s.flux[0], FLUX * 1e17, rtol=1e-6)
    assert "flux in erg / (Angstrom s cm2)" in s.notes[0]


@pytest.mark.parametrize("unit", ["erg/s/cm2", "MJy/sr", "ct", "km/s"])
def test_what_is_no_flux_density_is_refused(tmp_path, unit):
    path = table(tmp_path / "t.fits", ("A", unit, unit), wave=WAVE, flux=FLUX, err=ERR)
    with pytest.raises(ValueError, match="a flux density such as"):
        io.read(path)
    bare = table(tmp_path / "nu.fits", ("A",), wave=WAVE, fnu=FLUX, err=ERR)
    with pytest.raises(ValueError, match="expected a unit of fnu"):
        io.read(bare)
    assert io.read(bare, flux_unit="uJy").usable.all()


def test_solutions_in_wavelength_logarithm_and_frequency(tmp_path):
    rest = {"flux": FLUX, "err": ERR}
    for name, values, unit in (
        ("loglam", np.log10(WAVE), ""),
        ("LOGLAM", np.log(WAVE), ""),
        ("wave", np.log10(WAVE / 10), "log10(nm)"),
        ("wave", np.log(WAVE), "ln(Angstrom)"),
        ("wave_nm", WAVE / 10, ""),
        ("Wavelength [um]", WAVE / 1e4, ""),
        ("lambda", WAVE * 1e-10, "m"),
    ):
        s = io.read(table(tmp_path / "t.fits", (unit,), **{name: values}, **rest))
        np.testing.assert_allclose(s.wave, WAVE, rtol=1e-9, err_msg=f"{name} {unit}")
        np.testing.assert_allclose(s.flux[0], FLUX, rtol=1e-6)
    frequency = 2.99792458e18 / WAVE
    mask = np.arange(N) == 7
    s = io.read(table(tmp_path / "t.fits", ("Hz",), wave=frequency[::-1], mask=mask[::-1],
                      **{name: values[::-1] for name, values in rest.items()}))  # fmt: skip
    np.testing.assert_allclose(s.wave, WAVE, rtol=1e-9)
    assert np.flatnonzero(s.ivar[0] == 0).tolist() == [7]
    np.testing.assert_allclose(s.flux[0][~mask], FLUX[~mask], rtol=1e-6)


def test_impossible_wavelengths_are_one_error(tmp_path):
    rest = {"flux": FLUX, "err": ERR}
    for unit, wave, words in (
        ("m", WAVE, "100 to 1e.07 A; got .* m: is their unit right"),
        ("", WAVE / 10, "without a unit: name it"),
        ("", WAVE / 1e4, "without a unit: name it"),
        ("A", np.full(N, np.nan), "none that is finite and positive"),
        ("A", np.zeros(N), "none that is finite and positive"),
    ):
        path = table(tmp_path / "bad.fits", (unit,), wave=wave, **rest)
        with pytest.raises(ValueError, match=words):
            io.read(path, columns={"wave": "wave"})
        good = table(tmp_path / "good.fits", ("A",), wave=WAVE, **rest)
        s = io.read([good, path], columns={"wave": "wave"})
        assert len(s.wave) == N and s.usable.tolist() == [True, False] and "wave" in s.notes[1]


def test_a_grid_is_never_extended_without_end(tmp_path):
    fine = table(tmp_path / "a.fits", ("A",), wave=4000 + 1e-6 * np.arange(N), flux=FLUX, err=ERR)
    wide = table(tmp_path / "b.fits", ("A",), wave=WAVE, flux=FLUX, err=ERR)
    with pytest.raises(ValueError, match="fit on one grid; got 4000-4000 A in steps of 1e-06 A"):
        io.read([fine, wide])
    assert len(io.read([fine, wide], wave=WAVE)) == 2
    grids = [4000 + 0.1 * np.arange(N), np.linspace(5000, 20000, N)]
    assert len(common_grid(grids)) > 150_000
    with pytest.raises(ValueError, match="fit on one grid"):
        common_grid(grids, rows=10_000)  # 8 GB


def test_what_was_assumed_is_no_reason_for_no_data(tmp_path):
    path = table(tmp_path / "t.fits", ("A", "Jy"), wave=WAVE, flux=FLUX, err=0 * ERR)
    reason = "no good pixels between 3981 and 4466 A"
    assert io.read(path).notes == (f"{reason}; assumed: wavelengths in vacuum",)
    good = table(tmp_path / "good.fits", ("A", "Jy"), wave=WAVE, flux=FLUX, err=ERR)
    beyond = io.read(good).resample(np.linspace(6000, 7000, 50))
    assert beyond.notes[0].startswith("no good pixels between 6000 and 7000 A; assumed")
