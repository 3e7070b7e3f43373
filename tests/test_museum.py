"""Model files, shipped or of any earlier format, load and give the numbers that they gave.

Within 2e-3 nats and 1e-3 of the prior's width: float32 sums in another order, and no more.
"""

import json
import shutil
from functools import cache

import numpy as np
import pytest

import flowspec as fs
from flowspec.data.flags import Flag
from flowspec.posterior import headers
from tests.museum.reference import FILE, model, numbers

REFERENCE = json.loads(FILE.read_text())
# those that compile longest; of every kind and format one is left
LONG = (
    "sdss@0.1", "vandels@0.1", "moons", "moons@0.1", "cloudy", "nebula", "vandels", "optical",
    "prism",
)  # fmt: skip
NAMES = [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in REFERENCE]


@cache
def found(name: str) -> dict:
    return numbers(name, model(name), np.array(REFERENCE[name]["theta"]))


@pytest.mark.parametrize("name", NAMES)
def test_the_density_is_what_it_was(name):
    np.testing.assert_allclose(found(name)["log_prob"], REFERENCE[name]["log_prob"], atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_what_it_was(name):
    table, before = found(name)["table"], REFERENCE[name]["table"]
    assert set(before) <= set(table)
    widths = dict(zip(model(name).names, REFERENCE[name]["widths"], strict=True))
    for column, values in before.items():
        width = widths.get(column[:-4], widths["z"] if column == "z_best" else 1.0)
        now, values = np.array(table[column], float), np.array(values)
        if column == "z_prob":  # since then less of parts of spectra, masked out of distribution
            unlike = np.array(found(name)["flags"]) & Flag.OUT_OF_DISTRIBUTION > 0
            assert np.isnan(now[unlike]).all()
            same = ~unlike & (np.array(table["coverage"]) > 0.99)
            now, values = now[same], values[same]
        np.testing.assert_allclose(now, values, atol=1e-3 * width, err_msg=column)


@pytest.mark.parametrize("name", NAMES)
def test_the_flags_are_what_they_were(name):
    # the others are new since then, or have another rule
    kept = int(Flag.NO_DATA | Flag.LITTLE_COVERAGE | Flag.FEW_PIXELS | Flag.MULTIMODAL_REDSHIFT
               | Flag.OUT_OF_DISTRIBUTION)  # fmt: skip
    flags = found(name)["flags"], REFERENCE[name]["flags"]
    np.testing.assert_array_equal(*(np.array(f) & kept for f in flags))


def test_a_model_of_an_earlier_version_loads_by_its_name(tmp_path, monkeypatch, tiny_model_file):
    monkeypatch.setattr(headers, "_MODELS", tmp_path)
    (tmp_path / "earlier").mkdir()
    shutil.copy(tiny_model_file, tmp_path / "earlier" / "sdss@0.1.safetensors")
    assert fs.load("sdss@0.1").names == fs.load(tiny_model_file).names
    assert "sdss@0.1" not in headers.shipped()
    with pytest.raises(FileNotFoundError, match="sdss@0.1"):
        fs.load("sdss")
