"""Some rows of large files: the same as of all of them."""

import numpy as np
import pytest

import flowspec as fs
from flowspec.data.lines import Lines
from flowspec.io import stream_lines
from flowspec.io.line_stream import write_lines
from flowspec.io.parquet import stream_parquet

WAVE = np.linspace(4000.0, 5000.0, 40)


def spectra(rows: int) -> fs.Spectra:
    flux = np.random.default_rng(0).normal(size=(rows, len(WAVE)))
    return fs.Spectra(WAVE, flux, np.ones_like(flux))


def same(some, every, rows: slice) -> None:
    joined = fs.Spectra.concatenate(list(some))
    np.testing.assert_array_equal(joined.flux, every.flux[rows])
    assert [name.rpartition("#")[2] for name in joined.names] == [
        name.rpartition("#")[2] for name in every.names[rows]]  # fmt: skip


@pytest.mark.parametrize(("start", "stop", "chunk"), [(0, 50, 7), (13, 29, 4), (30, 90, 64)])
def test_rows_of_hdf5_and_of_parquet(start, stop, chunk, tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    fs.write(tmp_path / "s.h5", spectra(50))
    same(fs.stream(tmp_path / "s.h5", chunk, start=start, stop=stop), fs.read(tmp_path / "s.h5"),
         slice(start, stop))  # fmt: skip
    flux = spectra(50).flux
    columns = {"id": [i // 2 for i in range(50)], "wave": [WAVE] * 50, "flux": list(flux),
               "ivar": list(np.ones_like(flux))}  # fmt: skip
    path = tmp_path / "s.parquet"
    parquet.write_table(pa.table(columns), path, row_group_size=11)  # cut across by each case
    same(stream_parquet(path, chunk, start=start, stop=stop), fs.read(path), slice(start, stop))


def test_theta_of_some_rows(tmp_path):
    theta = np.arange(20.0).reshape(10, 2)
    fs.write(tmp_path / "s.h5", spectra(10), theta, ("a", "b"))
    found = [own for _, own in fs.stream(tmp_path / "s.h5", 3, start=4, stop=9, theta=True)]
    np.testing.assert_array_equal(np.concatenate(found), theta[4:9])


def test_lines_of_some_rows(tmp_path):
    flux = np.arange(1.0, 21.0).reshape(10, 2)
    write_lines(tmp_path / "l.h5", Lines(("Hbeta", "[OIII]5007"), flux, flux / 10))
    found = [own.flux for own in stream_lines(tmp_path / "l.h5", 2, start=3, stop=8)]
    np.testing.assert_allclose(np.concatenate(found), flux[3:8])
