"""Arrays of a page: compact, exact where it matters, and absent where they are not known."""

import base64

import numpy as np
from jaxtyping import ArrayLike, Float


def packed(values: Float[ArrayLike, "*shape"]) -> dict:
    """Numbers in half precision, relative to the largest of them.

    Eleven bits of mantissa are one part in 2,048, finer than any screen, over nine decades. What is
    not finite is NaN.

    Args:
        values: Of any shape.

    Returns:
        ``half`` (base64 of little-endian float16), ``scale`` and ``shape``.
    """
    values = np.asarray(values, np.float64)
    size = np.abs(values[np.isfinite(values)])
    scale = float(size.max()) / 2.0**15 if size.size and size.max() > 0 else 1.0
    half = np.where(np.isfinite(values), values, np.nan) / scale
    return {"half": _text(half.astype("<f2")), "scale": scale, "shape": list(values.shape)}


def packed_columns(values: Float[ArrayLike, "rows columns"]) -> dict:
    """Columns in half precision about the middle of each: a redshift to 1e-6 is not rounded away.

    Returns:
        As of `packed`, with ``middle`` and ``scale`` of every column.
    """
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    middle = [float(np.median(c[k])) if k.any() else 0.0
              for c, k in zip(values.T, known.T, strict=True)]  # fmt: skip
    away = np.where(known, values - middle, np.nan)
    scale = np.nanmax(np.abs(away), axis=0, initial=0, where=known) / 2.0**15
    scale = np.where(scale > 0, scale, 1.0)
    return {"half": _text((away / scale).astype("<f2")), "scale": scale.tolist(),
            "middle": middle, "shape": list(values.shape)}  # fmt: skip


def exact(values: Float[ArrayLike, "*shape"]) -> dict:
    """Numbers in double precision, as ``double``: wavelengths, edges of bins."""
    values = np.asarray(values, np.float64)
    return {"double": _text(values.astype("<f8")), "shape": list(values.shape)}


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
