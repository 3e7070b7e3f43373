"""Writing HDF5: round trips, chunks, atomicity, full disk."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from flowspec import io
from flowspec.data.spectra import Spectra

WAVE = np.linspace(4000, 5000, 300)


def make(n, seed=0):
    rng = np.random.default_rng(seed)
    ivar = rng.uniform(0.5, 2, (n, 300)) * (rng.uniform(size=(n, 300)) > 0.1)
    return Spectra(WAVE, rng.normal(size=(n, 300)), ivar)


def equal(a, b):
    for x, y in ((a.wave, b.wave), (a.flux, b.flux), (a.ivar, b.ivar)):
        np.testing.assert_array_equal(x, y)
    assert a.names == b.names and a.notes == b.notes


def test_round_trip_keeps_everything(tmp_path):
    s = make(5)
    s = Spectra(s.wave, s.flux, s.ivar * (np.arange(5) != 2)[:, None], list("abcdé"))
    path = tmp_path / "s.h5"
    io.write(path, s, attrs={"seed": 3, "command": "flowspec simulate"})
    equal(io.read(path), s)
    with h5py.File(path) as f:
        assert f.attrs["seed"] == 3 and f["flux"].attrs["units"]
    io.write(path, s[:2])
    equal(io.read(path), s[:2])
    assert os.listdir(tmp_path) == ["s.h5"]


def test_simulations_in_chunks(tmp_path):
    parts = [make(n, seed=n) for n in (700, 1, 1500)]
    theta = np.random.default_rng(0).normal(size=(2201, 3))
    path, start = tmp_path / "sims.h5", 0
    with io.Writer(path, WAVE, param_names=("z", "log_mstar", "av")) as writer:
        for part in parts:
            writer.append(part, theta[start : start + len(part)])
            start += len(part)
            assert not path.exists()
    read, names, s = io.read_simulations(path)
    np.testing.assert_array_equal(read, theta)
    assert names == ("z", "log_mstar", "av") and s.names == tuple(str(i) for i in range(2201))
    np.testing.assert_array_equal(s.flux, np.concatenate([p.flux for p in parts]))
    chunks = list(io.stream(path, 1000, theta=True))
    assert [len(c) for c, _ in chunks] == [1000, 1000, 201]
    np.testing.assert_array_equal(np.concatenate([t for _, t in chunks]), theta)
    np.testing.assert_array_equal(chunks[1][0].flux, s.flux[1000:2000])


def test_users_own_simulations(tmp_path):
    with h5py.File(tmp_path / "own.h5", "w") as f:
        f["wave"], f["flux"], f["err"] = WAVE, np.ones((4, 300)), np.full((4, 300), 2.0)
        f["theta"] = np.arange(8.0).reshape(4, 2)
    theta, names, s = io.read_simulations(tmp_path / "own.h5", ("a", "b"))
    assert theta.shape == (4, 2) and names == ("a", "b") and s.ivar[0, 0] == 0.25
    with pytest.raises(ValueError, match="own.h5: expected 2 parameter names"):
        io.read_simulations(tmp_path / "own.h5")
    io.write(tmp_path / "no.h5", make(2))
    with pytest.raises(ValueError, match="no.h5: expected simulations with theta"):
        io.read_simulations(tmp_path / "no.h5")


def test_nothing_is_left_after_an_error(tmp_path):
    path = tmp_path / "s.h5"
    with pytest.raises(KeyError), io.Writer(path, WAVE) as writer:
        writer.append(make(3))
        raise KeyError
    with pytest.raises(ValueError, match="file's grid"), io.Writer(path, WAVE[1:]) as writer:
        writer.append(make(3))
    for theta in (None, np.ones((3, 1)), np.ones((2, 2))):
        with pytest.raises(ValueError, match=r"theta of shape \(3, 2\)"):
            io.write(path, make(3), theta, ("a", "b"))
    assert os.listdir(tmp_path) == []
    io.write(path, make(3))
    before = path.read_bytes()
    with pytest.raises(KeyError), io.Writer(path, WAVE):
        raise KeyError
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["s.h5"]
    with pytest.raises(OSError, match="nowhere"):
        io.write(tmp_path / "nowhere/s.h5", make(3))


FULL_DISK = """
import resource, sys
import numpy as np
from flowspec.io import Writer
from flowspec.data.spectra import Spectra
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
wave = np.arange(4000.0, 6000)
s = Spectra(wave, np.ones((100, 2000)), np.ones((100, 2000)))
try:
    with Writer("sims.h5", wave, param_names=["z"]) as writer:
        for _ in range(10):
            writer.append(s, np.ones((100, 1)))
except OSError as error:
    print(f"error: {error}")
    raise SystemExit(2)
"""


@pytest.mark.parametrize("limit", [1000, 1_500_000, 15_900_000])
def test_full_disk_is_one_line_and_leaves_nothing(tmp_path, limit):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("error: ") and done.stdout.count("\n") == 1
    assert "sims.h5" in done.stdout and os.listdir(tmp_path) == []


def test_refuses_a_future_version_and_other_files(tmp_path):
    io.write(tmp_path / "s.h5", make(2))
    with h5py.File(tmp_path / "s.h5", "r+") as f:
        f.attrs["flowspec_version"] = 99
    with pytest.raises(ValueError, match="s.h5: expected a file of version <= 1; got 99"):
        io.read(tmp_path / "s.h5")
    with pytest.raises(ValueError, match="does not exist"):
        next(io.stream(tmp_path / "absent.h5"))
    with pytest.raises(ValueError, match="chunk"):
        next(io.stream(tmp_path / "s.h5", 0))
