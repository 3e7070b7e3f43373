"""What a start costs: light imports, and programs compiled once for all runs."""

import logging
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import jax
import pytest

import flowspec as fs
from flowspec.cli.arguments import parser
from flowspec.model import compiled
from flowspec.train.optimiser import make_optimiser
from flowspec.train.settings import OPTIMISERS, Training

ROOT = Path(__file__).resolve().parents[1]
LIGHT = """
import contextlib, io, sys
heavy = {"jax", "numpyro", "distrax", "matplotlib", "astropy", "numpy", "scipy", "h5py"}
import flowspec
print("import", *heavy & set(sys.modules))
from flowspec.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(["fit", "--help"])
print("help", *heavy & set(sys.modules))
import flowspec.cli.predict
slow = {"distrax", "matplotlib", "astropy.cosmology", "scipy.optimize", "scipy.stats", "optax"}
print("predict", *slow & set(sys.modules))
[getattr(flowspec, name) for name in dir(flowspec)]
import flowspec.cli.view
print("all", *{"matplotlib", "scipy.stats", "umap"} & set(sys.modules))
"""
COMPILED = """
import jax
from flowspec.model.compiled import keep_programs
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event.split("/")[-1]))
print(keep_programs(), float(jax.jit(lambda x: x @ x.T)(jax.numpy.ones((3, 3))).sum()))
print(events.count("cache_hits"), events.count("cache_misses"))
"""


def run(code: str, **environment) -> list[str]:
    """What a fresh process prints, line by line, whatever cache this one has."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT,
                          env=own | {"JAX_PLATFORMS": "cpu"} | environment)  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_nothing_heavy_is_loaded_before_it_is_used():
    assert run(LIGHT) == ["import", "help", "predict", "all"]


def test_public_names():
    assert {"fit", "load", "read", "Spectra", "Posterior", "Training"} <= set(dir(fs))
    for name in dir(fs):
        value = getattr(fs, name)
        assert callable(value) and value.__name__ == name.replace("LinePosterior", "Posterior")
    assert set(fs.__all__) == set(dir(fs))
    assert fs.fit is import_module("flowspec.fitting").fit
    assert fs.io is import_module("flowspec.io")  # packages as well
    with pytest.raises(AttributeError, match="nothing"):
        fs.nothing  # noqa: B018
    assert (ROOT / "flowspec" / "py.typed").exists()


def test_settings_are_those_of_training():
    words = ["fit", "--instrument", "sdss", "-o", "model"]
    for name in OPTIMISERS:
        assert parser().parse_args([*words, "--optimiser", name]).optimiser == name
        assert make_optimiser(Training(optimiser=name), {})


@pytest.fixture
def keep(monkeypatch):
    """`keep_programs` of a process whose JAX is as it comes; what it sets is undone."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    for name, value in zip(names, (None, 1.0), strict=True):
        jax.config.update(name, value)
    monkeypatch.setattr(compiled, "_tell_when_long", lambda: None)
    monkeypatch.delenv(compiled.VARIABLE, raising=False)
    yield compiled.keep_programs.__wrapped__
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.parametrize(
    "variable, xdg, platform, folder",
    [
        ("", "/xdg", "linux", "/xdg/flowspec"),
        ("", "", "linux", "/home/me/.cache/flowspec"),
        ("", "relative", "linux", "/home/me/.cache/flowspec"),
        ("", "", "darwin", "/home/me/Library/Caches/flowspec"),
        ("", "", "win32", "/home/me/local/flowspec"),
        ("/elsewhere", "/xdg", "linux", "/elsewhere"),
        ("~/here", "/xdg", "linux", "/home/me/here"),
        ("off", "/xdg", "linux", None),
        ("OFF", "", "darwin", None),
        ("~nobody-of-that-name/x", "/xdg", "linux", None),
    ],
)
def test_cache_folder(variable, xdg, platform, folder, monkeypatch):
    monkeypatch.setenv(compiled.VARIABLE, variable)
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    monkeypatch.setenv("LOCALAPPDATA", "/home/me/local")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "platform", platform)
    assert compiled.cache_folder() == (folder and Path(folder))


def test_programs_are_kept_for_their_owner_alone(keep, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "flowspec"
    assert keep() == folder and folder.stat().st_mode & 0o777 == 0o700
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0


def test_a_cache_of_the_user_is_left_alone(keep, monkeypatch, tmp_path):
    monkeypatch.setenv(compiled.VARIABLE, str(tmp_path / "ours"))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    assert keep() is None and not (tmp_path / "ours").exists()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "theirs")
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 1
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 5.0)
    assert keep() == tmp_path / "ours"
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 5


def test_without_a_folder_to_write_to_there_is_no_cache(keep, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", "/dev/null"):  # a folder cannot be made in either
        monkeypatch.setenv("HOME", str(home))
        assert keep() is None
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)  # of a file system without writing
    assert keep() is None
    monkeypatch.setenv(compiled.VARIABLE, "off")
    assert keep() is None and jax.config.jax_compilation_cache_dir is None


def test_the_cache_is_bounded(keep, monkeypatch, tmp_path):
    monkeypatch.setenv(compiled.VARIABLE, str(tmp_path))
    monkeypatch.setattr(compiled, "_LARGEST", 25)
    now = time.time()
    for i in range(5):
        (tmp_path / f"{i}-cache").write_bytes(b"0123456789")
        os.utime(tmp_path / f"{i}-cache", (now - i, now))  # used less and less recently
    os.utime(tmp_path / "0-cache", (now, now - 40 * 86400))
    (tmp_path / "mine").write_bytes(b"x" * 100)  # no program of JAX
    keep()
    left = {f.name for f in tmp_path.glob("*") if f.stat().st_size}
    assert left == {"1-cache", "mine"}
    (tmp_path / "5-cache").write_bytes(b"x" * 100)
    keep()  # once a day
    assert (tmp_path / "5-cache").exists()


def test_the_second_process_finds_what_the_first_compiled(tmp_path):
    folder = tmp_path / "cache"
    first, second = (run(COMPILED, FLOWSPEC_CACHE=str(folder)) for _ in range(2))
    assert first[0] == second[0] == f"{folder} 27.0"
    (hits, misses), (found, compiled_again) = (map(int, out[1].split()) for out in (first, second))
    assert hits == compiled_again == 0 and found == misses > 0


def test_long_compilation_is_told_once(caplog, monkeypatch):
    listeners = []
    for kind in ("register_event_listener", "register_event_duration_secs_listener"):
        monkeypatch.setattr(jax.monitoring, kind, listeners.append)
    compiled._tell_when_long()
    happens, takes = listeners
    caplog.set_level(logging.INFO, logger="flowspec")
    compilation = "/jax/core/compile/backend_compile_duration"
    happens("/jax/compilation_cache/cache_hits")
    takes(compilation, 30.0)  # found, however slowly
    takes("/jax/core/compile/jaxpr_trace_duration", 30.0)
    takes(compilation, 0.6)
    assert not caplog.messages
    for _ in range(3):
        takes(compilation, 0.6)
    assert caplog.messages == ["compiling (once)"]
