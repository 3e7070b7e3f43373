"""Line-spread functions of observed spectra: from a curve of each to one number."""

import numpy as np
from jaxtyping import Float

from flowspec.data.spectra import Spectra


def mean_ln_lsf(obs: Spectra) -> Float[np.ndarray, " batch"]:
    """Mean over good pixels of the natural log of each line-spread function.

    Args:
        obs: Spectra of which some are known (`Spectra.lsf`).

    Returns:
        ln of Gaussian sigma in km/s, NaN where it is not known of any good pixel.
    """
    lsf = np.broadcast_to(obs.lsf, obs.flux.shape)
    good = (obs.ivar > 0) & np.isfinite(lsf)
    total = np.where(good, np.log(np.where(good, lsf, 1.0)), 0.0).sum(1)
    count = good.sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
