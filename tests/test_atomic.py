"""Files are whole or not there: two writers at once, errors, signals, and what a kill leaves."""

import os
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from flowspec.data.atomic import replacing
from flowspec.posterior.files import read_model, write_model
from flowspec.train.checkpoint import load_checkpoint, save_checkpoint


def test_two_writers_of_one_name_each_end_with_a_whole_file(tmp_path):
    """One begins, the other writes all of its file, the first goes on."""
    path = tmp_path / "table.ecsv"
    with replacing(path) as first:
        first.write_text("one, ")
        with replacing(path) as second:
            assert first != second and first.suffix == second.suffix == ".ecsv"
            second.write_text("two, whole")
        assert path.read_text() == "two, whole"
        with first.open("a") as file:
            file.write("whole")
    assert path.read_text() == "one, whole" and os.listdir(tmp_path) == ["table.ecsv"]


def test_many_processes_worth_of_writers_leave_one_whole_file(tmp_path):
    model, checkpoint = tmp_path / "model", tmp_path / "checkpoint"

    def write(value):
        for _ in range(20):
            write_model(model, {"value": value}, {"a": np.full(1000, value)})
            save_checkpoint(checkpoint, np.full(1000, value), "same")

    threads = [threading.Thread(target=write, args=(float(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    config, arrays = read_model(model)
    assert (arrays["a"] == config["value"]).all()
    assert len(np.unique(load_checkpoint(checkpoint, np.zeros(1000), "same"))) == 1
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "model"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_ends_early_leaves_the_old_file_and_nothing_else(error, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_errors_name_the_file_itself_and_those_of_others_stay(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "no/file") as temporary:
        temporary.write_text("x")
    assert caught.value.filename == str(tmp_path / "no/file")
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "file"):
        open(tmp_path / "input")  # noqa: SIM115
    assert caught.value.filename == str(tmp_path / "input")


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    """Of that file, machine and a process that is no more; nothing else is touched."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = process.pid
    host, alive = socket.gethostname(), os.getppid()
    left = {f".x.h5.{host}-{gone}-0123abcd.part.h5": False, ".x.h5.parts": True,
            f".x.h5.{host}-{alive}-0123abcd.part.h5": True,
            f".y.h5.{host}-{gone}-0123abcd.part.h5": True,
            f".x.h5.elsewhere-{gone}-0123abcd.part.h5": True}  # fmt: skip
    for name in left:
        (tmp_path / name).write_text("half")
    with replacing(tmp_path / "x.h5") as temporary:
        temporary.write_text("whole")
    assert set(os.listdir(tmp_path)) == {"x.h5", *(name for name, stays in left.items() if stays)}


def test_names_of_any_length_can_be_written(tmp_path):
    path = tmp_path / ("n" * 250 + ".fits")
    with replacing(path) as temporary:
        temporary.write_text("x")
    assert path.read_text() == "x"
