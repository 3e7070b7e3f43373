"""Tables of surveys and pipelines: one generated file of each layout, with known answers.

The sources of the layouts are named beside their readers in `flowspec.io`.
"""

import h5py
import numpy as np
import pytest
from layouts import (
    BAD,
    FLUX,
    JANSKY,
    PIXEL,
    SIGMA,
    SPOILED,
    VACUUM,
    WAVE,
    Known,
    N,
    check,
    image,
    table,
    write,
)

from flowspec import io

CGS = "erg / (s cm2 Angstrom)"
UNSAID = "flux in 1e-17 erg/s/cm2/A, wavelengths in A in vacuum"


def rows(values, n=1):
    """[n, pixels] of which row i is i + 1 times `values`."""
    return np.arange(1, n + 1)[:, None] * np.asarray(values)


def sdss_v(path):
    columns = {"FLUX": SPOILED, "LOGLAM": np.log10(WAVE), "IVAR": np.where(BAD, 0, SIGMA**-2.0)}
    columns |= {"AND_MASK": BAD.astype("i4"), "OR_MASK": np.ones(N, "i4")}
    write(path, table(columns, "COADD"), table({"Z": [0.1]}, "SPALL"),
          header={"TELESCOP": "SDSS 2.5-M", "VERS2D": "v6_1_3"})  # fmt: skip
    return Known()


def mwm(rows_of, wavelengths):
    """mwmStar with a row per HDU and a column of wavelengths, mwmVisit with rows and a header."""
    def make(path):
        n = rows_of
        columns = {"sdss_id": np.full(n, 42), "flux": rows(SPOILED, n), "ivar": rows(SIGMA**-2, 1)
                   .repeat(n, 0), "pixel_flags": np.tile(BAD * 4, (n, 1))}  # fmt: skip
        header = {"CRVAL": 3.6, "CDELT": 1e-4, "NPIXELS": N}
        if wavelengths:
            columns["wavelength"] = np.tile(WAVE, (n, 1))
            header = {}
        empty = {"sdss_id": np.zeros(0, int), "flux": np.zeros((0, N)), "ivar": np.zeros((0, N))}
        empty["pixel_flags"] = np.zeros((0, N), int)
        write(path, table(columns, "BOSS/APO", header), table(empty, "BOSS/LCO", header),
              header={"V_ASTRA": "0.6.0", "SDSS_ID": 42})  # fmt: skip
        return Known(("#BOSS/APO",) if n == 1 else tuple(f"#BOSS/APO#{i}" for i in range(n)))
    return make


def desi(path):
    hdus = [table({"TARGETID": [39627746095137037, 39627746095137038]}, "FIBERMAP")]
    for arm, part in (("B", slice(0, 200)), ("R", slice(200, N))):
        hdus += [image(WAVE[part], f"{arm}_WAVELENGTH"), image(rows(SPOILED, 2)[:, part],
                 f"{arm}_FLUX"), image(np.tile(SIGMA**-2, (2, 1))[:, part], f"{arm}_IVAR"),
                 image(np.tile(BAD * 2, (2, 1))[:, part], f"{arm}_MASK")]  # fmt: skip
    write(path, *hdus)
    return Known(("#39627746095137037", "#39627746095137038"))


def lamost_low(path):
    columns = {"FLUX": rows(SPOILED), "IVAR": rows(SIGMA**-2), "WAVELENGTH": rows(WAVE)}
    columns |= {"ANDMASK": rows(BAD * 32), "ORMASK": rows(np.full(N, 8))}
    write(path, table(columns, "COADD"), header={"TELESCOP": "LAMOST", "OBSID": 101})
    return Known()


def lamost_medium(path):
    """Arms of log wavelength; the exposures that follow are of the same object."""
    def arm(name, part, mask):
        return table({"FLUX": SPOILED[part], "IVAR": SIGMA[part] ** -2, "LOGLAM": np.log10(WAVE)
                      [part], mask: (BAD * 1)[part]}, name)  # fmt: skip

    blue, red = slice(0, 150), slice(160, N)
    write(path, table({"INFO": [1]}, "Information"), arm("COADD_B", blue, "ORMASK"),
          arm("COADD_R", red, "ORMASK"), arm("B-84416790", blue, "PIXMASK"),
          header={"TELESCOP": "LAMOST"})  # fmt: skip
    there = (PIXEL < 150) | (PIXEL >= 160)
    return Known(wave=WAVE[there], flux=FLUX[there], sigma=SIGMA[there], good=~BAD[there])


def vipers(path):
    columns = {"WAVES": io.vacuum_to_air(WAVE), "FLUXES": SPOILED * 1e-17, "NOISE": SIGMA * 1e-17}
    columns |= {"EDIT": FLUX * 1e-17, "MASK": BAD * 3}
    write(path, table(columns, "SPECTRUM", {"REDSHIFT": 0.7, "REDFLAG": 3.5, "NORM": 1.0}))
    return Known()


def phase3(path):
    """VANDELS, zCOSMOS and others of the ESO archive: one row, air by its UCD, QUAL not 0: bad."""
    columns = {"WAVE": rows(io.vacuum_to_air(WAVE)), "FLUX": rows(SPOILED * 1e-17)}
    columns |= {"ERR": rows(SIGMA * 1e-17), "QUAL": rows(BAD * 4)}
    units = {"WAVE": "Angstrom", "FLUX": "erg cm-2 s-1 Angstrom-1"}
    header = {"VOCLASS": "SPECTRUM V1.0", "TUCD1": "em.wl;obs.atmos", "TUCD4": "meta.code.qual"}
    write(path, table(columns, "SPECTRUM", header, units | {"ERR": units["FLUX"]}))
    return Known()


def pypeit(path):
    """Vacuum; True in OPT_MASK is good; without wavelengths beyond the detector (0)."""
    def one(name, scale):
        columns = {"OPT_WAVE": np.r_[0, 0, WAVE], "OPT_FLAM": np.r_[0, 0, SPOILED * scale],
                   "OPT_FLAM_IVAR": np.r_[0, 0, SIGMA**-2], "OPT_FLAM_SIG": np.r_[0, 0, SIGMA],
                   "OPT_MASK": np.r_[False, False, ~BAD], "OPT_COUNTS": np.ones(N + 2)}
        return table(columns, name, {"DMODCLS": "SpecObj"})  # fmt: skip

    names = "SPAT0176-SLIT0185-DET01", "SPAT0300-SLIT0185-DET01"
    write(path, one(names[0], 1), one(names[1], 2), table({"A": [1]}, "DETECTOR"))
    return Known(tuple(f"#{name}" for name in names))


def pfs(path):
    """nm and nJy without units; REFLINE (bit 15) is a remark, NO_DATA (bit 8) is not."""
    mask = np.where(BAD, 1 << 8, 1 << 15)
    columns = {"wavelength": WAVE / 10, "flux": SPOILED * JANSKY * 1e9, "mask": mask}
    columns["error"] = SIGMA * JANSKY * 1e9
    header = {"HIERARCH MP_REFLINE": 15, "HIERARCH MP_NO_DATA": 8, "MP_BAD": 0}
    write(path, image(FLUX[:50], "FLUX"), image(np.zeros(50, "i4"), "MASK", header),
          table({"filterName": ["g"]}, "TARGET", {"OBJID": 7}), image(np.ones((3, 50)), "COVAR"),
          table(columns, "FLUX_TABLE", header))  # fmt: skip
    return Known()


def euclid(path):
    """Signals in units of FSCALE; MASK odd or from 64 on: not to be used."""
    hdus = []
    for k, target in enumerate((2689918641685825137, 2689918641685825138)):
        mask = np.where(BAD, np.where(PIXEL % 2, 65, 64), 2)
        columns = {"WAVELENGTH": WAVE, "SIGNAL": (k + 1) * SPOILED * 0.1, "MASK": mask}
        columns |= {"QUALITY": np.ones(N), "VAR": (SIGMA * 0.1) ** 2, "NDITH": np.full(N, 4)}
        hdus += [image(None, f"{k}_META", {"OBJ_ID": target}),
                 table(columns, f"{k}_COMBINED1D_SIGNAL", {"FSCALE": 1e-16}, {"WAVELENGTH":
                       "Angstrom"}), table(columns, f"{k}_DITH1D_17_SIGNAL", {"FSCALE": 1e-16})]
    write(path, *hdus, header={"FITS_DEF": "sir.combinedSpectra", "N_OBJ": 2})  # fmt: skip
    return Known(("#2689918641685825137", "#2689918641685825138"))


MICRON = {"WAVELENGTH": "um", "FLUX": "Jy", "FLUX_ERROR": "Jy", "ERROR": "Jy"}


def jwst(n=1, error="FLUX_ERROR", width=N):
    """Columns of an x1d product [n, pixels], padded with NaN where `width` exceeds `N`."""
    def padded(values, count=n):
        filled = np.full((count, width), np.nan)
        filled[:, :N] = values
        return filled

    dq = np.zeros((n, width), "i4")
    dq[:, :N] = np.where(BAD, 1, 4)  # 4 is a mere remark
    return {"WAVELENGTH": padded(WAVE / 1e4), "FLUX": padded(rows(SPOILED * JANSKY, n)),
            error: padded(SIGMA * JANSKY), "DQ": dq}  # fmt: skip


def jwst_mos(path):
    hdus = []
    for i, source in enumerate((1345, 933)):
        columns = jwst()
        columns["FLUX"] *= i + 1
        flat = {k: v[0] for k, v in columns.items()}
        hdus.append(table(flat, "EXTRACT1D", {"SOURCEID": source, "SLTNAME": "S1"}, MICRON))
    write(path, *hdus, header={"TELESCOP": "JWST", "EXP_TYPE": "NRS_MSASPEC"})
    return Known(("#1345", "#933"))


def jwst_wfss(path):
    columns = {"SOURCE_ID": [12, 57], "N_ALONGDISP": [N, N]} | jwst(2, width=N + 5)
    write(path, table(columns, "EXTRACT1D", {"EXPGRPID": "a"}, MICRON), header={"TELESCOP": "JWST"})
    return Known(("#12", "#57"))


def jwst_c1d(path):
    columns = {k: v[0] for k, v in jwst(error="ERROR").items()}
    write(path, table(columns, "COMBINE1D", {"SOURCEID": 3}, MICRON), header={"TELESCOP": "JWST"})
    return Known()


def dja(path):
    """Flux and error are 0 where there is no data."""
    columns = {"wave": WAVE / 1e4, "flux": np.where(BAD, 0, FLUX * JANSKY * 1e6)}
    columns |= {"err": np.where(BAD, 0, SIGMA * JANSKY * 1e6), "path_corr": np.ones(N)}
    write(path, table(columns, "SPEC1D", units={"wave": "um", "flux": "uJy", "err": "uJy"}),
          image(np.ones((9, N)), "SCI"), image(np.ones((9, N)), "WHT"))  # fmt: skip
    return Known(assumed=VACUUM)


def hst(instrument, names):
    """Orders (STIS) or segments (COS) in rows, of one object; DQ by the bits of SDQFLAGS."""
    def make(path):
        units = {"WAVELENGTH": "Angstroms", "FLUX": "erg/s/cm**2/Angstrom"}
        units["ERROR"] = units["FLUX"]
        halves = np.arange(N).reshape(2, N // 2)[::-1]  # FUVA, the redder one, is first
        columns = {names: np.array(["FUVA", "FUVB"]) if names == "SEGMENT" else np.array([1, 2])}
        columns |= {"NELEM": [N // 2] * 2, "WAVELENGTH": WAVE[halves],
                    "FLUX": SPOILED[halves] * 1e-17, "ERROR": SIGMA[halves] * 1e-17,
                    "DQ": np.where(BAD, 8, 1024).astype("i2")[halves]}  # fmt: skip
        write(path, table(columns, "SCI", {"SDQFLAGS": 184}, units),
              header={"TELESCOP": "HST", "INSTRUME": instrument})  # fmt: skip
        return Known()
    return make


def gaia(path):
    """W/m2/nm by nm, an object a file."""
    columns = {"wavelength": WAVE / 10, "flux": np.where(BAD, np.nan, FLUX) * 1e-19}
    columns["flux_error"] = SIGMA * 1e-19
    units = {"wavelength": "nm", "flux": "W.m**-2.nm**-1", "flux_error": "W.m**-2.nm**-1"}
    write(path, table(columns, units=units))
    return Known(assumed=VACUUM)


def gaia_raw(path):
    """Rows by source without wavelengths: 336 to 1020 nm by 2 nm."""
    wave = np.arange(3360.0, 10201, 20)
    pixel = np.arange(len(wave))
    flux, sigma = 5 + np.sin(pixel / 20), np.full(len(wave), 0.5)
    columns = {"source_id": [5853498713190525696, 4295806720], "flux": rows(flux * 1e-19, 2)}
    columns["flux_error"] = np.tile(sigma * 1e-19, (2, 1))
    write(path, table(columns))
    good = np.ones(len(wave), bool)
    return Known(("#5853498713190525696", "#4295806720"), wave, flux, sigma, good)


def universe(path):
    """The HDF5 of the Multimodal Universe: wavelengths of -1 are padding, True in mask is bad."""
    def padded(values, fill):
        return np.pad(values, ((0, 0), (0, 4)), constant_values=fill)

    with h5py.File(path, "w") as file:
        file["object_id"] = np.array([b"a1", b"b2"])
        file["spectrum_lambda"] = padded(np.tile(WAVE, (2, 1)), -1)
        file["spectrum_flux"] = padded(rows(SPOILED, 2), 1.0)
        file["spectrum_ivar"] = padded(np.tile(SIGMA**-2.0, (2, 1)), 0)
        file["spectrum_mask"] = padded(np.tile(BAD, (2, 1)), True)
        file["spectrum_lsf_sigma"] = np.ones((2, N + 4))
        file["Z"] = [0.1, 0.2]
    return Known(("#a1", "#b2"), assumed=UNSAID)


def universe_parquet(path):
    """Structs of lists, of their own lengths."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    spectra = [
        {"flux": (i + 1) * SPOILED, "ivar": SIGMA**-2, "lambda": WAVE, "mask": BAD}
        for i in range(2)
    ]
    spectra[1] = {
        name: np.r_[values, [fill] * 4]
        for (name, values), fill in zip(spectra[1].items(), (1.0, 0.0, -1.0, True), strict=True)
    }
    table = arrow.table({"spectrum": spectra, "object_id": ["a1", "b2"], "Z": [0.1, 0.2]})
    parquet.write_table(table, path)
    return Known(("#a1", "#b2"), assumed=UNSAID)


LAYOUTS = {
    "SDSS-V spec": ("sdss", sdss_v),
    "SDSS-V mwmStar": ("sdss-mwm", mwm(1, True)),
    "SDSS-V mwmVisit": ("sdss-mwm", mwm(3, False)),
    "DESI coadd": ("desi", desi),
    "LAMOST low resolution, new": ("lamost", lamost_low),
    "LAMOST medium resolution": ("lamost", lamost_medium),
    "VIPERS": ("vipers", vipers),
    "ESO phase 3": ("table", phase3),
    "PypeIt spec1d": ("pypeit", pypeit),
    "PFS pfsObject": ("pfs", pfs),
    "Euclid SIR": ("euclid", euclid),
    "JWST x1d, MOS": ("jwst", jwst_mos),
    "JWST x1d, WFSS stacked": ("jwst", jwst_wfss),
    "JWST c1d": ("jwst", jwst_c1d),
    "DJA msaexp": ("table", dja),
    "HST STIS": ("hst", hst("STIS", "SPORDER")),
    "HST COS": ("hst", hst("COS", "SEGMENT")),
    "Gaia XP, a file a source": ("table", gaia),
    "Gaia XP, a row a source": ("gaia", gaia_raw),
    "Multimodal Universe, HDF5": ("hdf5", universe),
    "Multimodal Universe, Parquet": ("parquet", universe_parquet),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout(layout, tmp_path):
    format, make = LAYOUTS[layout]
    check(tmp_path / "spectrum", make(tmp_path / "spectrum"), format)
