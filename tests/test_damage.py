"""Damaged model files are refused in one line that names the file, and never give other numbers."""

import json

import numpy as np
import pytest

import flowspec as fs
from flowspec.posterior.damage import CHECKSUM
from flowspec.posterior.files import FORMAT, read_model, write_model
from tests.fuzz.originals import MUSEUM, originals

OLD = MUSEUM / "lines.safetensors"  # of version 1, without a checksum


@pytest.fixture(scope="module")
def parts() -> tuple[dict, dict]:
    """Description and arrays of a small model, as they are written today."""
    from flowspec.posterior.legacy import upgraded

    return upgraded(*read_model(OLD))


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bits flipped, a range zeroed, made random or copied from elsewhere, or the end cut."""
    array = np.frombuffer(content, np.uint8).copy()
    start, other = rng.integers(len(array) - 1, size=2)
    stop = min(start + int(2 ** rng.integers(0, 12)), len(array))
    kind = rng.integers(5)
    if kind == 0:
        places = rng.integers(len(array), size=rng.integers(1, 20))
        array[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
    elif kind == 1:
        array[start:stop] = 0
    elif kind == 2:
        array[start:stop] = rng.integers(256, size=stop - start)
    elif kind == 3:
        moved = array[other : other + stop - start].copy()
        array[start : start + len(moved)] = moved
    return (array[:start] if kind == 4 else array).tobytes()


def test_of_200_damaged_files_none_is_read_with_another_number(tmp_path):
    _, content = originals()["checked.safetensors"]
    path, rng = tmp_path / "model", np.random.default_rng(3)
    refused = 0
    for _ in range(200):
        bad = damaged(content, rng)
        path.write_bytes(bad)
        if bad == content:
            continue
        with pytest.raises(ValueError) as caught:
            read_model(path)
        refused += 1
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert refused > 180  # the others were zeros before


def test_files_without_a_checksum_are_read_for_ever_and_new_ones_have_one(parts, tmp_path):
    assert fs.load(OLD).names == ("oh", "av")
    fs.load(OLD).save(tmp_path / "new")
    fs.load(tmp_path / "new")
    content = (tmp_path / "new").read_bytes()
    (tmp_path / "new").write_bytes(content.replace(CHECKSUM.encode(), b"sha257"))
    with pytest.raises(ValueError, match="checksum differs"):
        fs.load(tmp_path / "new")


def changed(arrays: dict, name: str, value) -> dict:
    return arrays | {name: value}


def without(arrays: dict, name: str) -> dict:
    return {key: array for key, array in arrays.items() if key != name}


ARRAYS = {
    "nan": (lambda a: changed(a, "screen.mean", a["screen.mean"] * np.nan), "screen.mean"),
    "inf": (lambda a: changed(a, "network.head.bias", a["network.head.bias"] + np.inf), "infinite"),
    "shape": (lambda a: changed(a, "network.first.kernel", a["network.first.kernel"].T), "shape"),
    "density": (lambda a: changed(a, "density.affine.0.bias", np.ones(3)), "density.affine.0.bias"),
    "screen": (lambda a: a | {"screen.whiten": np.eye(5), "screen.mean": np.ones(5)},
               "12 features"),
    "distances": (lambda a: changed(a, "screen.distances", -a["screen.distances"]), "distances"),
    "unknown": (lambda a: changed(a, "network.other", np.ones(3)), "network.other"),
    "missing": (lambda a: without(a, "network.last.bias"), "network.last.bias"),
    "kind": (lambda a: changed(a, "screen.mean", a["screen.mean"] > 0), "bool"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_are_not_those_of_the_model(name, parts, tmp_path):
    config, arrays = parts
    change, saying = ARRAYS[name]
    write_model(tmp_path / "bad", config, change(arrays))
    refused(tmp_path / "bad", saying)


def refused(path, saying):
    with pytest.raises(ValueError) as caught:
        fs.load(path)
    message = str(caught.value)
    assert str(path) in message and saying in message and "\n" not in message, message


def test_headers_that_are_not_those_of_a_model(parts, tmp_path):
    config, arrays = parts
    architecture, space = config["architecture"], config["space"]
    prior = json.loads(json.dumps(space["priors"]))
    cases = {
        "empty": ({}, "complete model"), "account": (config | {"provenance": []}, "provenance"),
        "history": (config | {"provenance": {"history": [["a"]]}}, "history"),
        "wide": (config | {"architecture": architecture | {"width": 10**9}}, "width"),
        "deep": (config | {"architecture": architecture | {"blocks": 10**6}}, "blocks"),
        "other": (config | {"architecture": architecture | {"width": 13}}, "density."),
        "text": (config | {"architecture": architecture | {"width": "x"}}, "complete model"),
        "lines": (config | {"frame": {"kind": "lines", "names": 5}}, "complete model"),
        "priors": (config | {"space": space | {"priors": prior[:1]}}, "prior"),
        "bins": (config | {"space": space | {"redshift": {"low": 0.0, "high": 1.0,
                                                          "width": 1e-12}}}, "redshift bins"),
    }  # fmt: skip
    for name, (header, saying) in cases.items():
        write_model(tmp_path / name, header, arrays)
        refused(tmp_path / name, saying)


def test_a_header_that_is_no_object_or_nested_too_deep_or_of_absurd_size(tmp_path):
    from safetensors.numpy import save_file

    header = {"format": FORMAT, "version": "1"}
    save_file({"a": np.ones(1)}, tmp_path / "list", header | {"config": "[1, 2]"})
    refused(tmp_path / "list", "object")
    save_file({"a": np.ones(1)}, tmp_path / "deep", header | {"config": "[" * 10**6})
    refused(tmp_path / "deep", "description")
    save_file({"a": np.ones(1)}, tmp_path / "long", header | {"config": " " * (10**7 + 1)})
    refused(tmp_path / "long", "description")
    (tmp_path / "size").write_bytes((2**60).to_bytes(8, "little") + b"{}")
    refused(tmp_path / "size", "flowspec model file")
