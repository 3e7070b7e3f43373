"""Model files: safetensors, that is a JSON header and plain arrays. Reading one runs no code."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from flowspec.data.frame import FRAMES, Pixels
from flowspec.model.model import Model, build
from flowspec.model.space import Space
from flowspec.networks.registry import network_of
from flowspec.posterior.legacy import upgraded
from flowspec.posterior.redshift import Recalibration

FORMAT = "flowspec-model"
VERSION = 2


def write_model(path: str | Path, config: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a model file under a temporary name, then rename it.

    Args:
        path: The file; an existing one is replaced.
        config: JSON-ready description.
        arrays: Arrays by name.

    Raises:
        OSError: If it cannot be written; nothing is left behind then.
    """
    header = {"format": FORMAT, "version": str(VERSION), "config": json.dumps(config)}
    contiguous = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(save(contiguous, header))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_model(path: str | Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Read a model file.

    Returns:
        The description and the arrays.

    Raises:
        ValueError: If the file is not one of flowspec's, is damaged, or is of a later version.
        FileNotFoundError: If there is none.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such model file")
    try:
        with safe_open(path, "numpy") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path}: expected a flowspec model file; got {error}") from None
    if header.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a flowspec model file; got another safetensors file")
    version = header.get("version", "")
    if not version.isdigit() or int(version) > VERSION:
        raise ValueError(
            f"{path}: expected a model file of version {VERSION} or earlier; got version "
            f"{version!r}. Upgrade flowspec to read it"
        )
    try:
        return json.loads(header["config"]), arrays
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: expected a description in the header; got {error!r}") from None


def written(path: str | Path, posterior, kind: type) -> None:
    """Write a posterior, its parameters as numbers of a kind, under names of our own.

    Header: ``frame`` (kind, and what is no array), ``space``, ``architecture`` (names of network
    and density, and sizes), ``provenance``. Arrays: ``wave`` of spectra, ``network.*`` under the
    path of each parameter, ``density.*``, ``screen.*``, ``misfit.*``, ``recalibration``.
    """
    model = posterior.model
    frame, arrays = {"kind": model.frame.kind}, {}
    if model.frame.kind == Pixels.kind:
        arrays["wave"] = model.frame.wave
    else:
        frame["names"] = list(model.frame.key)
    config = {
        "frame": frame,
        "space": model.space.config(),
        "architecture": asdict(model.architecture),
        "provenance": posterior.provenance,
    }
    parameters = _named(model.variables) | _prefixed(model.density.named(), "density")
    arrays |= {name: np.asarray(a, kind) for name, a in parameters.items()}
    arrays["recalibration"] = posterior.recalibration.coefficients
    if posterior.misfit is not None:
        arrays |= posterior.misfit.arrays()
    write_model(path, config, arrays | posterior.screen.arrays())


def restored(config: dict, arrays: dict[str, np.ndarray]) -> tuple[Model, Recalibration]:
    """The model of a file of any version, and its recalibration.

    Raises:
        KeyError: If something is missing.
        TypeError: If an array has another shape.
        ValueError: If a name is none of those known.
    """
    config, arrays = upgraded(config, arrays)
    kind = FRAMES[config["frame"]["kind"]]
    frame = kind(arrays["wave"] if kind is Pixels else config["frame"]["names"])
    sizes = network_of(config["architecture"]["network"]).Sizes(**config["architecture"])
    space = Space.from_config(config["space"])
    model = build(jr.key(0), frame, space, sizes, initialise=False)
    variables = jax.tree_util.tree_map_with_path(partial(_picked, arrays), model.variables)
    start = len("density.")
    own = {name[start:]: a for name, a in arrays.items() if name.startswith("density.")}
    new = variables, model.density.restored(own)
    model = eqx.tree_at(lambda m: (m.variables, m.density), model, new)
    return model, Recalibration.restored(arrays.get("recalibration", np.array([0.0, 1.0])))


def _named(variables: dict) -> dict[str, Array]:
    """Network parameters by the path of each: ``network.params.cnn.stem.kernel``."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    return {_path_name(path): leaf for path, leaf in leaves}


def _path_name(path) -> str:
    return ".".join(["network", *(str(key.key) for key in path if key.key != "params")])


def _prefixed(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {f"{prefix}.{name}": a for name, a in arrays.items()}


def _picked(arrays: dict[str, np.ndarray], path, leaf) -> Array:
    stored = arrays[_path_name(path)]
    if stored.shape != leaf.shape:
        raise TypeError(f"shape {stored.shape} instead of {leaf.shape} of {_path_name(path)}")
    return jnp.asarray(stored, leaf.dtype)
