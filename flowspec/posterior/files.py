"""Model files: safetensors, that is a JSON header and plain arrays. Reading one runs no code."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike
from safetensors import safe_open
from safetensors.numpy import save

from flowspec.data.atomic import replacing
from flowspec.data.frame import FRAMES, LEAST, Pixels
from flowspec.io.source import one_line
from flowspec.model.model import Model, build
from flowspec.model.space import Space
from flowspec.networks.registry import network_of
from flowspec.posterior.damage import (
    CHECKSUM,
    check_density,
    check_sizes,
    check_space,
    checksum,
)
from flowspec.posterior.headers import pixel_settings
from flowspec.posterior.redshift import Recalibration

FORMAT = "flowspec-model"
VERSION = 3
_CHECKED = 3  # the first version whose files must have a checksum
_LARGEST_HEADER = 10**7  # characters of the description; those of shipped models have 10,000


def write_model(path: str | Path, config: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: The file; an existing one is replaced.
        config: JSON-ready description.
        arrays: Arrays by name.

    Raises:
        OSError: If it cannot be written; nothing is left behind then.
    """
    header = {"format": FORMAT, "version": str(VERSION), "config": json.dumps(config)}
    contiguous = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    header[CHECKSUM] = checksum(header, contiguous)
    with replacing(path) as temporary:
        temporary.write_bytes(save(contiguous, header))


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
    except Exception as error:  # a damaged file can make its reader fail in any way
        raise ValueError(f"{path}: expected a flowspec model file; got {one_line(error)}") from None
    if header.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a flowspec model file; got another safetensors file")
    version = header.get("version", "")
    if not re.fullmatch("[0-9]{1,9}", version) or int(version) > VERSION:
        raise ValueError(
            f"{path}: expected a model file of version {VERSION} or earlier; got version "
            f"{version!r}. Upgrade flowspec to read it"
        )
    kept = header.get(CHECKSUM, "" if int(version) >= _CHECKED else None)
    if kept is not None and kept != checksum(header, arrays):
        raise ValueError(f"{path}: expected a model file as it was written; got a damaged one, "
                         "whose checksum differs")
    return _description(path, header.get("config", "")), arrays


def _description(path, text: str) -> dict:
    try:
        if len(text) > _LARGEST_HEADER:
            raise ValueError(f"{len(text)} characters")
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a description in the header; got {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected an object as description in the header; got "
                         f"{text[:40]!r}")
    return config


def written(path: str | Path, posterior, kind: type) -> None:
    """Write a posterior, its parameters as numbers of a kind, under names of our own.

    Header: ``frame`` (kind, and what is no array), ``space``, ``architecture`` (names of network
    and density, and sizes), ``provenance``. Arrays: ``wave`` of spectra, ``network.*`` under the
    path of each parameter, ``density.*``, ``screen.*``, ``misfit.*``, ``recalibration``, the
    ``stretch`` of one that has seen labels, and ``lesson.*`` of one whose simulator was taught.
    """
    model = posterior.model
    frame = {"kind": model.frame.kind}
    if model.frame.kind != Pixels.kind:
        frame["names"] = list(model.frame.key)
    else:
        own = {"least": model.frame.least, "lsf": model.frame.lsf}
        frame |= {name: value for name, value in own.items() if value not in (LEAST, None)}
    config = {
        "frame": frame,
        "space": model.space.config(),
        "architecture": asdict(model.architecture),
        "provenance": posterior.provenance,
    }
    if posterior.lesson is not None:
        config["lesson"] = posterior.lesson.config()
    learned = learned_arrays(model)
    arrays = {name: np.asarray(a, kind) if name in learned else a
              for name, a in arrays_of(posterior).items()}
    write_model(path, config, arrays)


def arrays_of(posterior) -> dict[str, ArrayLike]:
    """All arrays of a posterior, by their names in its file."""
    frame = posterior.model.frame
    wave = {"wave": frame.wave} if frame.kind == Pixels.kind else {}
    rest = {"recalibration": posterior.recalibration.coefficients} | posterior.screen.arrays()
    found = wave | learned_arrays(posterior.model) | rest
    for part in (posterior.misfit, posterior.stretch, posterior.lesson):
        found |= {} if part is None else part.arrays()
    return found


def learned_arrays(model: Model) -> dict[str, Array]:
    """Arrays of network and density, by their names in a file."""
    return _named(model.variables) | _prefixed(model.density.named(), "density")


def restored(config: dict, arrays: dict[str, np.ndarray]) -> tuple[Model, Recalibration]:
    """The model of a file of today's version, and its recalibration.

    Raises:
        KeyError: If something is missing.
        TypeError: If an array has another shape.
        ValueError: If a name is none of those known.
    """
    kind = FRAMES[config["frame"]["kind"]]
    if kind is Pixels:
        frame = Pixels(arrays["wave"], **pixel_settings(config))
    else:
        frame = kind(config["frame"]["names"])
    sizes = network_of(config["architecture"]["network"]).Sizes(**config["architecture"])
    check_sizes(sizes, arrays)
    space = Space.from_config(config["space"])
    check_space(space, frame, sizes)
    check_density(space, frame, sizes, arrays)
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
