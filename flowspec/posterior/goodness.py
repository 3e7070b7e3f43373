"""Does the forward model fit? A p-value of each spectrum's best fit, calibrated on simulations.

A network's summaries are blind to what it ignores, and its reconstructions to what their templates
lack; residuals of the explicit model, fitted with all its nuisances, are blind only to what these
can make. They are looked at as in `flowspec.posterior.misfit`, and so are the nuisances that the
fit had to take: how far all are from what is expected, and each.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from astropy.table import MaskedColumn, Table
from jaxtyping import Float

from flowspec.data.seeds import key_of
from flowspec.data.spectra import Spectra
from flowspec.posterior.adaptive import ROWS, STARTS
from flowspec.posterior.columns import described
from flowspec.posterior.misfit import LEVEL
from flowspec.posterior.oddness import Ranks, kinds_of, snr_of, statistics_of, windows
from flowspec.sim.marginal import Expansion, Marginal
from flowspec.sim.simulator import simulate_many


class Fit(NamedTuple):
    """How good the best fits are.

    Attributes:
        p_value: Share of simulations whose best fit is at least as odd, NaN without data [batch].
        where: What is oddest about each.
        log_evidence: ``ln p(flux)`` in Laplace's approximation [batch].
    """

    p_value: Float[np.ndarray, " batch"]
    where: list[str]
    log_evidence: Float[np.ndarray, " batch"]


class Goodness(eqx.Module):
    """What the best fits of simulations leave.

    Attributes:
        likelihood: Of the simulator.
        ranks: Of the statistics of its simulations.
    """

    likelihood: Marginal
    ranks: Ranks

    @classmethod
    def learned(
        cls, posterior, likelihood: Marginal, n: int = 300, *, seed: int = 0
    ) -> "Goodness":
        """From fits to fresh simulations, each of which costs about half a second.

        Args:
            posterior: Where the fits start from.
            likelihood: `SpectrumSimulator.log_likelihood`.
            n: Number of simulations; p-values below one over it are extrapolated.
            seed: Random seed.
        """
        sim = likelihood.sim
        data = simulate_many(sim, key_of(seed), n).data
        near = expansions(posterior, sim.frame.observed(*data), likelihood, seed)
        flux, ivar = data[:2]
        size = flux.shape[1]
        return cls(likelihood, Ranks.learned(_statistics(near, flux, ivar), snr_of(flux, ivar),
                                             _kinds(size, near.white.shape[1])))

    def compared(self, posterior, obs: Spectra, seed: int = 0) -> Fit:
        """How good the best fits of spectra are.

        Args:
            posterior: Where the fits start from.
            obs: Spectra, as `Frame.seen` has them.
            seed: Random seed of the starts.
        """
        flux, ivar = (np.asarray(a) for a in posterior.model.frame.arrays(obs)[:2])
        near = expansions(posterior, obs, self.likelihood, seed)
        kinds = _kinds(flux.shape[1], near.white.shape[1])
        found = self.ranks.ranked(_statistics(near, flux, ivar), snr_of(flux, ivar), kinds)
        where = [self._place(posterior.model.frame, kinds[kind], kind, found.tails[row],
                             near.residual[row])
                 for row, kind in enumerate(found.kind.tolist())]
        none = ~(ivar > 0).any(1)
        return Fit(np.where(none, np.nan, found.p_value), where,
                   np.where(none, np.nan, near.log_evidence))

    def added(self, table: Table, posterior, obs: Spectra, seed: int = 0) -> Table:
        """A table of results with three columns more."""
        found = self.compared(posterior, obs, seed)
        odd = found.p_value < LEVEL
        none = np.isnan(found.p_value)
        table["fit_p_value"] = MaskedColumn(found.p_value, mask=none)
        table["fit_odd_at"] = np.where(odd, found.where, "")
        table["log_evidence"] = MaskedColumn(found.log_evidence, mask=none)
        return described(table, posterior.model.space)

    def _place(self, frame, statistics: slice, kind: int, tails, residual) -> str:
        """What is oddest about a row, in words."""
        if kind < 2:
            return ("the size of the noise", "the nuisances")[kind]
        if kind == 2:
            return frame.label(int(np.abs(residual).argmax()))
        oddest = int(tails[statistics].argmin())
        if kind == 6 or not windows(len(residual)):
            layout = self.likelihood.sim.layout
            return str(np.repeat(layout.names, layout.counts)[oddest])
        part = windows(len(residual))[oddest]
        return f"{frame.label(part.start)} to {frame.label(part.stop - 1)}"


def expansions(posterior, obs: Spectra, likelihood: Marginal, seed: int = 0) -> Expansion:
    """Best fits from starts that the posterior draws, without the arrays of their derivatives."""
    parts = []
    for first in range(0, len(obs), ROWS):
        some = obs[np.arange(first, min(first + ROWS, len(obs)))]
        start = posterior.sample(some, STARTS, seed=seed, first=first)
        middle = np.asarray(likelihood.sim.prior.to_constrained(np.zeros(start.shape[-1])))
        start = np.where(np.isnan(start), middle, start)
        near = likelihood.prepared(some, start)
        parts.append(near._replace(columns=near.columns[..., :0], vectors=near.vectors[..., :0]))
    return jax.tree.map(lambda *a: np.concatenate(a), *parts)


def _statistics(near: Expansion, flux, ivar) -> Float[np.ndarray, "rows statistics"]:
    residual = np.where(ivar > 0, near.residual, 0.0)
    common = statistics_of(flux, ivar, residual, (near.white**2).sum(1))
    return np.concatenate([common, np.abs(near.white)], axis=1)


def _kinds(size: int, latents: int) -> list[slice]:
    """Which statistics look at the same thing."""
    kinds = kinds_of(size)
    return [*kinds, slice(kinds[-1].stop, kinds[-1].stop + latents)]
