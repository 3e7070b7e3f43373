"""Limits of a spectrum's axis that neither noise nor a bad pixel sets."""

import numpy as np
from jaxtyping import ArrayLike, Float
from matplotlib.axes import Axes

NOISY = 3.0  # times the median error: noisier pixels do not set the scale
TALLEST = 2.5  # times the continuum: emission lines are cut there


def flux_limits(
    flux: Float[ArrayLike, " pixels"], ivar: Float[ArrayLike, " pixels"],
    *drawn: Float[ArrayLike, " pixels"],
) -> tuple[float, float]:  # fmt: skip
    """Lowest and highest flux to show, by the pixels whose error is not much over the median one.

    The ends are the 0.2 and 99.9 percentiles of these and what is `drawn` besides, such as a model,
    where there are good pixels; all is cut at `TALLEST` times the 97th percentile.

    Args:
        flux: In any unit.
        ivar: Its inverse variance; 0 is no data.
        drawn: Other curves, without noise, in the unit of `flux`.

    Returns:
        -1 and 1 where there is no good pixel.
    """
    flux, ivar = np.asarray(flux), np.asarray(ivar)
    good = ivar > 0
    if not good.any():
        return -1.0, 1.0
    sharp = good & (ivar * NOISY**2 >= np.median(ivar[good]))
    low, typical, high = np.percentile(flux[sharp], [0.2, 97, 99.9])
    curves = [np.asarray(curve)[good] for curve in drawn]
    low = min([low, *(curve.min() for curve in curves)])
    tallest = max([high, *(curve.max() for curve in curves)])
    return float(low), float(min(tallest, TALLEST * typical) if typical > 0 else tallest)


def tell_beyond(
    ax: Axes, flux: Float[ArrayLike, " pixels"], ivar: Float[ArrayLike, " pixels"]
) -> Axes:
    """Write how many good pixels lie beyond the limits of the axis, if any do."""
    good, (low, high) = np.asarray(ivar) > 0, ax.get_ylim()
    flux = np.asarray(flux)[good]
    count = int(((flux < low) | (flux > high)).sum())
    if count:
        share = f"{100 * count / good.sum():.1f} %" if count > 9 else f"{count}"
        ax.text(0.995, 0.03, f"{share} of {good.sum()} pixels beyond the axis", fontsize=7,
                color="0.3", ha="right", transform=ax.transAxes,
                bbox={"fc": "white", "ec": "none", "pad": 1})
    return ax
