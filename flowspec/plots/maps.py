"""Maps of quantities on the pixels of an image."""

import numpy as np
from jaxtyping import Shaped
from matplotlib import colormaps

from flowspec.plots.style import Axes

_ENDS = (2, 98)  # percentiles that the colours end at: single odd spaxels do not take them
_NOTHING = "0.9"  # grey of spaxels without a value, that no colour of the map has


def sky_map(
    ax: Axes, values: Shaped[np.ndarray, "y x"], label: str = "", *,
    limits: tuple[float, float] | None = None,
) -> Axes:  # fmt: skip
    """A map as an image with the origin at the lower left and a bar of colours; grey is no value.

    Args:
        ax: Where to; made with ``projection=astropy.wcs.WCS(header)`` it has the sky at its sides.
        values: Of pixels [y, x], such as an image of `flowspec.io.write_maps`; NaN where none.
        label: Of the bar.
        limits: That the colours end at, by default the 2nd and 98th percentile; values beyond have
            the last colour.
    """
    values = np.ma.masked_invalid(np.asarray(values, float))
    if limits is None:
        seen = values.compressed()
        limits = tuple(np.percentile(seen, _ENDS)) if len(seen) else (0.0, 1.0)
    colours = colormaps["viridis"].with_extremes(bad=_NOTHING)
    image = ax.imshow(values, origin="lower", cmap=colours, vmin=limits[0], vmax=limits[1],
                      interpolation="nearest")  # fmt: skip
    beyond = (values < limits[0]).any(), (values > limits[1]).any()
    ends = {(True, True): "both", (True, False): "min", (False, True): "max"}
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.85,
                       extend=ends.get(tuple(map(bool, beyond)), "neither"))  # fmt: skip
    ax.set(xlabel="x / spaxel", ylabel="y / spaxel")
    return ax
