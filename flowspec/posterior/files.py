"""Model files: safetensors, that is a JSON header and plain arrays. Reading one runs no code."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

FORMAT = "flowspec-model"
VERSION = 1


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


def named_leaves(model: PyTree) -> dict[str, Array]:
    """Every parameter under its path in the PyTree."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(model, _is_parameter))
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def with_leaves(model: PyTree, arrays: dict[str, np.ndarray]) -> PyTree:
    """`model` (shapes suffice) with its parameters from `arrays`.

    Raises:
        KeyError: If one is missing.
        TypeError: If one has another shape.
    """

    def pick(path, leaf):
        if not _is_parameter(leaf):
            return leaf
        stored = arrays[jax.tree_util.keystr(path)]
        if stored.shape != leaf.shape:
            raise TypeError(f"shape {stored.shape} instead of {leaf.shape} at {path}")
        return jnp.asarray(stored, leaf.dtype)

    return jax.tree_util.tree_map_with_path(pick, model)


def _is_parameter(leaf) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct) or eqx.is_array(leaf)
