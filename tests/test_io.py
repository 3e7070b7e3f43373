"""Reading every format of the real files, and what happens to bad ones."""

import gzip
import shutil
import warnings

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import io
from flowspec.data.spectra import Spectra
from flowspec.io.rows import padded_ends

WAVE = 10 ** (1e-4 * np.arange(35900, 36400))
N = len(WAVE)
MUSE_BUNIT = "10**(-20)*erg/s/cm**2/Angstrom"


# --- air and vacuum


@pytest.mark.parametrize(
    ("air", "vacuum"),  # NIST: Na D, Hα; Morton (1991) as used by SDSS: [O III], Hβ
    [(5889.951, 5891.583), (6562.79, 6564.60), (5006.843, 5008.240), (4861.325, 4862.683)],
)
def test_air_to_vacuum_agrees_with_published_pairs(air, vacuum):
    assert abs(io.air_to_vacuum(air) - vacuum) < 0.006
    assert abs(io.vacuum_to_air(vacuum) - air) < 0.006


def test_air_to_vacuum_is_the_inverse_of_vacuum_to_air():
    wave = np.geomspace(1000, 50000, 500)
    back = io.air_to_vacuum(io.vacuum_to_air(wave[wave > 2001]))
    np.testing.assert_allclose(back, wave[wave > 2001], rtol=0, atol=1e-8)
    assert (np.diff(io.air_to_vacuum(wave)) > 0).all()


# --- real files


def test_sdss_files_equal_the_repacked_set(data):
    folder = data / "spectra/sdss"
    files = sorted((folder / "raw").glob("*.fits"))
    spectra = io.read(str(folder / "raw/*.fits"))
    assert spectra.names == tuple(f.name for f in files) and not any(spectra.notes)
    whole = io.read(folder / "sdss.h5")
    assert len(whole) == 1060 and whole.names[3] == "sdss.h5#3"
    with h5py.File(folder / "sdss.h5") as f:
        stored = [name.decode() for name in f["catalog/file"][:]]
        np.testing.assert_array_equal(whole.flux, f["flux"][:])
    rows = [stored.index(name) for name in spectra.names if name in stored]
    assert len(rows) >= 8
    known = [name in stored for name in spectra.names]
    lattice = np.rint(np.log10(whole.wave) * 1e4)
    first = np.searchsorted(lattice, np.rint(np.log10(spectra.wave[0]) * 1e4))
    there = slice(first, first + len(spectra.wave))
    np.testing.assert_allclose(whole.wave[there], spectra.wave, rtol=1e-9)
    mine = spectra[np.array(known)]
    np.testing.assert_array_equal(mine.ivar, whole.ivar[rows, there])
    good = mine.ivar > 0
    np.testing.assert_array_equal(mine.flux[good], whole.flux[rows, there][good])


def test_sdss_files_of_different_length_join_without_resampling(data):
    files = sorted((data / "spectra/boss").glob("*.fits"))
    spectra = io.read(files)
    assert len({io.read(f).wave[0] for f in files}) > 1
    for i, file in enumerate(files):
        with fits.open(file) as hdus:
            table = hdus["COADD"].data
            good = spectra.ivar[i] > 0
            np.testing.assert_array_equal(spectra.flux[i, good], table["flux"][table["ivar"] > 0])
            loglam = table["loglam"][table["ivar"] > 0]
            np.testing.assert_allclose(np.log10(spectra.wave[good]), loglam, atol=1e-6)


def test_desi_arms_are_joined_by_inverse_variance(data):
    path = data / "spectra/desi/coadd-5-169-thru20210419.fits"
    s = io.read(path)
    assert s.flux.shape == (5, 7781) and s.wave[0] == 3600 and abs(s.wave[-1] - 9824) < 1e-6
    assert s.names[4].endswith("#39633300968442591")
    np.testing.assert_array_equal(s.usable, [False] * 4 + [True])
    assert all(s.notes[:4]) and not s.notes[4]
    with fits.open(path) as hdus:
        blue, red = ({k: hdus[f"{arm}_{k}"].data for k in ("WAVELENGTH", "FLUX", "IVAR")}
                     for arm in "BR")  # fmt: skip
    only = blue["WAVELENGTH"] < 5759
    np.testing.assert_array_equal(s.flux[4, : only.sum()], blue["FLUX"][4, only])
    grids = blue["WAVELENGTH"], red["WAVELENGTH"], s.wave
    i, j, k = (np.searchsorted(wave, 5780 - 1e-3) for wave in grids)
    ivar = [blue["IVAR"][4, i], red["IVAR"][4, j]]
    mean = np.average([blue["FLUX"][4, i], red["FLUX"][4, j]], weights=ivar)
    np.testing.assert_allclose([s.flux[4, k], s.ivar[4, k]], [mean, sum(ivar)], rtol=1e-5)


def test_muse_wavelengths_are_vacuum(data):
    """Residuals of bright sky lines ([O I], OH) peak in STAT at their vacuum wavelengths."""
    s = io.read(str(data / "spectra/muse_udf10/udf10_0*.fits"))
    assert not any(s.notes) and len(s) == 13
    variance = (1 / s.ivar / np.median(1 / s.ivar, axis=1, keepdims=True)).sum(axis=0)
    for air in (5577.339, 6300.304, 6863.956, 7276.405, 7913.708, 8344.602, 8399.170, 8885.850):
        vacuum = io.air_to_vacuum(air)
        near = np.abs(s.wave - vacuum) < 5
        excess = variance[near] - np.median(variance[np.abs(s.wave - vacuum) < 40])
        peak = np.average(s.wave[near], weights=np.maximum(excess, 0))
        assert abs(peak - vacuum) < 0.3  # the two differ by 1.5 to 2.4 Å


def test_muse_lines_share_one_redshift(data):
    """Lines of one galaxy at vacuum rest wavelengths agree. The catalogue's z were measured on the
    air wavelengths of the files, so that they lie the air-vacuum step below."""
    s = io.read(data / "spectra/muse_udf10/udf10_00091.fits")
    catalogue = 0.71853
    for rest in (4862.69, 4960.30, 5008.24):
        centre = rest * (1 + catalogue)
        near = np.abs(s.wave - centre) < 9
        line = s.flux[0, near] - np.median(s.flux[0, np.abs(s.wave - centre) < 60])
        z = np.average(s.wave[near], weights=np.maximum(line, 0)) / rest - 1
        assert abs(z - (1.000275 * (1 + catalogue) - 1)) < 1.2e-4


def test_jwst_and_jades_agree_with_their_headers(data):
    product = next((data / "spectra/jades").glob("hlsp*_x1d.fits"))
    s = io.read(product)
    table = fits.getdata(product, 1)
    good = s.ivar[0] > 0
    np.testing.assert_allclose(s.wave, table["WAVELENGTH"] * 1e4)
    np.testing.assert_allclose(s.flux[0, good], table["FLUX"][good] * 1e17, rtol=1e-6)
    gto = data / "spectra/jades/001927_prism_clear_v5.0_1D.fits"
    s = io.read(gto)
    np.testing.assert_allclose(s.wave, fits.getdata(gto, "WAVELENGTH") * 1e10)
    # W/m³ = 1e7 erg/s / 1e4 cm² / 1e10 Å
    np.testing.assert_allclose(s.flux[0], fits.getdata(gto, "DATA") * 1e-7 * 1e17, rtol=1e-6)
    np.testing.assert_allclose(s.ivar[0] ** -0.5, fits.getdata(gto, "ERR") * 1e10, rtol=1e-5)


def test_manga_images_in_gzip(data):
    s = io.read(data / "spectra/manga/MaNGA_test_spectra.fits.gz")
    assert s.flux.shape == (8, 4563) and s.names[7] == "MaNGA_test_spectra.fits.gz#7"
    with fits.open(data / "spectra/manga/MaNGA_test_spectra.fits.gz") as hdus:
        good = (hdus["MASK"].data == 0) & (hdus["IVAR"].data > 0)
        np.testing.assert_array_equal(s.ivar > 0, good)
        np.testing.assert_array_equal(s.flux[good], hdus["FLUX"].data[good].astype("f4"))


def test_vandels_with_a_unit_of_the_user(data):
    path = data / "spectra/vandels/vandels.h5"
    s = io.read(path, flux_unit="1e-18 erg/s/cm2/A")
    with h5py.File(path) as f:
        flux, error, name = f["flux"][:], f["flux_err"][:], f["name"][0].decode()
    assert s.names[0] == name and len(s) == 566
    good = s.ivar > 0  # all with an error, but for huge ones and the ends padded with a constant
    best = np.nanquantile(np.where(error > 0, error, np.nan), 0.01, axis=1, keepdims=True)
    np.testing.assert_array_equal(good, (error > 0) & (error < 1e4 * best) & ~padded_ends(flux))
    assert 0 < (~good & (error > 0)).mean() < 0.02
    np.testing.assert_allclose(s.flux[good], flux[good] / 10, rtol=1e-6)
    snr = flux[good] / error[good]
    np.testing.assert_allclose((s.flux * np.sqrt(s.ivar))[good], snr, rtol=1e-5)
    chunks = list(io.stream(path, 200, flux_unit="1e-18 erg/s/cm2/A"))
    assert [len(c) for c in chunks] == [200, 200, 166]
    np.testing.assert_array_equal(chunks[2].flux, s.flux[400:])


def test_mixed_instruments_keep_flux_on_the_first_grid_extended(data):
    files = [
        data / "spectra/sdss/raw/spec-1160-52674-0005.fits",
        data / "spectra/muse_udf10/udf10_00004.fits",
        data / "spectra/desi/coadd-4-80613-thru20210324.fits",
    ]
    s, parts = io.read(files), [io.read(f) for f in files]
    assert len(s) == 3 and s.wave[0] <= 3600.1 and s.wave[-1] >= 9823.9
    first = np.searchsorted(s.wave, parts[0].wave[0])
    np.testing.assert_array_equal(s.flux[0, first : first + len(parts[0].wave)], parts[0].flux[0])
    for i in (1, 2):
        band = (5000, 7000)
        integral = [
            np.trapezoid(x.flux[row][k], x.wave[k])
            for x, row in ((s, i), (parts[i], 0))
            for k in [(x.wave > band[0]) & (x.wave < band[1])]
        ]
        np.testing.assert_allclose(*integral, rtol=2e-3)


@pytest.mark.parametrize("name", ["sdss/raw/spec-1160-52674-0005.fits", "vandels/vandels.h5"])
def test_gzip_of_anything(data, tmp_path, name):
    path = data / "spectra" / name
    packed = tmp_path / (path.name + ".gz")
    with path.open("rb") as source, gzip.open(packed, "wb", compresslevel=1) as target:
        shutil.copyfileobj(source, target)
    a, b = io.read(path), io.read(packed)
    np.testing.assert_array_equal(a.flux, b.flux)
    np.testing.assert_array_equal(a.wave, b.wave)


def test_specutils_reads_the_same(data):
    specutils = pytest.importorskip("specutils")
    path = data / "spectra/sdss/raw/spec-1160-52674-0005.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Spectra.from_specutils(specutils.Spectrum.read(path))
    mine = io.read(path)
    np.testing.assert_allclose(theirs.wave, mine.wave, rtol=1e-6)
    good = theirs.ivar > 0  # they mask more: every pixel with a bit of and_mask
    assert good.mean() > 0.99
    np.testing.assert_array_equal(theirs.flux[good], mine.flux[good])
    np.testing.assert_allclose(theirs.ivar[good], mine.ivar[good], rtol=1e-6)


# --- synthetic files of other layouts


def test_jwst_pipeline_x1d_in_jansky(tmp_path):
    wave = np.linspace(1, 2, 50)
    table = Table({"WAVELENGTH": wave * u.um, "FLUX": np.full(50, 2e-6) * u.Jy})
    table["FLUX_ERROR"] = np.full(50, 1e-6) * u.Jy
    table["DQ"] = np.r_[1, 4, np.zeros(48, int)]  # DO_NOT_USE, and a mere remark
    table["FLUX"][7] = np.nan
    hdus = [fits.BinTableHDU(table, name="EXTRACT1D") for _ in range(2)]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "a_x1d.fits")
    s = io.read(tmp_path / "a_x1d.fits")
    assert s.names == ("a_x1d.fits#0", "a_x1d.fits#1")
    expected = 2e-6 * 1e-23 * 2.99792458e18 / (wave * 1e4) ** 2 * 1e17
    good = s.ivar[0] > 0
    assert list(np.flatnonzero(~good)) == [0, 7]
    np.testing.assert_allclose(s.flux[0, good], expected[good], rtol=1e-6)
    np.testing.assert_allclose((s.flux * np.sqrt(s.ivar))[0, good], 2, rtol=1e-6)


def muse_cube(path, shape=(300, 3, 4), ctype="AWAV"):
    cube = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    hdus = [fits.PrimaryHDU()]
    for name, values, power in (("DATA", cube, 1), ("STAT", np.full(shape, 25, "f4"), 2)):
        hdu = fits.ImageHDU(values, name=name)
        hdu.header.update(CRVAL3=4750.0, CRPIX3=1.0, CD3_3=1.25, CTYPE3=ctype, CUNIT3="Angstrom")
        hdu.header["BUNIT"] = MUSE_BUNIT if power == 1 else f"({MUSE_BUNIT})**2"
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(path)
    return cube


def test_muse_cube_spaxels_and_mask(tmp_path):
    cube = muse_cube(tmp_path / "cube.fits")
    s = io.read(tmp_path / "cube.fits")
    assert len(s) == 12 and s.names[5] == "cube.fits#1,1"
    np.testing.assert_allclose(s.flux[5], cube[:, 1, 1] * 1e-3, rtol=1e-6)
    np.testing.assert_allclose(s.ivar[5], 1 / (5e-3) ** 2, rtol=1e-5)
    np.testing.assert_allclose(io.vacuum_to_air(s.wave), 4750 + 1.25 * np.arange(300), atol=1e-6)
    mask = np.zeros((3, 4), bool)
    mask[2, 1] = mask[0, 3] = True
    some = io.read(tmp_path / "cube.fits", mask=mask)
    assert some.names == ("cube.fits#0,3", "cube.fits#2,1")
    np.testing.assert_array_equal(some.flux[1], s.flux[9])
    with pytest.raises(ValueError, match=r"cube.fits: expected a mask of shape \(3, 4\)"):
        io.read(tmp_path / "cube.fits", mask=np.ones((2, 2)))
    muse_cube(tmp_path / "vacuum.fits", ctype="WAVE")
    assert io.read(tmp_path / "vacuum.fits").wave[0] == 4750
    assert io.read(tmp_path / "vacuum.fits", air=True).wave[0] > 4751


def test_tables_with_named_columns(tmp_path):
    nm = {"Wavelength": WAVE / 10 * u.nm, "FLAM": np.ones(N) * u.Unit("erg/(s cm2 AA)") * 1e-16}
    table = Table(nm | {"sigma": np.full(N, 5e-17) * u.Unit("erg/(s cm2 AA)")})
    table.write(tmp_path / "t.fits")
    s = io.read(tmp_path / "t.fits")
    np.testing.assert_allclose(s.wave, WAVE)
    np.testing.assert_allclose([s.flux[0, 0], s.ivar[0, 0]], [10, 1 / 25], rtol=1e-6)
    rows = Table({"wave": np.tile(WAVE, (3, 1)), "flux": np.ones((3, N)), "ivar": np.ones((3, N))})
    rows["flux"][1] = 7
    rows.write(tmp_path / "rows.fits")
    s = io.read(tmp_path / "rows.fits")
    assert s.names == tuple(f"rows.fits#{i}" for i in range(3)) and s.flux[1, 0] == 7
    rows["wave"][2] = WAVE * 10**5e-5  # half a pixel away
    rows.write(tmp_path / "grids.fits")
    assert io.read(tmp_path / "grids.fits").flux.shape[0] == 3
    odd = Table({"L": WAVE, "F": np.ones(N), "V": np.full(N, 4.0)})
    odd.write(tmp_path / "odd.fits")
    for columns, message in (
        ({}, r"table - \(L, F, V\)"),
        ({"wave": "L", "flux": "G"}, "among L, F, V; got G"),
        ({"wave": "L", "flux": "F"}, "a column of ivar, var, err"),
    ):
        with pytest.raises(ValueError, match=f"odd.fits: expected .*{message}"):
            io.read(tmp_path / "odd.fits", columns=columns)
    s = io.read(tmp_path / "odd.fits", columns={"wave": "L", "flux": "F", "var": "V"})
    np.testing.assert_allclose(s.ivar, 0.25)


def test_hdf5_with_units_and_paths(tmp_path):
    with h5py.File(tmp_path / "u.h5", "w") as f:
        f["spec/w"], f["flux"], f["err"] = WAVE / 1e4, np.ones((2, N)), np.full((2, N), 0.1)
        f["spec/w"].attrs["units"] = "um"
        f["flux"].attrs["units"] = f["err"].attrs["units"] = "mJy"
    with pytest.raises(ValueError, match="u.h5: expected a column of wave, loglam"):
        io.read(tmp_path / "u.h5")
    s = io.read(tmp_path / "u.h5", columns={"wave": "spec/w"})
    np.testing.assert_allclose(s.wave, WAVE)
    np.testing.assert_allclose(s.flux[0], 1e-26 * 2.99792458e18 / WAVE**2 * 1e17, rtol=1e-6)
    np.testing.assert_allclose(s.flux * np.sqrt(s.ivar), 10, rtol=1e-5)


def test_resampling_to_a_grid_and_labels_of_equal_names(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        rows = {"wave": WAVE, "flux": np.ones(N), "ivar": np.ones(N)}
        Table(rows).write(tmp_path / folder / "s.fits")
    s = io.read(str(tmp_path / "?" / "s.fits"), wave=WAVE[100:200])
    assert s.flux.shape == (2, 100)
    assert s.names == tuple(str(tmp_path / f / "s.fits") for f in "ab")
    in_um = io.read(tmp_path / "a/s.fits", wave=[0.4, 0.41] * u.um)
    np.testing.assert_allclose(in_um.wave, [4000, 4100])


def test_constant_ends_are_padding_and_constant_insides_are_not():
    flux = np.sin(np.arange(100.0))[None].repeat(3, 0)
    flux[0, :20], flux[1, -12:], flux[2, 40:60] = 7.0, 0.0, 3.0
    masked = padded_ends(flux)
    assert np.flatnonzero(masked[0]).tolist() == list(range(20))
    assert np.flatnonzero(masked[1]).tolist() == list(range(88, 100))
    assert not masked[2].any() and not padded_ends(np.ones((1, 50))).any()
