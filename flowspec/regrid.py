"""From one pixel grid to another: overlaps of pixels, and means weighted by them."""

import numpy as np

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


def rebin(flux, ivar, overlap, flux_out, ivar_out, weighted):
    """Fill `flux_out`, `ivar_out` [rows, new pixels] in place; `weighted` by `ivar` or not."""
    length, source, first, target, width = overlap
    if len(length) == 0:
        return
    good = ivar > 0
    variance = np.divide(1, ivar, out=np.zeros(ivar.shape), where=good)
    share = length * good[:, source]

    def total(x):
        return np.add.reduceat(x, first, axis=1)

    enough = total(share) >= (0.5 - 1e-9) * width
    weight = share * ivar[:, source] if weighted else share
    sum_ = total(weight)
    scale = np.divide(1, sum_, out=np.zeros_like(sum_), where=enough)
    flux_out[:, target] = total(weight * flux[:, source]) * scale
    spread = total(weight**2 * variance[:, source]) * scale**2
    ivar_out[:, target] = np.divide(1, spread, out=np.zeros_like(spread), where=enough)
