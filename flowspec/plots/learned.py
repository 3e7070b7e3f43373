"""Figures of what a network has learned: arrays and an Axes in, the same Axes out."""

import re
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Num

from flowspec.check.attribution import ELSEWHERE
from flowspec.data.line_names import GALAXY_LINES
from flowspec.plots.style import BLUE, FLUX, GREY, RED, Axes, mark_lines

GREEK = {"alpha": r"$\alpha$", "beta": r"$\beta$", "gamma": r"$\gamma$", "delta": r"$\delta$"}
SHARE = r"added to $\ln$ odds of $z$"


def line_name(name: str) -> str:
    """A name of `flowspec.data.line_names.GALAXY_LINES` as it is written: Hα, O III 5007."""
    name = re.sub(r"^([A-Z][a-z]?)([IV]+)(\d+)$", r"\1 \2 \3", name)
    for word, letter in GREEK.items():
        name = name.replace(word, letter)
    return name


def strongest(sums: Mapping[str, float], count: int) -> dict[str, float]:
    """The `count` lines of `sums` that say most for or against, blue to red."""
    lines = [name for name in sums if name != ELSEWHERE and sums[name] != 0]
    kept = sorted(lines, key=lambda name: -abs(sums[name]))[:count]
    return {name: float(sums[name]) for name in lines if name in kept}


def smoothed(
    flux: Float[np.ndarray, " pixels"], ivar: Float[np.ndarray, " pixels"], width: int
) -> tuple[Float[np.ndarray, " pixels"], Float[np.ndarray, " pixels"]]:
    """Inverse-variance weighted mean of `width` pixels about each, and its sigma; NaN in gaps."""
    window = np.ones(width)
    weight = np.convolve(ivar, window, "same")
    good = (weight > 0) & (ivar > 0)
    weight = np.where(good, weight, np.nan)
    return np.convolve(ivar * flux, window, "same") / weight, weight**-0.5


def attributed(
    ax: Axes,
    wave: Float[np.ndarray, " pixels"],
    flux: Float[np.ndarray, " pixels"],
    ivar: Float[np.ndarray, " pixels"],
    attribution: Float[np.ndarray, " pixels"],
    z: float,
    sums: Mapping[str, float],
    *,
    count: int = 12,
    width: int = 7,
    stripe: int = 12,
) -> Axes:
    """A smoothed spectrum and its noise over stripes coloured by the attribution in them.

    Args:
        ax: Where to.
        wave: Observed wavelength in angstrom.
        flux: In 1e-17 erg/s/cm2/A.
        ivar: Its inverse variance; 0 leaves a gap.
        attribution: Of one spectrum, of `redshift_attribution`.
        z: Redshift at which lines are marked.
        sums: One number per line, of `by_line`.
        count: Lines to mark, those with the largest sums.
        width: Pixels of the running mean.
        stripe: Pixels of a stripe, over which the attribution is summed.
    """
    mean, sigma = smoothed(flux, ivar, width)
    first = np.arange(0, len(wave), stripe)
    edges = np.append(wave[first], wave[-1])
    shares = np.add.reduceat(attribution, first)
    low, high, noise = 0.0, 0.0, 1.0
    if (ivar > 0).any():
        low, high = np.nanpercentile(mean, [0.3, 99.9])
        noise = np.nanmedian(sigma)
    reach = max(high - low, noise)
    low, high = low - 0.08 * reach, high + 0.15 * reach
    scale = max(np.abs(shares).max(), 1e-6)
    stripes = ax.pcolormesh(edges, [low, high], shares[None], cmap="PuOr_r", vmin=-scale,
                            vmax=scale, zorder=-2)
    ax.figure.colorbar(stripes, ax=ax, label=f"{SHARE},\nper {stripe} pixels", pad=0.01)
    ax.fill_between(wave, mean - sigma, mean + sigma, color="0.35", alpha=0.35, lw=0,
                    label=rf"$\pm 1\sigma$ of {width} pixels")
    ax.plot(wave, mean, color="black", lw=0.7, label=f"mean of {width} pixels")
    ax.set(xlim=(wave[0], wave[-1]), ylim=(low, high), ylabel=FLUX,
           xlabel="observed wavelength [Å]")
    ax.legend(fontsize=8, ncols=2, facecolor="white", edgecolor="none", loc="upper right")
    return mark_lines(ax, z, {line_name(n): GALAXY_LINES[n] for n in strongest(sums, count)})


def line_shares(ax: Axes, sums: Mapping[str, float], *, count: int = 12) -> Axes:
    """Bars of the attribution summed per line, blue to red, then of all that is not drawn.

    Args:
        ax: Where to.
        sums: One number per line and for elsewhere, of `by_line`.
        count: Lines to draw, those with the largest sums.
    """
    shown = strongest(sums, count)
    lines = sum(value for name, value in sums.items() if name != ELSEWHERE)
    bars = {line_name(name): value for name, value in shown.items()}
    bars["other lines"] = lines - sum(shown.values())
    bars[ELSEWHERE] = float(sums[ELSEWHERE])
    values = np.array(list(bars.values()))
    rest = np.arange(len(bars)) >= len(shown)
    colours = np.where(rest, "0.55", np.where(values > 0, RED, BLUE))
    ax.bar(range(len(bars)), values, color=colours, width=0.7)
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xticks(range(len(bars)), bars, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(ylabel=SHARE)
    ax.margins(x=0.02)
    ax.set_title(f"all pixels: {values.sum():+.1f}", fontsize=9, loc="right")
    return ax


def embedding(
    ax: Axes,
    points: Float[np.ndarray, "batch 2"],
    values: Num[np.ndarray, " batch"] | Bool[np.ndarray, " batch"],
    name: str,
) -> Axes:
    """A map of spectra coloured by a quantity: two colours where it is a yes or no.

    Args:
        ax: Where to.
        points: Of `embed_2d`.
        values: The quantity; NaN, where it is not known, is grey.
        name: Of the quantity, with its unit.
    """
    size = float(np.clip(9000 / len(points), 2, 20))
    known = np.isfinite(values)
    ax.scatter(*points[~known].T, s=size, color=GREY, lw=0)
    if values.dtype == bool:
        for value, colour, word in ((False, BLUE, "no"), (True, RED, "yes")):
            ax.scatter(*points[values == value].T, s=size, color=colour, lw=0, label=word)
        ax.legend(title=name, fontsize=8, markerscale=2, loc="best")
    else:
        order = np.random.default_rng(0).permutation(np.flatnonzero(known))
        low, high = np.percentile(values[known], [1, 99]) if known.any() else (0, 1)
        dots = ax.scatter(*points[order].T, s=size, c=values[order], cmap="viridis", vmin=low,
                          vmax=high, lw=0)
        ax.figure.colorbar(dots, ax=ax, label=name)
    ax.set(xticks=[], yticks=[], xlabel="first coordinate", ylabel="second coordinate")
    return ax
