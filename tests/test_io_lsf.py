"""Line-spread functions in files: what is taken for one, its units, and what real files say."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from layouts import BAD, FLUX, SIGMA, WAVE, N, image, table, write
from scipy.special import erf
from scipy.stats import norm

from flowspec import io
from flowspec.data.lsf import power_of_lsf
from flowspec.data.spectra import Spectra
from flowspec.io.sdss import write_sdss
from flowspec.sim.instrument.desi import desi

PIXEL_KMS = 69.03  # 1e-4 ln 10 c
IVAR = np.where(BAD, 0, SIGMA**-2)


def columns(rows=None, **more):
    """A spectrum, or so many rows of it, and further columns."""
    shape = (lambda x: x) if rows is None else (lambda x: np.tile(x, (rows, 1)))
    return {"WAVE": shape(WAVE), "FLUX": shape(FLUX), "IVAR": shape(IVAR), **more}


def saved(path, *hdus, header=()):
    write(path, *hdus, header=header)
    return path


def hdf5(path, units=(), **sets):
    with h5py.File(path, "w") as file:
        for name, values in sets.items():
            file[name] = values
        for name, unit in dict(units).items():
            file[name].attrs["units"] = unit
    return path


def test_wdisp_is_in_pixels_of_the_sdss(tmp_path):
    wdisp = np.where(np.arange(N) < 5, 0, 0.9).astype("f4")  # the first are not known
    coadd = {"flux": FLUX, "loglam": np.log10(WAVE), "ivar": IVAR, "wdisp": wdisp}
    found = io.read(saved(tmp_path / "spec.fits", table(coadd, "COADD"))).lsf
    assert np.isnan(found[0, :5]).all()
    np.testing.assert_allclose(found[0, 5:], 0.9 * PIXEL_KMS, rtol=1e-4)
    path = hdf5(tmp_path / "a.h5", loglam=np.log10(WAVE), flux=[FLUX, FLUX], ivar=[IVAR, IVAR],
                wdisp=[wdisp, 2 * wdisp])  # fmt: skip
    for spectra in (io.read(path), Spectra.concatenate(list(io.stream(path, 1)))):
        np.testing.assert_allclose(spectra.lsf[:, 9], [62.13, 124.26], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "unit", "values", "expected"),
    [
        ("LSF", "km/s", 70 + np.arange(N), 70 + np.arange(N)),
        ("LSF_SIGMA", "m/s", np.full(N, 7e4), np.full(N, 70)),
        ("LSF_SIGMA", "Angstrom", WAVE * 70 / 299792.458, np.full(N, 70)),
        ("lsf", "nm", WAVE * 7 / 299792.458, np.full(N, 70)),
        ("RESOLVING_POWER", "", np.full(N, 2000), np.full(N, 63.66)),
        ("SPECRES", "", np.geomspace(2000, 4000, N), 63.66 * 2000 / np.geomspace(2000, 4000, N)),
        ("LSFPOST", "", WAVE * 70 / 299792.458, np.full(N, 70)),
        ("SRES", "", np.full(N, 1.0), np.full(N, np.nan)),  # a filler
        ("LSF", "", np.full(N, 70), None),  # of what?
        ("LSF", "Jy", np.full(N, 70), None),
        ("RESOLUTION", "Angstrom", np.full(N, 2), None),  # a full width, or half of it?
        ("R", "", np.full(N, 2000), None),
        ("RESOLVING_POWER", "Angstrom", np.full(N, 2), None),
    ],
)
def test_names_and_units(tmp_path, name, unit, values, expected):
    made = table(columns(**{name: values}), units={name: unit} if unit else {})
    found = io.read(saved(tmp_path / "t.fits", made)).lsf
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, expected[None], rtol=1e-4)


def test_a_number_per_row_a_curve_for_all_and_what_could_be_either(tmp_path):
    powers = np.array([1000.0, 2000.0, 0.0])
    expected = np.array([[127.32], [63.66], [np.nan]])
    rows = columns(3, RESOLVING_POWER=powers)
    np.testing.assert_allclose(io.read(saved(tmp_path / "t.fits", table(rows))).lsf, expected,
                               rtol=1e-4)  # fmt: skip
    path = hdf5(tmp_path / "a.h5", wave=WAVE, flux=rows["FLUX"], ivar=rows["IVAR"],
                resolving_power=powers)  # fmt: skip
    for spectra in (io.read(path), Spectra.concatenate(list(io.stream(path, 2)))):
        np.testing.assert_allclose(spectra.lsf, expected, rtol=1e-4)
    curve = np.geomspace(1000, 2000, N)
    path = hdf5(tmp_path / "b.h5", wave=WAVE, flux=rows["FLUX"], ivar=rows["IVAR"],
                resolving_power=curve)  # fmt: skip
    for spectra in (io.read(path), Spectra.concatenate(list(io.stream(path, 2)))):
        np.testing.assert_allclose(spectra.lsf, np.tile(127.32 * 1000 / curve, (3, 1)), rtol=1e-4)
    square = {"wave": WAVE[:3], "flux": rows["FLUX"][:, :3], "ivar": rows["IVAR"][:, :3]}
    path = hdf5(tmp_path / "c.h5", **square, resolving_power=powers)
    assert io.read(path).lsf is None and next(io.stream(path, 2)).lsf is None
    path = hdf5(tmp_path / "d.h5", **square, resolving_power=np.ones(7))  # of other things
    assert io.read(path).lsf is None


def test_rows_with_grids_of_their_own_and_falling_ones(tmp_path):
    waves = np.stack([WAVE, WAVE + 1, WAVE + 2])
    waves[1, :4] = np.nan
    curves = 50.0 + np.arange(3)[:, None] + np.arange(N)
    made = columns(3, LSF=curves) | {"WAVE": waves}
    path = saved(tmp_path / "t.fits", table(made, units={"LSF": "km/s"}))
    found = io.read(path, wave=WAVE + 2).lsf
    np.testing.assert_allclose(found[2], curves[2], rtol=1e-6)
    np.testing.assert_allclose(found[1, 5:50], np.interp(WAVE + 2, WAVE + 1, curves[1])[5:50],
                               rtol=1e-4)  # fmt: skip
    hertz = {"WAVE": 2.99792458e18 / WAVE[::-1], "FLUX": FLUX[::-1], "IVAR": IVAR[::-1],
             "LSF": curves[0, ::-1]}  # fmt: skip
    units = {"WAVE": "Hz", "FLUX": "erg / (s cm2 Angstrom)", "LSF": "km/s"}
    found = io.read(saved(tmp_path / "f.fits", table(hertz, units=units)))
    np.testing.assert_allclose(found.lsf[0], curves[0], rtol=1e-6)


def test_images_and_spaxels(tmp_path):
    cube = np.ones((1, 2, 2)) * np.ones((N, 1, 1))
    width = np.arange(1, 5).reshape(1, 2, 2) * (WAVE * 50 / 299792.458)[:, None, None]
    hdus = [image(WAVE, "WAVE"), image(cube, "FLUX"), image(cube, "IVAR"),
            image(width, "LSFPOST", {"BUNIT": "Angstrom"}), image(np.full(N, 2000.0), "SPECRES")]
    found = io.read(saved(tmp_path / "cube.fits", *hdus)).lsf
    np.testing.assert_allclose(found, [[50] * N, [100] * N, [150] * N, [200] * N], rtol=1e-4)
    found = io.read(saved(tmp_path / "cube.fits", *hdus[:3], hdus[4]), mask=np.eye(2)).lsf
    np.testing.assert_allclose(found, np.full((2, N), 63.66), rtol=1e-4)


@pytest.mark.parametrize(("header", "expected"), [
    ({"PRODCATG": "SCIENCE.SPECTRUM", "SPEC_RES": 2000.0}, 63.66), ({"SPEC_RES": 2.0}, None),
    ({"SPEC_RP": 2000}, 63.66), ({"SPEC_RP": "unknown"}, None), ({"SPEC_RP": -1.0}, None),
    ({"SPEC_RP": True}, None),
])  # fmt: skip
def test_headers(tmp_path, header, expected):
    found = io.read(saved(tmp_path / "t.fits", table(columns()), header=header)).lsf
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, [[expected]], rtol=1e-4)


def test_a_damaged_card_does_no_harm(tmp_path):
    path = saved(tmp_path / "t.fits", table(columns()), header={"SPEC_RP": 2000.0})
    content = path.read_bytes()
    card, damaged = b"SPEC_RP =               2000.0", b"SPEC_RP =          2000.0 20.0"
    path.write_bytes(content.replace(card, damaged))
    with fits.open(path) as hdus, pytest.raises(fits.VerifyError):
        hdus[0].header["SPEC_RP"]
    found = io.read(path)
    assert found.lsf is None and found.usable.all()


def test_what_the_user_says_wins(tmp_path):
    made = table(columns(LSF=np.full(N, 90.0), WIDTH=np.full(N, 80.0)), units={"LSF": "km/s"})
    path = saved(tmp_path / "t.fits", made, header={"SPEC_RP": 900})
    assert np.median(io.read(path).lsf) == 90
    assert np.median(io.read(path, columns={"lsf": "WIDTH"}).lsf) == 80
    np.testing.assert_allclose(io.read(path, resolving_power=2000.0).lsf, [[63.66]], rtol=1e-4)
    path = hdf5(tmp_path / "a.h5", wave=WAVE, flux=[FLUX], ivar=[IVAR], wdisp=[np.ones(N)])
    (block,) = io.stream(path, resolving_power=2000.0)
    np.testing.assert_allclose(block.lsf, [[63.66]], rtol=1e-4)
    for power in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="expected resolving_power > 0; got"):
            io.read(path, resolving_power=power)


def desi_file(path, widths, arms):
    """Arms whose matrices are Gaussians of so many pixels, integrated over pixels."""
    hdus, offset = [], np.arange(5, -6, -1)  # of diagonals, as scipy and desispec have them
    for (arm, wave), width in zip(arms.items(), widths, strict=True):
        edge = (offset + np.array([[-0.5], [0.5]])) / np.sqrt(2) / width
        band = np.diff(erf(edge), axis=0)[0] / 2
        flat = np.ones((2, len(wave)))
        hdus += [image(wave, f"{arm}_WAVELENGTH"), image(flat, f"{arm}_FLUX"),
                 image(flat * [[1], [3]], f"{arm}_IVAR"),
                 image(np.tile(band[:, None], (2, 1, len(wave))), f"{arm}_RESOLUTION")]  # fmt: skip
    return saved(path, *hdus)


def test_widths_of_resolution_matrices(tmp_path):
    """A Gaussian that is integrated over a pixel has 1/12 more variance (Sheppard)."""
    arms = {"B": 4000 + 0.8 * np.arange(200), "R": 4120 + 0.8 * np.arange(200)}
    found = io.read(desi_file(tmp_path / "coadd.fits", (0.8, 1.3), arms))
    blue, red = (0.8 * np.sqrt(x**2 + 1 / 12) * 299792.458 / found.wave for x in (0.8, 1.3))
    only_blue, only_red = found.wave < 4119.9, found.wave > 4159.3
    expected = np.where(only_blue, blue, np.where(only_red, red, np.sqrt((blue**2 + red**2) / 2)))
    np.testing.assert_allclose(found.lsf, np.tile(expected, (2, 1)), rtol=1e-3)


def test_matrices_that_are_none_are_not_known(tmp_path):
    arms = {"B": 4000 + 0.8 * np.arange(200)}
    path = desi_file(tmp_path / "coadd.fits", (1.0,), arms)
    with fits.open(path, mode="update") as hdus:
        hdus["B_RESOLUTION"].data[0, :, :10] = 0
        hdus["B_RESOLUTION"].data[1] = norm.pdf(np.arange(-5, 6))[:, None] * -1.0
    found = io.read(path).lsf
    assert np.isfinite(found).all()  # interpolated; a sign does not change a width
    with fits.open(path, mode="update") as hdus:
        hdus["B_RESOLUTION"].data = hdus["B_RESOLUTION"].data[:, :, :-1]
    assert io.read(path).lsf is None


def test_written_and_read(tmp_path):
    one = np.ones((3, N))
    curves = Spectra(WAVE, one, one, lsf=60 + one * np.arange(N))
    numbers = Spectra(WAVE, one, one, lsf=[60, np.nan, 80])
    for obs in (curves, numbers, Spectra(WAVE, one, one)):
        io.write(tmp_path / "a.h5", obs)
        back = io.read(tmp_path / "a.h5").lsf
        if obs.lsf is None:
            assert back is None
        else:
            np.testing.assert_array_equal(back, np.broadcast_to(obs.lsf, (3, N)))
    with io.Writer(tmp_path / "b.h5", WAVE) as writer:
        for obs in (Spectra(WAVE, one, one), numbers, curves):
            writer.append(obs)
    back = np.concatenate([np.broadcast_to(s.lsf, s.flux.shape)
                           for s in io.stream(tmp_path / "b.h5", 2)])  # fmt: skip
    assert np.isnan(back[[0, 1, 2, 4]]).all()
    np.testing.assert_array_equal(back[[3, 5]], [[60] * N, [80] * N])
    np.testing.assert_array_equal(back[6:], curves.lsf)
    paths = write_sdss(tmp_path / "sdss", numbers)
    np.testing.assert_allclose(io.read(paths).lsf[:, 0], [60, np.nan, 80], rtol=1e-6)


def test_real_sdss(data):
    """Resolving power 1850 to 2200 (Smee et al. 2013): sigma 58 to 69 km/s, and 10 % of fibres."""
    files = sorted((data / "spectra/sdss/raw").glob("spec-*.fits"))
    obs = io.read(files)
    near = np.abs(obs.wave - 6000) < 100
    assert ((np.nanmedian(obs.lsf[:, near], axis=1) > 60) & (obs.lsf[:, near] < 75).all(1)).all()
    many = next(io.stream(data / "spectra/sdss/sdss.h5", 200))
    near = np.abs(many.wave - 6000) < 100
    assert 60 < np.nanmedian(many.lsf[:, near]) < 75


@pytest.mark.parametrize("name", ["coadd-4-80613-thru20210324", "coadd-5-169-thru20210419"])
def test_real_desi(data, name):
    """As the simulated instrument, which has the second moments of one of them arm by arm: the
    other's fibre differs from that by less than a tenth."""
    obs = io.read(data / f"spectra/desi/{name}.fits")
    like = desi()
    obs = obs[obs.usable]
    for wave in (3640, 7570, 9785):
        expected = power_of_lsf(np.interp(wave, like.wave, like.lsf))
        near = np.abs(obs.wave - wave) < 10
        assert np.abs(power_of_lsf(np.median(obs.lsf[:, near])) / expected - 1) < 0.1


def test_real_manga(data):
    """Resolving power about 2000 (Drory et al. 2015), but for fillers where there is no data."""
    obs = io.read(data / "spectra/manga/MaNGA_test_spectra.fits.gz")
    near = np.abs(obs.wave - 6000) < 100
    power = power_of_lsf(np.nanmedian(obs.lsf[:, near]))
    assert 1500 < power < 2500 and np.nanpercentile(obs.lsf, 99) < 200
