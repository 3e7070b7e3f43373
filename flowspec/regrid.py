"""From one pixel grid to another: overlaps of pixels, and means weighted by them."""

import numpy as np

_SAME_PIXEL = 0.01  # two pixels closer than this share of their width are one pixel


def pixel_edges(wave) -> np.ndarray:
    """[pixels + 1] edges half way between neighbours; end pixels are symmetric."""
    if len(wave) < 2:
        raise ValueError(f"expected a grid of at least 2 pixels; got {len(wave)}")
    middle = (wave[1:] + wave[:-1]) / 2
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])


def shared_pixels(old, new) -> tuple[np.ndarray, np.ndarray | None]:
    """Which pixels of the grid `new` lie inside `old`, and which of `old` they are.

    Returns:
        inside: [new pixels] bool.
        source: [inside pixels] their numbers in `old`, where they are all pixels of `old` without
            a gap, so that data can be copied; else None.
    """
    edges = pixel_edges(old)
    inside = (new > edges[0]) & (new < edges[-1])
    inner = new[inside]
    source = np.rint(np.interp(inner, old, np.arange(len(old)))).astype(int)
    near = np.abs(inner - old[source]) < _SAME_PIXEL * np.diff(edges)[source]
    copies = len(inner) > 0 and near.all() and (np.diff(source) == 1).all()
    return inside, source if copies else None


def overlaps(old, new):
    """Elementary segments between all edges: length, old pixel, first segment and number of the
    new pixels they fill. Each (old, new) pair meets in one segment at most."""
    low, high = max(old[0], new[0]), min(old[-1], new[-1])
    cuts = np.union1d(old, new)
    cuts = cuts[(cuts >= low) & (cuts <= high)]
    length, middle = np.diff(cuts), (cuts[1:] + cuts[:-1]) / 2
    source = np.searchsorted(old, middle) - 1
    target = np.searchsorted(new, middle) - 1
    first = np.flatnonzero(np.diff(target, prepend=-1))
    return length, source, first, target[first], np.diff(new)[target[first]]


def rebin(flux, ivar, overlap, flux_out, ivar_out):
    """Fill `flux_out`, `ivar_out` [rows, new pixels] in place."""
    length, source, first, target, width = overlap
    if len(length) == 0:
        return
    good = ivar > 0
    variance = np.divide(1, ivar, out=np.zeros(ivar.shape), where=good)
    weight = length * good[:, source]

    def total(x):
        return np.add.reduceat(x, first, axis=1)

    covered = total(weight)
    enough = covered >= (0.5 - 1e-9) * width
    scale = np.divide(1, covered, out=np.zeros_like(covered), where=enough)
    flux_out[:, target] = total(weight * flux[:, source]) * scale
    spread = total(weight**2 * variance[:, source]) * scale**2
    ivar_out[:, target] = np.divide(1, spread, out=np.zeros_like(spread), where=enough)
