"""Small whole files of every kind that flowspec reads, the same bytes each time."""

import gzip
import json
import struct
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.table import MaskedColumn, Table
from safetensors import safe_open
from safetensors.numpy import save

from flowspec.posterior.damage import CHECKSUM, checksum

MUSEUM = Path(__file__).parents[1] / "museum"
PIXELS = 40
WAVE = 10 ** (3.6 + 1e-4 * np.arange(PIXELS))
UNIT = "1e-17 erg / (s cm2 AA)"


def originals() -> dict[str, tuple[str, bytes]]:
    """Name of a file to its kind, that is how it is read (`tests.fuzz.outcome`), and its bytes."""
    found = {}
    warnings.simplefilter("ignore", VerifyWarning)  # of names of lines as columns
    for kind, make in (("spectra", _fits), ("spectra", _hdf5), ("lines", _lines),
                       ("grid", _grids), ("model", _models)):  # fmt: skip
        found |= {name: (kind, content) for name, content in make()}
    return found


def _columns(rows: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    flux = rng.normal(5, 1, (rows, PIXELS)).astype("f4")
    return {"wave": np.tile(WAVE, (rows, 1)), "flux": flux, "ivar": np.full_like(flux, 4)}


def _written(*hdus) -> bytes:
    file = BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(file)
    return file.getvalue()


def _table(columns: dict, name: str = "SPECTRUM", **units: str) -> fits.BinTableHDU:
    hdu = fits.BinTableHDU(Table(columns), name=name)
    for column, unit in units.items():
        hdu.columns[column].unit = unit
    return hdu


def _images(**arrays) -> list[fits.ImageHDU]:
    return [fits.ImageHDU(np.asarray(array), name=name) for name, array in arrays.items()]


def _fits() -> Iterator[tuple[str, bytes]]:
    one = {name: values[0] for name, values in _columns().items()}
    many = _columns(3)
    sdss = {"flux": one["flux"], "loglam": np.log10(WAVE).astype("f4"), "ivar": one["ivar"]}
    yield "sdss.fits", _written(_table(sdss, "COADD"))
    table = _written(_table(one, wave="Angstrom", flux=UNIT))
    yield "table.fits", table
    yield "table.fits.gz", gzip.compress(table, mtime=0)
    yield "rows.fits", _written(_table(many, wave="nm", flux="Jy"))
    ragged = [fits.Column(name, f"P{form}()", array=np.array(
        [values[0], values[1][:20]], dtype=object)) for form, (name, values) in
        zip("DEE", many.items(), strict=True)]  # fmt: skip
    yield "ragged.fits", _written(fits.BinTableHDU.from_columns(ragged))
    images = _images(WAVE=WAVE, FLUX=many["flux"], IVAR=many["ivar"],
                     MASK=(many["flux"] > 7).astype("u1"))  # fmt: skip
    yield "images.fits", _written(*images)
    desi = {f"{arm}_{name.upper()}": values if name != "wave" else WAVE + shift
            for arm, shift in (("B", 0), ("R", 20)) for name, values in many.items()}  # fmt: skip
    desi = {name.replace("_WAVE", "_WAVELENGTH"): values for name, values in desi.items()}
    targets = _table({"TARGETID": np.arange(3) + 39627746095137037}, "FIBERMAP")
    yield "desi.fits", _written(targets, *_images(**desi))
    cube = np.ones((PIXELS, 2, 2), "f4")
    muse = _images(DATA=cube, STAT=cube)
    for hdu in muse:
        hdu.header.update(CTYPE3="AWAV", CRVAL3=4800.0, CD3_3=1.25, CRPIX3=1.0, CUNIT3="Angstrom")
    yield "cube.fits", _written(*muse)
    jwst = {"WAVELENGTH": WAVE / 1e4, "FLUX": one["flux"], "FLUX_ERROR": one["ivar"]}
    yield "x1d.fits", _written(_table(jwst, "EXTRACT1D", WAVELENGTH="um", FLUX="Jy",
                                      FLUX_ERROR="Jy"))  # fmt: skip
    packed = fits.CompImageHDU(many["flux"], name="FLUX")
    yield "packed.fits", _written(*_images(WAVE=WAVE, IVAR=many["ivar"]), packed)


def _stored(fill: Callable[[h5py.File], None]) -> bytes:
    content = BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    return content.getvalue()


def _hdf5() -> Iterator[tuple[str, bytes]]:
    columns = _columns(4)

    def plain(file):
        file["wave"] = WAVE
        file["wave"].attrs["units"] = "Angstrom"
        for name in ("flux", "ivar"):
            file[name] = columns[name]
        file["names"] = [f"object {i}" for i in range(4)]

    def packed(file):
        file["spectra/wavelength"] = WAVE
        for name in ("flux", "ivar"):
            options = {"chunks": (2, PIXELS), "compression": "gzip", "shuffle": True}
            file.create_dataset(f"spectra/{name}", data=columns[name], **options)
        theta = file.create_dataset("theta", data=np.ones((4, 2)))
        theta.attrs["param_names"] = ["a", "b"]

    yield "plain.h5", _stored(plain)
    yield "packed.h5", _stored(packed)


def _lines() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(2)
    names = ["Hbeta", "[OIII]5007", "Halpha", "[NII]6584"]
    table = Table({"name": [f"r{i}" for i in range(5)]})
    for name in names:
        table[name] = MaskedColumn(rng.uniform(1, 3, 5).round(3), mask=[0, 0, 0, 0, 1])
        table[f"{name}_err"] = np.full(5, 0.1)
    table["[OII]3727_ul"] = np.full(5, 1.5)
    for ending, kind in (("csv", "ascii.csv"), ("ecsv", "ascii.ecsv")):
        if ending == "ecsv":
            for name in table.colnames[1:]:
                table[name].unit = "1e-17 erg / (s cm2)"
        yield f"lines.{ending}", "\n".join(_lines_of(table, kind)).encode()
    yield "lines.fits", _written(fits.BinTableHDU(table))
    flux = np.asarray([table[n].filled(1.0) for n in names]).T

    def fill(file):
        file.attrs["lines"] = names
        file["flux"], file["err"] = flux, 0.1 * flux
        file["state"], file["dereddened"] = np.ones(flux.shape, "i1"), np.zeros(5, bool)
        file["names"] = table["name"].tolist()

    yield "lines.h5", _stored(fill)


def _lines_of(table: Table, kind: str) -> list[str]:
    text = StringIO()
    table.write(text, format=kind)
    return text.getvalue().splitlines()


def _grids() -> Iterator[tuple[str, bytes]]:
    oh, log_u = (a.ravel() for a in np.meshgrid([7.5, 8.0, 8.5], [-3.0, -2.0]))
    table = Table({"oh": oh, "log_u": log_u, "Hbeta": np.ones(6), "[OIII]5007": 10 ** (oh - 8)})
    yield "grid.csv", "\n".join(_lines_of(table, "ascii.csv")).encode()
    yield "grid.fits", _written(fits.BinTableHDU(table))
    head = "# 12+log(O/H) log(N/O) logU OIII_5007 NII_6584"
    rows = [f"{a} -1.0 {b} {10 ** (a - 8):.4f} 0.5" for a, b in zip(oh, log_u, strict=True)]
    yield "grid.dat", "\n".join([head.removeprefix("# "), *rows]).encode()


def _models() -> Iterator[tuple[str, bytes]]:
    yield "early.safetensors", (MUSEUM / "lines.safetensors").read_bytes()
    with safe_open(MUSEUM / "lines.safetensors", "numpy") as file:
        header, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    header[CHECKSUM] = checksum(header, arrays)
    content = save(arrays, header)
    size = struct.unpack("<Q", content[:8])[0]
    text = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    yield "checked.safetensors", struct.pack("<Q", len(text)) + text + content[8 + size :]
