"""`fs.predict_frame`: spectra in the cells of a data frame, as in an LSDB catalogue."""

from dataclasses import replace

import numpy as np
import pytest

import flowspec as fs
from tests.problems import WAVE
from tests.test_cluster import save_model, spectra

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model") / "galaxies")


def frame(rows: fs.Spectra):
    return pd.DataFrame({"object_id": list(rows.names), "ra": np.arange(len(rows)) + 0.5,
                         "wave": [WAVE] * len(rows), "flux": list(rows.flux),
                         "ivar": list(rows.ivar)}, index=np.arange(len(rows)) * 7)  # fmt: skip


def test_it_is_what_summarize_says(model):
    rows = spectra(6, "x")
    flux = rows.flux.copy()
    flux[2] = np.nan
    rows = replace(rows, flux=flux)
    found = fs.predict_frame(frame(rows), model, n=100)
    table = fs.load(model).summarize(rows, n=100, by_name=True)
    assert list(found.index) == [0, 7, 14, 21, 28, 35] and list(found["ra"]) == [
        0.5, 1.5, 2.5, 3.5, 4.5, 5.5]  # fmt: skip
    assert not {"wave", "flux", "ivar"} & set(found.columns)
    for name in ("z_best", "z_p50", "strength_p84", "flags"):
        np.testing.assert_array_equal(found[name], np.ma.filled(table[name].data, np.nan))
    assert list(found["name"]) == list(rows.names)
    np.testing.assert_allclose(np.array(found["z_peaks"].iloc[0], float), table["z_peaks"][0])


def test_an_empty_frame_has_the_same_columns(model):
    some = fs.predict_frame(frame(spectra(3, "x")), model, n=100)
    none = fs.predict_frame(frame(spectra(3, "x")).iloc[:0], model, n=100)
    assert len(none) == 0 and none.dtypes.to_dict() == some.dtypes.to_dict()


def test_without_identifiers_the_index_keys_the_draws(model):
    every = frame(spectra(5, "x")).drop(columns="object_id")
    one = fs.predict_frame(every.iloc[3:4], model, n=100)
    assert list(one["name"]) == ["21"]
    whole = fs.predict_frame(every, model, n=100)
    np.testing.assert_allclose(one["z_p50"], whole["z_p50"].iloc[3:4], rtol=1e-5)


def test_a_frame_without_spectra_is_refused(model):
    with pytest.raises(ValueError, match="expected .*flux"):
        fs.predict_frame(frame(spectra(2, "x")).drop(columns="flux"), model)


def test_nested_spectra(model):
    nested = pytest.importorskip("nested_pandas")
    flat = frame(spectra(4, "x"))
    packed = nested.NestedFrame(flat).nest_lists(["wave", "flux", "ivar"], "spectrum")
    found, wanted = (fs.predict_frame(own, model, n=100) for own in (packed, flat))
    assert set(found.columns) == set(wanted.columns)
    np.testing.assert_array_equal(found["z_p16"], wanted["z_p16"])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of LSDB and what it loads
def test_a_catalogue_of_lsdb(model, tmp_path):
    """Its partitions by place on the sky, in three lines."""
    nested, lsdb = pytest.importorskip("nested_pandas"), pytest.importorskip("lsdb")
    dask = pytest.importorskip("dask")
    rows = spectra(6, "x")
    flat = frame(rows).assign(dec=np.linspace(-60.0, 60.0, 6))
    packed = nested.NestedFrame(flat).nest_lists(["wave", "flux", "ivar"], "spectrum")
    catalogue = lsdb.from_dataframe(packed, lowest_order=1, highest_order=1)
    assert catalogue.npartitions > 1
    results = catalogue.map_partitions(fs.predict_frame, model=model, n=100)
    with dask.config.set(scheduler="synchronous"):
        found = results.compute().set_index("object_id")
    table = fs.load(model).summarize(rows, n=100, by_name=True)
    assert list(found.loc[list(rows.names), "name"]) == list(rows.names)
    np.testing.assert_allclose(found.loc[list(rows.names), "z_p50"], table["z_p50"], rtol=1e-5)
    with dask.config.set(scheduler="synchronous"):
        results.write_catalog(tmp_path / "results", catalog_name="results", as_collection=False)
        again = lsdb.open_catalog(tmp_path / "results").compute().set_index("object_id")
    np.testing.assert_array_equal(again.loc[found.index, "z_p50"], found["z_p50"])
    assert len(again["z_peaks"].iloc[0]) == 5
