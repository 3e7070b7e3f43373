"""Close looks at the lines that redshifts and abundances rest on."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import ArrayLike, Float
from matplotlib.axes import Axes

from flowspec.data.line_names import wave_of
from flowspec.data.line_waves import ABSORPTION
from flowspec.plots.style import BLUE, GREY, SKY

# Rest-frame limits in vacuum angstrom, and the lines to name; those that say most come first.
WINDOWS: dict[str, tuple[float, float, dict[str, float]]] = {
    r"H$\alpha$, [N II], [S II]": (6500.0, 6770.0, {
        "[N II]": wave_of("[NII]6548"), r"H$\alpha$": wave_of("Halpha"),
        "[N II] ": wave_of("[NII]6584"), "[S II]": wave_of("[SII]6717,6731")}),
    r"H$\beta$, [O III]": (4820.0, 5050.0, {
        r"H$\beta$": wave_of("Hbeta"), "[O III]": wave_of("[OIII]4959"),
        "[O III] ": wave_of("[OIII]5007")}),
    "[O II]": (3690.0, 3770.0, {"[O II]": wave_of("[OII]3726,3729")}),
    "Ca II K, H; break": (3880.0, 4070.0, {
        "K": ABSORPTION["CaK"], "H": ABSORPTION["CaH"]}),
    "Mg b": (5120.0, 5240.0, {"Mg b": ABSORPTION["Mgb"]}),
    "Mg II": (2740.0, 2860.0, {"Mg II": wave_of("MgII2796,2803")}),
    "C III]": (1870.0, 1950.0, {"C III]": wave_of("CIII]1907,1909")}),
    "C IV": (1510.0, 1590.0, {"C IV": wave_of("CIV1548,1551")}),
    r"Ly$\alpha$": (1180.0, 1260.0, {r"Ly$\alpha$": wave_of("Lyalpha")}),
}  # fmt: skip
LEAST = 8  # good pixels of a window


def windows_in_view(
    wave: Float[ArrayLike, " pixels"], ivar: Float[ArrayLike, " pixels"], z: float, count: int = 4
) -> list[str]:
    """Names of the `WINDOWS` with data at a redshift, at most `count`, by wavelength."""
    wave, good = np.asarray(wave), np.asarray(ivar) > 0
    kept = []
    for name, (low, high, lines) in WINDOWS.items():
        inside = good & (wave > low * (1 + z)) & (wave < high * (1 + z))
        near = [np.abs(wave[inside] / (w * (1 + z)) - 1).min(initial=1) for w in lines.values()]
        if inside.sum() >= LEAST and min(near) < 2e-3:
            kept.append(name)
    return sorted(kept[:count], key=lambda name: WINDOWS[name][0])


def windows(
    axes: Sequence[Axes], names: Sequence[str], wave: Float[ArrayLike, " pixels"],
    flux: Float[ArrayLike, " pixels"], ivar: Float[ArrayLike, " pixels"], z: float, *,
    curves: Mapping[str, Float[ArrayLike, " pixels"]] = {},  # noqa: B006, not changed
    band: Float[ArrayLike, " pixels"] | None = None,
) -> Sequence[Axes]:  # fmt: skip
    """The data, their errors and the best model about a few lines, a panel each.

    Args:
        axes: One per name.
        names: Of `WINDOWS`.
        wave: Observed, in Å.
        flux: In 1e-17 erg/s/cm²/Å.
        ivar: Its inverse variance; 0 leaves a gap.
        z: Redshift.
        curves: Models to draw, the first one with its band.
        band: Standard deviation of the first of them.
    """
    wave, flux, ivar = (np.asarray(a) for a in (wave, flux, ivar))
    error = np.where(ivar > 0, np.maximum(ivar, 1e-30) ** -0.5, np.nan)
    data = np.where(ivar > 0, flux, np.nan)
    for ax, name in zip(axes, names, strict=True):
        low, high, lines = WINDOWS[name]
        at = (wave > low * (1 + z)) & (wave < high * (1 + z))
        x = wave[at] / (1 + z)
        ax.fill_between(x, (data - error)[at], (data + error)[at], color="0.85", lw=0, step="mid")
        ax.plot(x, data[at], color="0.35", lw=0.8, drawstyle="steps-mid")
        for number, curve in enumerate(np.asarray(c) for c in curves.values()):
            if number == 0 and band is not None:
                width = np.asarray(band)[at]
                ax.fill_between(x, curve[at] - width, curve[at] + width, color=SKY, lw=0)
            ax.plot(x, curve[at], color=BLUE, lw=1.2)
        seen = [data[at][np.isfinite(data[at])], *(np.asarray(c)[at] for c in curves.values())]
        bottom, top = min(map(np.min, seen)), max(map(np.max, seen))
        ax.set(xlim=(low, high), ylim=(bottom - 0.05 * (top - bottom), top + 0.2 * (top - bottom)))
        for text, line in lines.items():
            ax.axvline(line, color=GREY, lw=0.8, ls=":", zorder=0)
            ax.annotate(text.strip(), (line, 0.98), xycoords=ax.get_xaxis_transform(), fontsize=7,
                        rotation=90, ha="right", va="top", color="0.3")
        ax.tick_params(labelsize=7)
        ax.locator_params(axis="x", nbins=4)
        ax.locator_params(axis="y", nbins=5)
        ax.set_xlabel("rest wavelength [Å]", fontsize=8)
    return axes
