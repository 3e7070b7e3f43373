"""The shipped tables against the packages they come from, one number of each rebuilt."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from flowspec.sim.galaxy import nebula, nucleus, stars
from flowspec.sim.tables import build

pytestmark = pytest.mark.slow


def package(name: str) -> Path:
    """Folder of an installed package, which need not be importable, or a skip."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the source package {name} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def test_tables_are_small_and_plain():
    files = sorted(build.HERE.glob("*.npz"))
    assert sum(f.stat().st_size for f in files) < 15e6
    for file in files:
        with np.load(file, allow_pickle=False) as arrays:
            assert all(np.isfinite(a).all() for a in arrays.values() if a.dtype.kind == "f")


def test_an_emission_line_is_that_of_nebulabayes(tmp_path):
    build.build_nebula(package("NebulaBayes"), tmp_path)
    mine, again = nebula.load_nebula(), nebula.load_nebula(tmp_path / "nebula.npz")
    assert mine.names == again.names
    np.testing.assert_array_equal(mine.log_flux, again.log_flux)


def test_a_line_of_narrow_line_regions_is_that_of_nebulabayes(tmp_path):
    build.build_nucleus(package("NebulaBayes"), tmp_path)
    mine, again = nucleus.load_nucleus(), nucleus.load_nucleus(tmp_path / "nucleus.npz")
    assert mine.names == again.names
    np.testing.assert_array_equal(mine.log_flux, again.log_flux)


def test_a_young_continuum_is_that_of_bc03():
    bc03 = build.read_bc03(package("rubix"))
    table = stars.load_stars()
    solar = list(table.log_z).index(0.0)
    edges = table.age_edges[:2]
    ages = np.maximum(edges[0] + np.diff(edges) * (np.arange(5) + 0.5) / 5, 1e-3)
    shape = np.mean([build.bc03_at(bc03, a, 0.0) for a in ages], axis=0)
    at = [np.interp([1500.0, 2500.0], w, f)
          for w, f in ((bc03[0], shape), (table.wave, table.flux[solar, 0]))]  # fmt: skip
    np.testing.assert_allclose(at[1], at[0], rtol=1e-3)


def test_an_old_population_is_that_of_fastar():
    package("fastar")
    from fastar import IntegratedSSPSynthesizer
    from fastar.imf import chabrier

    ssp = IntegratedSSPSynthesizer(imf_function=chabrier)
    wave = build.air_to_vacuum(np.asarray(ssp.wave, float))
    table = stars.load_stars()
    last = table.age_edges[-2:]
    ages = last[0] + np.diff(last) * (np.arange(5) + 0.5) / 5
    mean = np.mean([np.asarray(ssp.synthesize(a, 0.0)) for a in ages], axis=0) / build.LSUN_10PC
    solar = list(table.log_z).index(0.0)
    mine = np.interp(wave, table.wave, table.flux[solar, -1])
    np.testing.assert_allclose(mine, mean, rtol=2e-3)
