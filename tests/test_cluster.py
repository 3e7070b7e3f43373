"""`fs.predict` and `flowspec predict --dask`: the same bytes whoever works, however often."""

import json
import logging
import os
import resource
from dataclasses import replace

import h5py
import numpy as np
import pytest
from astropy.table import meta

import flowspec as fs
from flowspec import Architecture, Flag
from flowspec.cli import main
from flowspec.cluster.dask import connected, submitted
from flowspec.cluster.job import job_of
from flowspec.cluster.parts import HASH, RUN, UNIT
from flowspec.cluster.units import units_of
from flowspec.data.frame import Pixels
from flowspec.io.options import make_options
from tests.problems import WAVE, line_simulator, untrained

parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("distributed")
SIZES = Architecture(
    templates=3, learned=0, aligned=6, window=21, condition=16, layers=2, width=16
)
OPTIONS = {"n": 100, "rows": 24}


def spectra(count: int, name: str, seed: int = 0, **extra) -> fs.Spectra:
    flux = 1 + 0.5 * np.random.default_rng(seed).normal(size=(count, len(WAVE)))
    names = [f"{name}{i}" for i in range(count)]
    return fs.Spectra(WAVE, flux, np.full(flux.shape, 4.0), names=names, extra=extra)


def save_model(path, seed: int = 0):
    untrained((line_simulator().prior,), ("a",), Pixels(WAVE), SIZES, seed=seed).save(path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model") / "galaxies")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """HDF5 of three units, Parquet of two, half of a file, and rows of NaN."""
    inside = tmp_path_factory.mktemp("in")
    fs.write(inside / "large.h5", spectra(60, "a"))
    fs.write(inside / "none.h5", replace(spectra(4, "n"), flux=np.full((4, len(WAVE)), np.nan)))
    whole = (inside / "large.h5").read_bytes()
    (inside / "broken.h5").write_bytes(whole[: len(whole) // 2])
    save_parquet(inside / "rows.parquet", spectra(30, "p", seed=1), group=7)
    return inside


def save_parquet(path, rows: fs.Spectra, group: int) -> None:
    import pyarrow as pa

    columns = {"object_id": list(rows.names), "wave": [WAVE] * len(rows)}
    columns |= {"flux": list(rows.flux), "ivar": list(rows.ivar)}
    parquet.write_table(pa.table(columns), path, row_group_size=group)


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}


def times(folder) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def test_the_same_bytes_from_one_worker_and_from_two(files, model, tmp_path):
    with connected("1") as client:
        one = fs.predict(files, model, tmp_path / "one", client=client, **OPTIONS)
        client.cluster.scale(2)
        client.wait_for_workers(2)
        two = fs.predict(files, model, tmp_path / "two", client=client, **OPTIONS)
        check_that_a_disk_that_is_not_there_ends_the_run(client, files, model, tmp_path)
    assert content(one) == content(two)
    (line,) = (one / "_failed.jsonl").read_text().splitlines()
    failed = json.loads(line)
    assert failed["path"] == str(files / "broken.h5") and "complete HDF5" in failed["error"]
    words = ["predict", str(files), "--model", str(model), "--num-samples", "100", "--by-name"]
    assert main([*words, "-o", str(tmp_path / "all.h5"), "--quiet"]) == 0
    check_the_table_of_one_process(one, tmp_path / "all.h5")


def check_the_table_of_one_process(folder, path) -> None:
    """Other blocks, so that sums of floats may differ in their last digits."""
    found = parquet.read_schema(folder / "_metadata").names
    with h5py.File(path) as file:
        names = file["name"].asstr()[...]
        rows = names != "broken.h5"
        table = parquet.read_table(folder)
        order = [table["name"].to_pylist().index(name) for name in names[rows]]
        assert set(found) == set(file)
        for name in ("z_p16", "z_p50", "strength_p84", "z_best", "p_value", "flags"):
            values = np.asarray(table[name])[order]
            np.testing.assert_allclose(values, file[name][rows], rtol=1e-5, err_msg=name)
    flags = np.asarray(table["flags"])
    none = [name.startswith("n") for name in table["name"].to_pylist()]
    assert np.array_equal((flags & int(Flag.NO_DATA)) > 0, none) and sum(none) == 4


def check_that_a_disk_that_is_not_there_ends_the_run(client, files, model, tmp_path) -> None:
    job = job_of(model, tmp_path / "gone", seed=0, **OPTIONS)
    units = units_of([str(files)], 24, job.options, lines=False)
    with pytest.raises(OSError, match="expected a folder that workers see as well"):
        list(submitted(client, [u for u in units if "broken" not in u.path], job))


def test_a_rerun_makes_what_is_missing(files, model, tmp_path):
    out = fs.predict(files, model, tmp_path / "out", **OPTIONS)
    whole, made = content(out), times(out)
    assert len(made) == 6 and {"_metadata", "_common_metadata"} < set(whole)
    fs.predict(files, model, out, **OPTIONS)
    assert times(out) == made and content(out) == whole
    lost = next(name for name in made if "large" in name and name.endswith("24.parquet"))
    (out / lost).unlink()
    fs.predict(files, model, out, **OPTIONS)
    again = times(out)
    assert {name for name in made if again[name] != made[name]} == {lost}
    assert content(out) == whole


def test_what_a_footer_says(files, model, tmp_path):
    out = fs.predict(files / "rows.parquet", model, tmp_path / "out", **OPTIONS)
    first, second = sorted(out.glob("*.parquet"))
    about = {key.decode(): text.decode() for key, text in parquet.read_metadata(second).metadata
             .items()}  # fmt: skip
    unit, run = json.loads(about[UNIT]), json.loads(about[RUN])
    assert unit["path"] == str(files / "rows.parquet") and (unit["start"], unit["stop"]) == (24, 30)
    assert unit["size"] == (files / "rows.parquet").stat().st_size
    assert run["n"] == 100 and run["seed"] == 0 and len(run["digest"]) == 32
    assert about[HASH] != parquet.read_metadata(first).metadata[HASH.encode()].decode()
    kept = meta.get_header_from_yaml(about["table_meta_yaml"].split("\n"))  # as astropy reads it
    assert {"z_best", "z_p50"} < {c["name"] for c in kept["datatype"] if c["description"]}
    whole = parquet.read_metadata(out / "_metadata")
    assert whole.num_rows == 30 and whole.row_group(1).column(0).file_path == second.name


def test_draws_do_not_depend_on_the_size_of_units(files, model, tmp_path):
    some = fs.predict(files / "rows.parquet", model, tmp_path / "some", **OPTIONS)
    every = fs.predict(files / "rows.parquet", model, tmp_path / "all", n=100)
    some, every = parquet.read_table(some), parquet.read_table(every)
    assert some["name"].to_pylist() == every["name"].to_pylist()
    for name in ("z_p50", "strength_p16"):
        np.testing.assert_allclose(some[name], every[name], rtol=1e-5)


def test_parts_of_other_models_and_options_are_not_mixed(files, model, tmp_path, capsys):
    out = fs.predict(files / "none.h5", model, tmp_path / "out", n=100)
    whole = content(out)
    words = ["predict", str(files / "none.h5"), "-o", str(out), "--num-samples", "100"]
    assert main([*words, "--model", str(model), "--seed", "1", "--dask", "1"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "expected parts of the same seed, 1; got 0 in" in err
    other = save_model(tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match="expected parts of the same model, "):
        fs.predict(files / "none.h5", other, out, n=100)
    with pytest.raises(ValueError, match="expected parts of the same n, 200; got 100"):
        fs.predict(files / "large.h5", model, out, n=200)
    with pytest.raises(ValueError, match="expected a part of 'flowspec predict'; got another"):
        fs.predict(files / "large.h5", model, files, n=100)
    assert content(out) == whole


def test_an_input_that_has_changed_is_answered_anew(model, tmp_path):
    path, out = tmp_path / "x.h5", tmp_path / "out"
    fs.write(path, spectra(30, "x"))
    fs.predict(path, model, out, **OPTIONS)
    before = content(out)
    fs.write(path, spectra(30, "x", seed=1))
    fs.predict(path, model, out, **OPTIONS)
    after = content(out)
    assert set(after) == set(before) and not set(before.values()) & set(after.values()) - {
        before["_common_metadata"]}  # fmt: skip
    fs.write(path, spectra(20, "x"))
    with pytest.raises(ValueError, match="got one from row 24, which it has no more"):
        fs.predict(path, model, out, **OPTIONS)


def test_more_inputs_join_a_data_set_and_columns_may_differ(files, model, tmp_path, caplog):
    out = fs.predict(files / "none.h5", model, tmp_path / "out", n=100)
    fs.write(tmp_path / "with.h5", spectra(3, "w", ra=np.arange(3.0), dec=np.arange(3.0)))
    with caplog.at_level(logging.INFO, logger="flowspec"):
        fs.predict([tmp_path / "with.h5", files / "none.h5"], model, out, n=100)
    assert "1 of 2 units are there" in caplog.text and "columns differ" in caplog.text
    assert not (out / "_metadata").exists()
    schema = parquet.read_schema(out / "_common_metadata")
    assert {"ra", "dec", "z_best"} < set(schema.names)
    assert parquet.read_table(out, schema=schema).num_rows == 7


@pytest.mark.parametrize(("words", "cause"), [
    (["--dask", "--samples", "s.h5"], "expected no --samples with --dask"),
    (["--dask", "--plots", "p"], "expected no --plots with --dask"),
    (["--dask", "2", "--model", "auto"], "expected one model with --dask"),
    (["--dask", "--dereddened"], "expected dereddened only with a model of lines"),
    (["--dask", "0"], "expected at least one worker"),
    (["--dask", "nowhere:x"], "nowhere:x: expected a Dask scheduler"),
])  # fmt: skip
def test_what_cannot_be_is_one_line(words, cause, files, model, tmp_path, capsys, monkeypatch):
    if "--dereddened" in words:  # told by `predict`, which needs no workers for it
        monkeypatch.setattr("flowspec.cli.cluster.connected", lambda where: open(os.devnull))
    start = ["predict", str(files), "--model", str(model), "-o", str(tmp_path / "out")]
    assert main([*start, *words]) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[-1].startswith("error: ") and cause in err[-1], err
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_the_run_and_the_next_goes_on(files, model, tmp_path):
    """The largest size that a process may write stands for the disk: files end with EFBIG."""
    inputs = [files / "none.h5", files / "large.h5"]
    whole = content(fs.predict(inputs, model, tmp_path / "whole", **OPTIONS))
    sizes = [len(whole[unit.part]) for unit in units_of(
        map(str, inputs), 24, make_options(), lines=False)]  # fmt: skip
    assert sizes[0] < min(sizes[1:])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(sizes[1:]) - 1, before[1]))
    try:
        with pytest.raises(OSError, match="large.h5.*parquet"):
            fs.predict(inputs, model, tmp_path / "out", **OPTIONS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert left == [name for name in whole if name.startswith("none")]
    assert content(fs.predict(inputs, model, tmp_path / "out", **OPTIONS)) == whole


def test_a_model_in_memory_and_files_none_of_which_can_be_read(files, model, tmp_path):
    with pytest.raises(ValueError, match="expected the name or file of a model; got Posterior"):
        job_of(fs.load(model), tmp_path / "out", seed=0, **OPTIONS)
    with pytest.raises(ValueError, match="expected options of columns, .*; got flux_units"):
        fs.predict(files, model, tmp_path / "out", flux_units="Jy")
    with pytest.raises(ValueError, match=r"broken.h5: expected a complete HDF5 file"):
        fs.predict(files / "broken.h5", model, tmp_path / "out")
    assert (tmp_path / "out" / "_failed.jsonl").exists()


def test_dask_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ValueError, match="expected dask and distributed"), connected("1"):
        pass
