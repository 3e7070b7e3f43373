"""Flags in words: what is wrong with a row, in its own numbers, and what one can do about it."""

from collections.abc import Callable

from flowspec.data.flags import Flag
from flowspec.pages.cells import cell


def reasons(row: dict) -> list[dict]:
    """`flag` (its name), `why` and `what` to do, for each flag that a row has.

    Args:
        row: Column to value, of `Posterior.summarize`.
    """
    flags = int(row["flags"])
    return [{"flag": flag.name.lower(), "why": why(_Row(row)), "what": what}
            for flag, (why, what) in _WORDS.items() if flags & flag]  # fmt: skip


class _Row:
    """Values of a row as text: "?" where there is none."""

    def __init__(self, row: dict):
        self._row = row

    def __getitem__(self, name: str) -> str:
        value = cell(self._row.get(name))
        return "?" if value in (None, "") else f"{value:.3g}" if isinstance(value, float) else (
            str(value))  # fmt: skip

    def share(self, name: str) -> str:
        """A share in per cent."""
        value = cell(self._row.get(name))
        return "?" if value is None else f"{100 * value:.3g} %"

    def second(self) -> str:
        """The second peak of the redshift."""
        z, prob = (list(self._row.get(n, [])) for n in ("z_peaks", "z_peak_probs"))
        if len(z) < 2 or cell(z[1]) is None:
            return "in a second peak"
        share = "" if cell(prob[1]) is None else f", with a probability of {cell(prob[1]):.2g}"
        return f"in a second peak, z = {cell(z[1]):.4g}{share}"


_Why = Callable[[_Row], str]
_WORDS: dict[Flag, tuple[_Why, str]] = {
    Flag.NO_DATA: (
        lambda row: f"Nothing here that the model could use: {row['notes']}.",
        "Look at the file with `flowspec inspect`."),
    Flag.LITTLE_COVERAGE: (
        lambda row: "Good pixels span less of the model's wavelengths than it asks for "
                    f"({row.share('coverage')} have data).",
        "Trust what the visible lines carry; the rest leans on the prior."),
    Flag.FEW_PIXELS: (
        lambda row: f"Only {row.share('coverage')} of the model's wavelengths have good pixels.",
        "See whether the mask means the opposite of what was read."),
    Flag.AT_PRIOR_EDGE: (
        lambda row: "The posterior leans on a limit of the prior in "
                    f"{row['prior_edge'].replace(',', ', ')}.",
        "Read these as limits: the truth may lie outside what the model knows."),
    Flag.MULTIMODAL_REDSHIFT: (
        lambda row: f"Over 10 % of the posterior is {row.second()}.",
        "Click the peaks and see which one puts lines on lines."),
    Flag.OUT_OF_DISTRIBUTION: (
        lambda row: "Its summary lies further out than 99.9 % of simulations "
                    f"(p = {row['p_value']}).",
        "It may be no object of the model's kind, or badly calibrated: no number is safe."),
    Flag.UNSURE_REDSHIFT: (
        lambda row: "The best redshift is right to 0.01 with a probability of only "
                    f"{row['z_prob']} (below 0.9)." if row["z_prob"] != "?" else
                    "No probability can be told for the redshift.",
        "Look for a second line; parameters hang on the redshift."),
    Flag.UNLIKE_DATA: (
        lambda row: f"The data are less like their reconstruction than those of 99 % of "
                    f"simulations (p = {row['misfit']}), most so at {row['unlike_at']}.",
        "Look at the residuals there: sky, calibration, or physics that the model lacks."),
    Flag.FEW_LINES: (
        lambda row: f"Fewer than three lines are measured ({row['lines']} used, "
                    f"{row['limits']} of them limits).",
        "Most of the posterior is the prior."),
    Flag.NO_BALMER_PAIR: (
        lambda row: "Fewer than two hydrogen lines are measured, in fluxes with their dust.",
        "Dust is the prior's, and ratios of lines far apart with it."),
    Flag.UNSURE_SOURCE: (
        lambda row: f"No source has a probability of 0.9; the most probable is {row['source']}.",
        "Read the parameters as a mixture over sources."),
    Flag.NO_TOTAL: (
        lambda row: f"No total of the whole galaxy: {row['notes']}.",
        "Use the numbers of the aperture as what they are."),
    Flag.BRIGHTER_THAN_TOTAL: (
        lambda row: "The spectrum is brighter than the whole galaxy is said to be, by over "
                    "0.25 mag.",
        "Check the flux calibration and the magnitude."),
    Flag.LOW_RESOLUTION: (
        lambda row: "The line-spread function is wider than any that the model was trained on.",
        "Do not trust what comes from widths of lines."),
    Flag.BLEND: (
        lambda row: f"There is a second object in the spectrum, at z = {row['z_blend']} "
                    f"(ln evidence {row['blend_ln_evidence']}).",
        "Look for lines at both redshifts; other parameters take all light for one object's."),
}  # fmt: skip
