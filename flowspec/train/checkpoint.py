"""Checkpoints: all arrays of a training state, and a hash of what they belong to."""

import hashlib
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from flowspec.data.atomic import replacing

VERSION = 2  # of what a training puts into its state


def fingerprint(settings, data: PyTree) -> str:
    """Hash of everything that a checkpoint must share with the run that resumes it.

    Args:
        settings: Anything whose ``repr`` tells all about it.
        data: Arrays.
    """
    digest = hashlib.sha256(repr((VERSION, settings)).encode())
    for leaf in jax.tree.leaves(data):
        if isinstance(leaf, jax.Array | np.ndarray):
            digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def save_checkpoint(path: str | Path, state: PyTree, digest: str) -> None:
    """Write a checkpoint, whole or not at all."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(digest.encode() + b"\n")
        eqx.tree_serialise_leaves(file, state)


def load_checkpoint(path: str | Path, like: PyTree, digest: str) -> PyTree:
    """Read a checkpoint.

    Raises:
        ValueError: If it is of another configuration, seed or data set, or damaged.
    """
    with open(path, "rb") as file:
        if file.readline().strip().decode(errors="replace") != digest:
            raise ValueError(
                f"{path}: expected a checkpoint of this configuration, seed and data; got another "
                "one. Delete it to start afresh"
            )
        try:
            return eqx.tree_deserialise_leaves(file, like)
        except Exception as error:
            raise ValueError(f"{path}: expected a checkpoint; got {error}") from None
