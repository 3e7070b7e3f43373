"""Surveys are the same however they are cut or interrupted, and hold what was asked for."""

import os
import signal
import subprocess
import sys

import h5py
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flowspec as fs
from flowspec.data.spectra import Spectra
from flowspec.io.parts import write_in_parts
from flowspec.sim.galaxy.simulator import GalaxySimulator
from flowspec.sim.instrument.moons import moons
from flowspec.sim.instrument.photometry import h_magnitudes
from flowspec.sim.simulator import draw_many
from flowspec.sim.survey.survey import EXTRA, Survey

WAVE = np.linspace(4000.0, 5000, 50)
SETTINGS = {"seed": 3, "hours": (2.0, 4.0)}


@pytest.fixture(scope="module")
def survey() -> Survey:
    return Survey(GalaxySimulator(moons(40), nuisances=()), magnitudes=(21.0, 25.0))


@pytest.mark.slow
def test_candidates_do_not_depend_on_their_company(survey):
    together = survey.observe(jr.key(1), jnp.arange(6))
    apart = [survey.observe(jr.key(1), jnp.arange(i, i + 2)) for i in (4, 2, 0)]
    for name in ("theta", "flux", "ivar", "selected"):
        parts = jnp.concatenate([getattr(a, name) for a in apart[::-1]])
        # the matrix products of a batch are summed in another order than those of two
        np.testing.assert_allclose(getattr(together, name), parts, rtol=2e-5, atol=1e-6)


@pytest.mark.slow
def test_magnitudes_and_exposures_are_those_asked_for(survey):
    seen = survey.observe(jr.key(2), jnp.arange(64))
    extra = dict(zip(EXTRA, np.asarray(seen.theta[:, -4:]).T, strict=True))
    physics = h_magnitudes(survey.simulator, seen.theta[:, :-4])
    np.testing.assert_allclose(extra["m_h"], physics, atol=1e-3)
    chosen = (extra["m_h"] >= 21) & (extra["m_h"] <= 25)
    np.testing.assert_array_equal(seen.selected, chosen)
    assert 10 < chosen.sum() < 60
    assert set(extra["t_exp"]) == {2.0, 4.0, 8.0} and (extra["radius"] > 0).all()


def test_longer_exposures_have_less_noise(survey):
    """Sky-limited: the inverse variance goes with the time."""
    flux = jnp.zeros(len(survey.simulator.wave))
    two, eight = (survey.simulator.noise.ivar(flux, t, 0.3) for t in (2.0, 8.0))
    np.testing.assert_allclose(eight[two > 0] / two[two > 0], 4, rtol=1e-4)


def part(number: int, fail: int = -1):
    if number == fail:
        raise KeyboardInterrupt
    rng = np.random.default_rng(number)
    flux = rng.normal(size=(3 + number % 2, 50)).astype(np.float32)
    return Spectra(WAVE, flux, np.ones_like(flux)), flux[:, :2].astype(float)


def write(path, rows=10, fail=-1, settings=SETTINGS):
    make = lambda number: part(number, fail)  # noqa: E731
    write_in_parts(path, WAVE, make, rows, param_names=("a", "b"), settings=settings)


def data(path) -> dict:
    with h5py.File(path) as file:
        return {name: item[:].tobytes() if item.dtype.kind == "f" else list(item[:])
                for name, item in file.items()}


def test_an_interrupted_file_goes_on_to_the_same_bytes(tmp_path):
    write(tmp_path / "whole.h5")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "cut.h5", fail=2)
    assert not (tmp_path / "cut.h5").exists()
    with pytest.raises(ValueError, match=r"cut.h5: expected to go on .* other settings"):
        write(tmp_path / "cut.h5", settings={"seed": 4})
    write(tmp_path / "cut.h5")
    assert data(tmp_path / "whole.h5") == data(tmp_path / "cut.h5")
    assert sorted(os.listdir(tmp_path)) == ["cut.h5", "whole.h5"]
    with h5py.File(tmp_path / "cut.h5") as file:
        assert file["flux"].shape == (10, 50) and file["names"][9] == b"9"


def test_two_runs_of_one_file_each_end_with_all_of_it(tmp_path):
    """One ends while the other is at its third part, and takes all parts away."""
    write(tmp_path / "whole.h5")

    def make(number):
        if number == 2 and not (tmp_path / "both.h5").exists():
            write(tmp_path / "both.h5")
            assert data(tmp_path / "both.h5") == data(tmp_path / "whole.h5")
        return part(number)

    write_in_parts(tmp_path / "both.h5", WAVE, make, 10, param_names=("a", "b"), settings=SETTINGS)
    assert data(tmp_path / "both.h5") == data(tmp_path / "whole.h5")
    assert sorted(os.listdir(tmp_path)) == ["both.h5", "whole.h5"]


def test_parts_of_an_unknown_run_are_made_anew(tmp_path):
    write(tmp_path / "whole.h5")
    (tmp_path / ".x.h5.parts").mkdir()
    (tmp_path / ".x.h5.parts/000000.h5").write_bytes((tmp_path / "whole.h5").read_bytes())
    write(tmp_path / "x.h5")
    assert data(tmp_path / "x.h5") == data(tmp_path / "whole.h5")


def test_an_error_leaves_nothing(tmp_path):
    def make(number):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_in_parts(tmp_path / "x.h5", WAVE, make, 5, param_names=("a",), settings={})
    empty = Spectra(WAVE, np.zeros((0, 50)), np.zeros((0, 50))), np.zeros((0, 2))
    with pytest.raises(ValueError, match="got none"):
        write_in_parts(
            tmp_path / "x.h5", WAVE, lambda i: empty, 5, param_names=("a", "b"), settings={}
        )
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_killed_survey_goes_on_to_the_same_bytes(tmp_path):
    def simulate(name, **kwargs):
        words = ["simulate", "moons", "--n", "1200", "--seed", "5", "-o", str(tmp_path / name)]
        return subprocess.Popen([sys.executable, "-m", "flowspec", *words], **kwargs)

    assert simulate("whole.h5").wait() == 0
    process, third = simulate("cut.h5"), tmp_path / ".cut.h5.parts/000002.h5"
    while not third.exists() and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert simulate("cut.h5").wait() == 0
    assert data(tmp_path / "whole.h5") == data(tmp_path / "cut.h5")


@pytest.mark.slow
def test_the_shipped_model_knows_spectra_of_other_pixels():
    """Of 6 angstrom from 0.645 to 1.799 micron: up to three pixels of the model repeat the noise of
    one of these, as in the training."""
    if "moons" not in fs.shipped():
        pytest.skip("the model 'moons' is not in flowspec/models")
    sim = GalaxySimulator("moons-coarse")
    theta, flux, ivar = draw_many(sim, jr.key(2), 600)
    other = Spectra(sim.wave, flux, ivar).resample(np.arange(6450.0, 17990.0, 6.0))
    table = fs.load("moons").summarize(other, n=100)
    probability, right = table["z_prob"], np.abs(table["z_best"] - theta[:, 0]) < 0.01
    print(f"right {right.mean():.3f}, expected {probability.mean():.3f}")
    assert right.mean() > 0.2
    # 3 binomial errors of 600 at one half
    assert abs(right.mean() - probability.mean()) < 3 * 0.5 / 600**0.5
    assert right[probability > 0.95].mean() > 0.9
