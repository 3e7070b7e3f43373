"""Spectra of different grids onto one: many objects, or the arms of one instrument."""

import numpy as np

from flowspec.data.lsf import mean_lsf
from flowspec.data.regrid import shared_pixels
from flowspec.data.spectra import Spectra
from flowspec.io.rows import joint

# Of a grid extended to cover others (MOONS has 12,217 pixels), and of all rows on it: 2 GB.
MOST_PIXELS, MOST_VALUES = 1_000_000, 250_000_000


def common_grid(waves: list[np.ndarray], rows: int = 1) -> np.ndarray:
    """A grid for all `waves`.

    Where all are pieces of one lattice and overlap (such as SDSS files), it is their union, so
    that no spectrum needs resampling. Else it is the first grid, continued at both ends with the
    step of its end pixels (constant in log wavelength if that is more regular than in wavelength).

    Args:
        waves: grids [pixels] in Å.
        rows: how many spectra it is for.

    Returns:
        [pixels] Å.

    Raises:
        ValueError: where it would have to be extended by more than `MOST_PIXELS`, or to more than
            `MOST_VALUES` of all rows: files that do not belong together, or wavelengths in a wrong
            unit.
    """
    first, *others = _distinct(waves)
    grid = first
    for wave in sorted(others, key=lambda w: abs(w[0] - first[0])):
        grid = _union(grid, wave)
        if grid is None:
            low, high = min(w[0] for w in waves), max(w[-1] for w in waves)
            return _extended(first, low, high, min(MOST_PIXELS, MOST_VALUES // rows))
    return grid


def _distinct(waves):
    found: dict[bytes, np.ndarray] = {}
    for wave in waves:
        found.setdefault(wave.tobytes(), wave)
    return list(found.values())


def _union(grid, wave) -> np.ndarray | None:
    """Pixels of both, where they agree on the pixels that they share; else None."""
    inside, source = shared_pixels(grid, wave)
    covered, back = shared_pixels(wave, grid)
    if source is None or back is None or inside.sum() != covered.sum():
        return None
    middle = np.flatnonzero(inside)
    return np.concatenate([wave[: middle[0]], grid, wave[middle[-1] + 1 :]])


def _extended(grid, low, high, most):
    log, linear = np.diff(np.log(grid)), np.diff(grid)
    is_log = np.std(log) / np.mean(log) < np.std(linear) / np.mean(linear)
    forward, backward = (np.log, np.exp) if is_log else (np.asarray, np.asarray)
    x, low, high = forward(grid), forward(low), forward(high)
    before, after = x[1] - x[0], x[-1] - x[-2]
    left = np.ceil(max(0, x[0] - low) / before - 1e-6)
    right = np.ceil(max(0, high - x[-1]) / after - 1e-6)
    if left + right > max(most, len(grid)):
        raise ValueError(
            f"expected spectra that fit on one grid; got {grid[0]:.6g}-{grid[-1]:.6g} A in steps "
            f"of {min(np.diff(grid)):.2g} A and others that make it {left + right:.2g} pixels: "
            "read them apart, or say wave="
        )
    left = x[0] - before * np.arange(left, 0, -1)
    right = x[-1] + after * np.arange(1, right + 1)
    wave = backward(np.concatenate([left, x, right]))
    wave[len(left) : len(left) + len(grid)] = grid  # exactly, not by way of logarithms
    return wave[wave > 0]


def joined(spectra: list[Spectra], wave=None) -> Spectra:
    """All rows on `wave` [pixels] Å, or on the `common_grid` of `spectra`."""
    if wave is None:
        wave = common_grid([s.wave for s in spectra])
    return Spectra.concatenate([s.resample(wave) for s in spectra])


def join_arms(arms: list[Spectra]) -> Spectra:
    """One Spectra of several arms of the same objects: where arms overlap, the mean weighted by
    inverse variance. Arms are resampled only where their pixels do not coincide."""
    if len({len(arm) for arm in arms}) > 1:
        raise ValueError(f"expected arms of the same rows; got {[len(arm) for arm in arms]}")
    wave = _arm_grid([arm.wave for arm in arms])
    weight = np.zeros((len(arms[0]), len(wave)))
    total = np.zeros_like(weight)
    arms = [arm.resample(wave) for arm in arms]
    for arm in arms:
        weight += arm.ivar
        total += arm.ivar * arm.flux.astype(np.float64)
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    notes = [joint(*dict.fromkeys(own)) for own in zip(*(arm.notes for arm in arms), strict=True)]
    lsf = mean_lsf([arm.lsf for arm in arms], [arm.ivar for arm in arms], wave)
    return Spectra(wave, mean, weight, names=arms[0].names, notes=notes, lsf=lsf)


def _arm_grid(waves):
    """The pixels of the bluest arm, then of each redder one those beyond what is covered."""
    waves = sorted(waves, key=lambda w: w[0])
    grid = waves[0]
    for wave in waves[1:]:
        beyond = wave > grid[-1] + 0.5 * (grid[-1] - grid[-2])
        grid = np.concatenate([grid, wave[beyond]])
    return grid
