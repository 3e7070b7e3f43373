"""What tells that a model file is not as it was written: its checksum, or what cannot be."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import ArrayLike

from flowspec.data.frame import Frame
from flowspec.model.model import Model
from flowspec.model.registry import density_of
from flowspec.model.space import Space, space_of
from flowspec.networks.registry import network_of
from flowspec.posterior.screen import Screen

CHECKSUM = "sha256"
# A network of more layers than this takes minutes to build; no shipped size exceeds 200.
_LARGEST_SIZE = 1024
_MOST_BINS = 10**6  # redshift bins; those of shipped models are 3,000 at most


def checksum(header: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of all that a model file says, however it is laid out.

    Args:
        header: Of the file; a checksum in it does not count.
        arrays: By name.
    """
    digest = hashlib.sha256()
    for key in sorted(set(header) - {CHECKSUM}):
        digest.update(repr((key, header[key])).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(repr((name, str(array.dtype), array.shape)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def check_sizes(sizes, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse sizes of an architecture that are far beyond the arrays that are there.

    Raises:
        ValueError: If building the network would take minutes or all memory.
    """
    most = max([_LARGEST_SIZE, *(n for a in arrays.values() for n in a.shape)])
    for field in fields(sizes):
        size = getattr(sizes, field.name)
        if isinstance(size, int | float) and not 0 <= size <= most:
            raise ValueError(f"expected {field.name} from 0 to {most}; got {size}")


def check_space(space: Space, frame: Frame, sizes) -> None:
    """Refuse redshift bins that are not those of the grid and the prior.

    Raises:
        ValueError: If they differ, or are too many.
    """
    asked = None if space.redshift is None else "z"
    expected = space_of(space.priors, space.sources, frame, sizes, redshift=asked).redshift
    both = [None if b is None else (b.low, b.high, b.width) for b in (expected, space.redshift)]
    if None in both:
        same = both[0] == both[1]
    else:
        same = np.allclose(*both, rtol=1e-4, atol=1e-6)
    if not same:
        raise ValueError(f"expected redshift bins {both[0]} of the grid; got {both[1]}")
    if space.bins > _MOST_BINS:
        raise ValueError(f"expected at most {_MOST_BINS} redshift bins; got {space.bins}")


def check_density(space: Space, frame: Frame, sizes, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse a density of other shapes than those of its arrays, before any memory is asked for.

    Raises:
        ValueError: Naming an array that is missing or has another shape.
    """
    network = network_of(sizes.network).made(frame, space, sizes)
    made, shape = density_of(sizes.density).made, (len(space.names), network.condition_size)
    for name, leaf in eqx.filter_eval_shape(made, jr.key(0), *shape, sizes).named().items():
        found = arrays.get(f"density.{name}")
        if found is None or found.shape != leaf.shape:
            got = "none" if found is None else f"one of shape {found.shape}"
            raise ValueError(f"expected an array density.{name} of shape {leaf.shape}; got {got}")


def check_numbers(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that hold anything but finite numbers.

    Raises:
        ValueError: Naming the array.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            got = array.dtype if array.dtype.kind not in "fiu" else "NaN or infinite ones"
            raise ValueError(f"expected finite numbers in {name}; got {got}")


def check_arrays(arrays: Mapping[str, np.ndarray], expected: Mapping[str, ArrayLike]) -> None:
    """Refuse arrays that are not exactly those of the posterior made of them.

    Args:
        arrays: Of the file.
        expected: Those that the posterior would be written with; early files have no
            recalibration, or one of two numbers.

    Raises:
        ValueError: Naming arrays that are unknown or missing, or one of another shape.
    """
    unknown = sorted(set(arrays) - set(expected))
    missing = sorted(set(expected) - set(arrays) - {"recalibration"})
    if unknown or missing:
        raise ValueError(f"expected the arrays of such a model; got unknown ones {unknown[:3]}, "
                         f"and without {missing[:3]}")
    for name, array in arrays.items():
        shape = np.shape(expected[name]) or (1,)  # files have no scalars
        early = name == "recalibration" and array.shape == (2,)
        if not early and array.shape != shape:
            raise ValueError(f"expected shape {shape} of {name}; got {array.shape}")


def check_screen(screen: Screen, model: Model) -> None:
    """Refuse a screen that is not of the summaries of a model.

    Raises:
        ValueError: If shapes differ or distances are not in order.
    """
    summary = eqx.filter_eval_shape(
        lambda model, *data: model.described(model.embed(*data)), model, *model.frame.blank()
    )
    size = summary.shape[1]
    mean, whiten, distances = screen.mean, screen.whiten, screen.distances
    if mean.shape != (size,) or whiten.shape != (size, size) or distances.ndim != 1:
        raise ValueError(f"expected a screen of {size} features; got mean {mean.shape}, whiten "
                         f"{whiten.shape} and distances {distances.shape}")
    if not (len(distances) and (np.diff(distances) >= 0).all() and distances[0] >= 0):
        raise ValueError("expected distances of the screen in increasing order; got others")


def check_provenance(provenance) -> None:
    """Refuse an account of a training that could not be printed.

    Raises:
        ValueError: Naming the part that is of another kind.
    """
    made = provenance if isinstance(provenance, dict) else {}
    history = made.get("history") or []
    rows = [row for row in history if isinstance(row, list) and len(row) == 3
            and all(isinstance(x, int | float) for x in row)] if isinstance(history, list) else []
    if not isinstance(provenance, dict) or not isinstance(made.get("training", {}), dict):
        raise ValueError("expected an object as provenance, and one as training in it; got another")
    if len(rows) != len(history):
        raise ValueError("expected rows of three numbers as history; got others")
