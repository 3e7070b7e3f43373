"""Figures of the gap between simulations and observations: arrays and an Axes in, the Axes out."""

import numpy as np
from jaxtyping import Float

from flowspec.plots.style import BLUE, GREY, ORANGE, Axes
from flowspec.prior.parameters import label


def domain_scores(
    ax: Axes,
    simulated: Float[np.ndarray, " simulations"],
    observed: Float[np.ndarray, " observations"],
    auc: float,
    error: float,
) -> Axes:
    """What a domain classifier makes of rows it has not seen.

    Args:
        ax: Where to.
        simulated: Logits of being observed, of simulations.
        observed: Of observations.
        auc: Area under the curve.
        error: Its standard error.
    """
    low, high = np.percentile(np.concatenate([simulated, observed]), [0.5, 99.5])
    bins = np.linspace(low - 0.5, high + 0.5, 40)
    options = {"bins": bins, "density": True, "histtype": "stepfilled", "alpha": 0.6}
    ax.hist(np.clip(simulated, low, high), color=BLUE, label="simulations", **options)
    ax.hist(np.clip(observed, low, high), color=ORANGE, label="observations", **options)
    ax.set(xlabel="logit of being observed", ylabel="density",
           title=f"area under the curve {auc:.3f} ± {error:.3f}")
    ax.legend(frameon=False)
    return ax


def pixel_gap(
    ax: Axes, wave: Float[np.ndarray, " pixels"], shifts: Float[np.ndarray, "2 pixels"]
) -> Axes:
    """Which wavelengths carry the gap.

    Args:
        ax: Where to.
        wave: Observed wavelength in angstrom.
        shifts: Of `flowspec.adaptation.gap.pixel_shifts`: means and log widths.
    """
    ax.axhline(0, color=GREY, lw=0.8)
    ax.plot(wave, shifts[1], color=ORANGE, lw=0.8, label="ln ratio of the widths")
    ax.plot(wave, shifts[0], color=BLUE, lw=0.8, label="shift of the mean / σ")
    ax.set(xlabel="observed wavelength [Å]", ylabel="observations against simulations",
           xlim=(wave[0], wave[-1]))
    ax.legend(frameon=False)
    return ax


def population(
    ax: Axes,
    inner: Float[np.ndarray, " inner"],
    share: Float[np.ndarray, " bins"],
    name: str,
    ends: tuple[float, float],
) -> Axes:
    """Estimated population of the observations over that of the simulations.

    Args:
        ax: Where to.
        inner: Inner edges of bins with as many simulations each.
        share: Share of the observations in each bin.
        name: Of the parameter.
        ends: Its least and greatest value.
    """
    edges = np.concatenate([[ends[0]], inner, [ends[1]]])
    ax.axhline(1, color=GREY, lw=0.8)
    ax.stairs(share * len(share), edges, color=BLUE, fill=True, alpha=0.6)
    ax.set(xlabel=label(name), ylabel="observed / simulated", xlim=ends)
    return ax
