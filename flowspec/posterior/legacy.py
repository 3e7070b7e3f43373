"""Model files of version 1, read for ever: their names and shapes, made those of version 2.

Version 1 named arrays by the class paths of the libraries that held them. Its line network had
weights [outputs, inputs], where Flax has kernels [inputs, outputs].
"""

import re

import numpy as np

from flowspec.prior.mixture import read_prior

_FLOW = ".flow.distribution.bijection"
_SPLINES = ".bijections[0].bijection.bijections"
# Flax's names of layers without one of their own, in the order of their numbers.
_PARTS = {
    "cnn": {"Conv": ("stem", "near_0", "near_1"), "Dense": ("mix_0", "mix_1", "last"),
            "LayerNorm": ("norm_0", "norm_1")},
    "learn": {"Conv": ("near_0", "near_1", "near_2"),
              "Dense": ("stem", "mix_0", "mix_1", "mix_2", "last"),
              "LayerNorm": ("norm_0", "norm_1", "norm_2")},
}  # fmt: skip


def upgraded(config: dict, arrays: dict[str, np.ndarray]) -> tuple[dict, dict[str, np.ndarray]]:
    """Description and arrays as version 2 has them, from those of any version."""
    if "space" in config:
        return config, arrays
    lines = config.get("kind") == "lines"
    sizes = dict(config["architecture"])
    if lines:
        frame = {"kind": "lines", "names": config["lines"]}
        space = {"priors": config["priors"], "sources": config["sources"], "redshift": None}
        sizes |= {"network": "lines", "density": "flow", "activation": "relu"}
    else:
        frame = {"kind": "pixels"}
        sizes = {"learned": 0} | sizes  # the earliest files have no learned channels
        sizes |= {"network": "aligned", "density": "flow", "activation": "gelu"}
        bins = _bins(config["prior"], arrays["wave"], sizes["bin_pixels"])
        space = {"priors": [config["prior"]], "sources": ["galaxy"], "redshift": bins}
    new = {}
    for name, array in arrays.items():
        own, array = (_line_array if lines else _spectrum_array)(name, array, sizes)
        if own in new:
            raise ValueError(f"expected one array {own}; got two")
        new[own] = array
    return {"frame": frame, "space": space, "architecture": sizes,
            "provenance": config["provenance"]}, new


def _bins(prior: dict, wave: np.ndarray, bin_pixels: int) -> dict | None:
    """Redshift bins, which version 1 worked out from the grid and the flat prior."""
    if "z" not in prior["distributions"]:
        return None
    low, high = read_prior(prior).limits("z")
    return {"low": low, "high": high, "width": float(np.diff(np.log(wave)).mean() * bin_pixels)}


def _flow_name(name: str) -> str | None:
    """``density.*`` of a flow's array, or None where it is another."""
    if not name.startswith(_FLOW):
        return None
    rest = name[len(_FLOW) :]
    if match := re.fullmatch(r"(.*)\.conditioner\.layers\[(\d)\]\.(weight|bias)", rest):
        part = "splines" if match[1].startswith(_SPLINES) else "affine"
        return f"density.{part}.{match[2]}.{match[3]}"
    return "density.splines." + ("inverse" if "inverse" in rest else "order")


def _spectrum_array(name: str, array: np.ndarray, sizes: dict) -> tuple[str, np.ndarray]:
    if flow := _flow_name(name):
        return flow, array
    keys = re.findall(r"\['(\w+)'\]", name)
    if not keys:
        return name, array
    _, *keys = keys  # "params"
    if keys[0] in _PARTS:
        kind, _, number = keys[1].partition("_")
        keys[1] = _PARTS[keys[0]][kind][int(number)]
    return ".".join(["network", *keys]), array


def _line_array(name: str, array: np.ndarray, sizes: dict) -> tuple[str, np.ndarray]:
    if flow := _flow_name(name):
        return flow, array
    if not name.startswith((".embedding", ".head")):
        return name, array
    match = re.fullmatch(r"\.(embedding|head)(?:\[(\d+)\])?(?:\.(\w+))?\.(weight|bias)", name)
    part, number, layer, kind = match.groups()
    layers = ["first", *(f"residual_{i}" for i in range(sizes["blocks"])), "last"]
    keys = ["head"] if part == "head" else [layers[int(number)], *([layer] if layer else [])]
    if kind == "weight":
        kind = "scale" if layer == "norm" else "kernel"
    return ".".join(["network", *keys, kind]), array.T
