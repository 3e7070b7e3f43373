"""Files that declare far more than they have are refused in one line, and at once."""

import gzip
import resource
import time

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import io
from flowspec.io.declared import check_text, room

WAVE = np.linspace(4000, 8000, 500)
FEW = 0.5e9  # bytes: what a refusal may need at most; the bombs stand for 2 to 160 GB


def refused(path, *words, read=io.read):
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError) as caught:
        read(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message
    assert all(word in message for word in words), message
    # 1 s for a gzip on an idle core and 3 s beside busy ones, else milliseconds
    assert time.process_time() - start < 6
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < FEW


def test_a_gzip_bomb(tmp_path):
    """Members of 64 MB of zeros, 65 kB each: 1.2 GB from 1.2 MB."""
    bomb = gzip.compress(b"SIMPLE  =", mtime=0) + 18 * gzip.compress(bytes(2**26), mtime=0)
    (tmp_path / "bomb.fits.gz").write_bytes(bomb)
    refused(tmp_path / "bomb.fits.gz", "gzip", "declares")


def test_a_gzip_of_no_kind_is_not_unpacked(tmp_path):
    (tmp_path / "bomb.fits.gz").write_bytes(18 * gzip.compress(bytes(2**26), mtime=0))
    start = time.process_time()
    refused(tmp_path / "bomb.fits.gz", "gzip", "begins")
    assert time.process_time() - start < 0.1
    refused(tmp_path / "bomb.fits.gz", "gzip", read=io.read_grid)  # of text, which begins anyhow


def test_a_gzip_that_says_how_much_it_holds(tmp_path):
    """2 GB in 2 kB by its last four bytes, which no gzip can hold: refused before anything is
    unpacked, and likely cut short."""
    content = gzip.compress(b"SIMPLE  =" + bytes(2**21), mtime=0)
    content = content[:-4] + (2**31).to_bytes(4, "little")
    (tmp_path / "bomb.fits.gz").write_bytes(content)
    start = time.process_time()
    refused(tmp_path / "bomb.fits.gz", "complete gzip", "2.15e+09")
    assert time.process_time() - start < 0.1


def test_what_compresses_well_is_read(tmp_path):
    """An image of 2 MB that compresses a thousand times, as blank ones do."""
    hdus = [fits.ImageHDU(a, name=n) for n, a in
            (("WAVE", WAVE), ("FLUX", np.ones((500, 500))), ("IVAR", np.ones((500, 500))))]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "blank.fits")
    content = (tmp_path / "blank.fits").read_bytes()
    (tmp_path / "blank.fits.gz").write_bytes(gzip.compress(content))
    assert len(content) > 100 * (tmp_path / "blank.fits.gz").stat().st_size
    assert len(io.read(tmp_path / "blank.fits.gz")) == 500
    assert room(10**4) == 10**9 and room(10**8) == 10**10


def test_hdf5_that_declares_160_gb(tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file["wave"] = WAVE
        for name in ("flux", "ivar"):
            file.create_dataset(name, (20_000_000, 500), "f8", chunks=(1000, 500))
    refused(tmp_path / "bomb.h5", "declares 1.6e+11")
    refused(tmp_path / "bomb.h5", "declares", read=lambda path: next(io.stream(path)))


def test_data_never_written_are_no_zeros(tmp_path):
    def write(name, **options):
        with h5py.File(tmp_path / name, "w") as file:
            file["wave"] = WAVE
            for key in ("flux", "ivar"):
                file.create_dataset(key, (20, 500), "f4", chunks=(5, 500), **options)[:15] = 1

    write("default.h5")
    refused(tmp_path / "default.h5", "/flux", "3 of 4 chunks")
    write("chosen.h5", fillvalue=0)  # of which ivar is 0: no data, as the writer said
    np.testing.assert_array_equal(io.read(tmp_path / "chosen.h5").usable, np.arange(20) < 15)


def virtual(folder, name, sources, rows):
    with h5py.File(folder / name, "w") as file:
        file["wave"] = WAVE
        for key in ("flux", "ivar"):
            layout = h5py.VirtualLayout((rows, 500), "f8")
            for i, source in enumerate(sources):
                layout[2 * i : 2 * i + 2] = h5py.VirtualSource(source, key, shape=(2, 500))
            file.create_virtual_dataset(key, layout)


def test_virtual_datasets_have_all_their_sources(tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["flux"], file["ivar"] = np.arange(1000.0).reshape(2, 500), np.ones((2, 500))
    virtual(tmp_path, "good.h5", ["source.h5", "source.h5"], 4)
    flux = io.read(tmp_path / "good.h5").flux
    np.testing.assert_array_equal(flux, np.tile(np.arange(1000.0).reshape(2, 500), (2, 1)))
    virtual(tmp_path, "missing.h5", ["source.h5", "gone.h5"], 4)
    refused(tmp_path / "missing.h5", "gone.h5")
    virtual(tmp_path, "unmapped.h5", ["source.h5"], 6)
    refused(tmp_path / "unmapped.h5", "1000 of 3000 values")
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["flux"], file["ivar"] = np.ones((1, 500)), np.ones((1, 500))
    refused(tmp_path / "good.h5", "smaller")


def test_links_to_other_files_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["flux"] = np.ones((2, 500))
    (tmp_path / "raw").write_bytes(bytes(8000))
    for name, flux in {"link": h5py.ExternalLink("other.h5", "flux"), "raw": None}.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["wave"], file["ivar"] = WAVE, np.ones((2, 500))
            if flux is None:
                place = [(str(tmp_path / "raw"), 0, 8000)]
                file.create_dataset("flux", (2, 500), "f8", external=place)
            else:
                file["flux"] = flux
        refused(tmp_path / f"{name}.h5", "in the file itself", "flux")


CARDS = {
    "NAXIS2": (10**12, "truncated"), "GCOUNT": (-1, "GCOUNT"), "NAXIS": (999_999, "NAXIS"),
    "NAXIS1": (-5, "NAXIS1"), "PCOUNT": (10**15, "truncated"), "BITPIX": ("'X'", "BITPIX"),
    "TFORM1": ("'99999999D'", "NAXIS1 = 24"), "TFORM2": ("'E'", "columns of 20"),
}  # fmt: skip


@pytest.mark.parametrize("key", CARDS)
def test_cards_that_declare_what_is_not_there(key, tmp_path):
    value, word = CARDS[key]
    table = Table({"wave": WAVE, "flux": np.ones(500), "ivar": np.ones(500)})
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table)])
    hdus.writeto(tmp_path / "good.fits")
    assert len(io.read(tmp_path / "good.fits")) == 1
    content = (tmp_path / "good.fits").read_bytes()
    start = content.index(f"{key:<8}=".encode(), 2880)
    card = f"{key:<8}= {value:>20}".ljust(80).encode()
    (tmp_path / "bad.fits").write_bytes(content[:start] + card + content[start + 80 :])
    refused(tmp_path / "bad.fits", word)


def test_an_image_of_compressed_tiles_declares_its_size_too(tmp_path):
    fits.CompImageHDU(np.zeros((100, 100), "f4")).writeto(tmp_path / "x.fits")
    content = (tmp_path / "x.fits").read_bytes()
    start = content.index(b"ZNAXIS1 =")
    card = b"ZNAXIS1 =           1000000000".ljust(80)
    (tmp_path / "x.fits").write_bytes(content[:start] + card + content[start + 80 :])
    refused(tmp_path / "x.fits", "compressed image")


def test_headers_of_text_tables(tmp_path):
    (tmp_path / "wide.csv").write_text(",".join(["c"] * 200_000) + "\n1\n")
    refused(tmp_path / "wide.csv", "200000", read=io.read_lines)
    head = "# %ECSV 1.0\n# ---\n# datatype:\n"
    cells = "# - {name: a, datatype: string, subtype: 'float64[100000000,10]'}\na\n\"\"\n"
    (tmp_path / "cells.ecsv").write_text(head + cells)
    refused(tmp_path / "cells.ecsv", "100000000,10", read=io.read_lines)
    (tmp_path / "long.ecsv").write_text(head + "# - x\n" * 500_000 + "a\n1\n")
    refused(tmp_path / "long.ecsv", "header", read=io.read_lines)
    check_text(b"# a comment\na,b\n1,2\n")
    check_text(b"")
