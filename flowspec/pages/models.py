"""The model that a page shows of each spectrum: a fit of the forward model, or a reconstruction."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from flowspec.data.spectra import Spectra
from flowspec.model.space import Space
from flowspec.posterior.answers import Answers
from flowspec.posterior.redshift import peaks
from flowspec.sim.explicit import AT_ONCE
from flowspec.sim.spectrum import SpectrumSimulator

STARTS = 4  # posterior draws that a fit may start from: the best is taken
LEAST = 0.01  # probability of a further redshift at which a spectrum is reconstructed too


_WORDS = ("Forward model fitted to this spectrum, at z = {z:.5f}; χ²/N = {chi2:.2f} with residuals "
          "cut at 8σ. The band is 1σ of the model given the data.")


class Shown(NamedTuple):
    """A model of one spectrum at one redshift.

    Attributes:
        flux: [pixels] 1e-17 erg/s/cm²/Å, NaN where it is not known.
        z: Its redshift.
        kind: "fit" or "reconstruction".
        words: What it is.
        band: Standard deviation of the model given the data [pixels], or None.
    """

    flux: Float[np.ndarray, " pixels"]
    z: float
    kind: str
    words: str
    band: Float[np.ndarray, " pixels"] | None = None


def fits(
    sim: SpectrumSimulator, obs: Spectra, answers: Answers, rows: Int[np.ndarray, " rows"], *,
    progress: bool = False,
) -> dict[int, Shown]:
    """The forward model fitted to some rows, by number; those whose fit fails are left out.

    Args:
        sim: The simulator that the model was trained on.
        obs: All spectra, on its pixels.
        answers: The posterior's, whose draws the fits start from.
        rows: To fit.
        progress: Whether to show a progress bar.
    """
    shown: dict[int, Shown] = {}
    with tqdm(total=len(rows), unit="fit", disable=not progress or None) as bar:
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            fitted = sim.fit(obs[some], answers.samples[:STARTS, some])
            bands = sim.band(fitted)
            for i, row in enumerate(some.tolist()):
                if np.isfinite(fitted.model[i]).all() and np.isfinite(fitted.chi2[i]):
                    z = float(fitted.theta[i, sim.prior.names.index("z")])
                    shown[row] = Shown(fitted.model[i], z, "fit", _WORDS.format(
                        z=z, chi2=fitted.chi2[i]), bands[i])
            bar.update(len(some))
    return shown


def runner_up(
    space: Space, share: Float[np.ndarray, "rows classes"]
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"], list[str]]:
    """The second most probable kind of object of each row: best redshift, probability, name.

    NaN and no name where sources are no kinds of objects, or that kind has no redshift or less than
    `LEAST`.
    """
    rows = len(share)
    if not space.of_objects or space.redshift is None:
        return np.full(rows, np.nan), np.full(rows, np.nan), [""] * rows
    of_each = space.by_source(share)
    prob = of_each.sum(2)
    second = np.argsort(-np.nan_to_num(prob), axis=1)[:, 1]
    here = np.arange(rows), second
    found = peaks(space.redshift.all_edges(), of_each[here] / np.diff(space.redshift.all_edges()))
    told = space.has("z")[second] & (np.nan_to_num(prob[here]) >= LEAST)
    names = [space.sources[k] if known else "" for k, known in zip(second, told, strict=True)]
    return np.where(told, found.z, np.nan), np.where(told, prob[here], np.nan), names


def reconstructions(posterior, obs: Spectra, z: Float[np.ndarray, "rows most"],
                    probs: Float[np.ndarray, "rows most"]) -> list[list[Shown]]:
    """What simulations look like, fitted to each row at each of its redshifts in closed form.

    Args:
        posterior: `flowspec.Posterior`, with its misfit.
        obs: Spectra on the model's pixels.
        z: Redshifts, NaN beyond those there are.
        probs: Of each; further ones below `LEAST` are passed over.

    Returns:
        Of each row, one for each redshift in order.
    """
    shown: list[list[Shown]] = [[] for _ in range(len(obs))]
    if posterior.misfit is None:
        return shown
    frame, redshift = posterior.model.frame, posterior.model.space.redshift
    flux, ivar, *_ = frame.arrays(obs)
    count = len(posterior.misfit.reconstruction.mean)
    for i in range(z.shape[1]):
        wanted = np.isfinite(z[:, i]) & (ivar > 0).any(1)
        wanted &= (i == 0) | (np.nan_to_num(probs[:, i]) >= LEAST)
        rows = np.flatnonzero(wanted)
        if not len(rows):
            continue
        residual = posterior.misfit.residuals(frame, redshift, (flux[rows], ivar[rows]),
                                              z[rows, i])
        error = np.where(ivar[rows] > 0, np.maximum(ivar[rows], 1e-30) ** -0.5, np.nan)
        for row, model in zip(rows.tolist(), flux[rows] - residual * error, strict=True):
            here = float(z[row, i])
            words = (f"Reconstruction at z = {here:.5f} from {count} components of what "
                     "simulations look like, fitted to this spectrum; no fit of the forward model.")
            shown[row].append(Shown(model, here, "reconstruction", words))
    return shown
