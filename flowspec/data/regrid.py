"""From one pixel grid to another: overlaps of pixels, and means weighted by them."""

import numpy as np
from scipy.sparse import csr_array

_SAME_PIXEL = 0.01  # two pixels closer than this share of their width are one pixel


def pixel_edges(wave) -> np.ndarray:
    """[pixels + 1] edges half way between neighbours; end pixels are symmetric."""
    if len(wave) < 2:
        raise ValueError(f"expected a grid of at least 2 pixels; got {len(wave)}")
    middle = (wave[1:] + wave[:-1]) / 2
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])


def bridged(wave) -> tuple[np.ndarray, np.ndarray]:
    """A grid with two pixels put into each gap, one step from its ends.

    Without them the pixels at either side would reach half way across. A gap is a step over three
    times the median of the five around it.

    Returns:
        The grid, and the number in `wave` of each of its pixels, -1 of those put in.
    """
    source, step = np.arange(len(wave)), np.diff(wave)
    if len(step) < 5:
        return wave, source
    around = np.lib.stride_tricks.sliding_window_view(np.pad(step, 2, mode="reflect"), 5)
    usual = np.median(around, axis=1)
    gaps = np.flatnonzero(step > 3 * usual)
    beside = np.stack([wave[gaps] + usual[gaps], wave[gaps + 1] - usual[gaps]], axis=1)
    before = np.repeat(gaps + 1, 2)
    return np.insert(wave, before, beside.ravel()), np.insert(source, before, -1)


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


def overlaps(old, new) -> csr_array:
    """Share of each pixel between the edges `new` that each one between the edges `old` covers.

    Returns:
        [new pixels, old pixels] sparse.
    """
    low, high = max(old[0], new[0]), min(old[-1], new[-1])
    cuts = np.union1d(old, new)
    cuts = cuts[(cuts >= low) & (cuts <= high)]
    length, middle = np.diff(cuts), (cuts[1:] + cuts[:-1]) / 2
    source = np.searchsorted(old, middle) - 1
    target = np.searchsorted(new, middle) - 1
    share = length / np.diff(new)[target]
    return csr_array((share, (target, source)), shape=(len(new) - 1, len(old) - 1))


def rebin(flux, ivar, overlap: csr_array, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Means of `flux` by overlap, and their inverse variances [rows, new pixels].

    Args:
        flux: [rows, old pixels].
        ivar: Likewise; 0 for no data.
        overlap: Of `overlaps`.
        weighted: Weight by `ivar` too.
    """
    # pixels first, so that the sparse products run along rows
    flux, ivar = (np.ascontiguousarray(a.T, np.float64) for a in (flux, ivar))
    good = (ivar > 0).astype(np.float64)
    weight = ivar if weighted else good
    spread = ivar if weighted else np.divide(1, ivar, out=np.zeros_like(ivar), where=ivar > 0)
    enough = overlap @ good >= 0.5 - 1e-9
    total = overlap @ weight
    scale = np.divide(1, total, out=np.zeros_like(total), where=enough)
    variance = (overlap.power(2) @ spread) * scale**2
    mean = (overlap @ (weight * flux)) * scale
    return mean.T, np.divide(1, variance, out=np.zeros_like(variance), where=enough).T
