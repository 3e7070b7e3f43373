"""`Posterior`: what a trained model says about any number of observations."""

from collections.abc import Callable, Mapping
from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.table import Table
from jaxtyping import ArrayLike, Float, Int

from flowspec.data.observation import Observation
from flowspec.model.model import Model
from flowspec.posterior.answers import class_shares, density, drawn, tilted_chunks, without_data
from flowspec.posterior.asked import draw_count, parameters_of, row_numbers, sources_of
from flowspec.posterior.draws import described
from flowspec.posterior.files import restored, written
from flowspec.posterior.given import Known, known_redshift
from flowspec.posterior.goodness import Goodness
from flowspec.posterior.labelled import labels_of, relabelled
from flowspec.posterior.misfit import Misfit
from flowspec.posterior.of_model import OfModel
from flowspec.posterior.redshift import Recalibration, rebinned
from flowspec.posterior.refine import Refined, refined
from flowspec.posterior.screen import Screen
from flowspec.posterior.stretch import Stretch
from flowspec.posterior.summary import summarized
from flowspec.sim.lesson import Lesson


class Posterior(OfModel):
    """Posterior of the parameters of each object, from one pass of a trained model.

    `obs` below is a batch of what the model was trained on (`flowspec.Spectra`, `Lines` or
    `Vectors`); of line fluxes, ``dereddened=True`` says that all are corrected for dust.

    Attributes:
        model: The density.
        screen: Summary-space distances of simulations, for the out-of-distribution flag.
        recalibration: Of the probability that the best redshift is right.
        provenance: JSON-ready account of how the model came to be.
        misfit: Whether data are like simulations, or None in early model files.
        known: What else is known of the redshift of each row (`given`), or None.
        stretch: Of the draws, learned from labels (`calibrate`), or None.
        lesson: What observations had taught the simulator, or None.
    """

    model: Model
    screen: Screen
    recalibration: Recalibration
    provenance: dict = eqx.field(static=True)
    misfit: Misfit | None = None
    known: Known | None = None
    stretch: Stretch | None = None
    lesson: Lesson | None = None

    def sample(
        self, obs: Observation, n: int = 1000, *, seed: int = 0, first: int = 0,
        by_name: bool = False, source: str | None = None, dereddened: bool = False,
        progress: bool = False,
    ) -> Float[np.ndarray, "n batch params"]:  # fmt: skip
        """Draw from the posterior of the parameters, over all sources or given one.

        Draws depend on the seed and on a row's number only, not on how the input is cut up, or
        (`by_name`) on the seed and its name only, nor on the order. They are NaN where a row has
        no data.

        Args:
            obs: Observations.
            n: Draws per row.
            seed: Random seed.
            first: Number of the first row, where `obs` is a part of something larger.
            by_name: Whether the names of rows, instead of their numbers, key the random numbers;
                rows of one name then share theirs.
            source: Name of the source, or of the class of sources, to condition on.
            dereddened: See the class.
            progress: Whether to show a progress bar.

        Raises:
            ValueError: If there is no such source, or the observations are of another kind than the
                model's, or cover too little of its grid, or `n` is no number of draws.
        """
        return self.sample_sources(
            obs, n, seed=seed, first=first, by_name=by_name, source=source, dereddened=dereddened,
            progress=progress,
        )[0]  # fmt: skip

    def sample_sources(
        self, obs: Observation, n: int = 1000, *, seed: int = 0, first: int = 0,
        by_name: bool = False, source: str | None = None, dereddened: bool = False,
        progress: bool = False,
    ) -> tuple[Float[np.ndarray, "n batch params"], Int[np.ndarray, "n batch"]]:  # fmt: skip
        """Draw as `sample` does; with the number of each draw's source [n, batch]."""
        obs, n = self.model.frame.seen(obs, dereddened), draw_count(n, least=0)
        if n == 0:
            shape = 0, len(obs), len(self.names)
            return np.zeros(shape, np.float32), np.zeros(shape[:2], np.int32)
        numbers = row_numbers(obs, first, by_name)
        parts = [drawn(self, chunk, n, seed, numbers)[:2]
                 for chunk in tilted_chunks(self, obs, source, progress)]
        # not before all are on their way: the host prepares the next while the device draws
        theta, source_of = (np.concatenate(p, axis=1) for p in zip(*parts, strict=True))
        none = without_data(self.model.frame, obs)
        return np.where(none[:, None], np.float32(np.nan), theta), np.where(none, -1, source_of)

    def log_prob(
        self, theta: ArrayLike, obs: Observation, source: ArrayLike | None = None, *,
        dereddened: bool = False,
    ) -> Float[np.ndarray, "*n batch"]:  # fmt: skip
        """Normalised log posterior density, ``-inf`` outside the prior.

        Args:
            theta: Parameters, ``[batch, params]`` or ``[n, batch, params]``, or ``[params]`` for
                all rows.
            obs: Observations.
            source: Number of the source of each, for the joint density; by default their sum.
            dereddened: See the class.

        Raises:
            ValueError: Of a posterior given a redshift, whose density has no closed form, or on
                theta or sources of other shapes.
        """
        if self.known is not None:
            raise ValueError("expected a posterior without a given redshift; draw from it instead")
        obs = self.model.frame.seen(obs, dereddened)
        theta, count = parameters_of(theta, len(obs), len(self.names)), len(self.sources)
        shape, stacked = theta.shape, theta.reshape(-1, *theta.shape[-2:])
        each = [sources_of(k, shape[:-1], count).reshape(-1, shape[-2])
                for k in (range(count) if source is None else [source])]
        parts = []
        for chunk in tilted_chunks(self, obs):
            rows = chunk.rows
            values = [density(self, chunk, stacked[:, rows], k[:, rows]) for k in each]
            parts.append(np.logaddexp.reduce(values, axis=0))
        total = np.concatenate(parts, axis=1)
        total = np.where(without_data(self.model.frame, obs), np.nan, total)
        return total.reshape(shape[:-1])

    def source_probabilities(
        self, obs: Observation, *, dereddened: bool = False
    ) -> Float[np.ndarray, "batch sources"]:
        """Probability of every source of each row."""
        obs = self.model.frame.seen(obs, dereddened)
        return class_shares(self, obs).sum(2)

    def redshift_pdf(
        self, obs: Observation, edges: Float[np.ndarray, " edges"] | None = None, *,
        source: str | None = None,
    ) -> tuple[Float[np.ndarray, " edges"], Float[np.ndarray, "batch bins"]]:  # fmt: skip
        """Probability density of the redshift in bins, over all sources or given one.

        Args:
            obs: Observations.
            edges: Of the bins, by default the model's; a bin that they cut is shared out evenly.
            source: Name of the source, or of the class of sources, to condition on.

        Returns:
            The edges, and the density per unit redshift.

        Raises:
            ValueError: If the model has no redshift, or there is no such source.
        """
        own = self._edges()
        edges = own if edges is None else np.asarray(edges, float)
        obs = self.model.frame.seen(obs)
        return edges, rebinned(class_shares(self, obs, source).sum(1), own, edges)

    def summaries(
        self, obs: Observation, *, dereddened: bool = False
    ) -> Float[np.ndarray, "batch features"]:
        """What the density is given for each row, at its most probable redshift bin."""
        obs = self.model.frame.seen(obs, dereddened)
        return np.concatenate([described(self.model, chunk) for chunk in tilted_chunks(self, obs)])

    def summarize(
        self, obs: Observation, *, n: int = 500, seed: int = 0, first: int = 0,
        by_name: bool = False, dereddened: bool = False, progress: bool = False,
        with_samples: bool = False, population=None, total=None, evidence: Goodness | None = None,
    ) -> Table | tuple[Table, Float[np.ndarray, "n batch params"]]:  # fmt: skip
        """Percentiles, best redshift and source with their probabilities, and quality flags.

        Columns: `flowspec.posterior.table.summary_table`; flags: `flowspec.Flag`.

        Args:
            obs: Observations.
            n: Posterior draws per row behind the percentiles.
            seed: Random seed.
            first: Number of the first row, where `obs` is a part of something larger.
            by_name: See `sample`.
            dereddened: See the class; there is no ``av`` then.
            progress: Whether to show a progress bar.
            with_samples: Whether to return the draws as well: without a population, of `sample`.
            population: A density to take instead of the prior that the model was trained on, with
                ``log_prob(theta)``, as `flowspec.Population` has. Draws are weighted by the ratio
                of the two; a column ``ess`` tells their effective number, out of
                ``n * flowspec.posterior.weights.OVERSAMPLE``.
            total: Of whole galaxies, as in `flowspec.posterior.magnitudes.magnitudes_of`.
            evidence: Adds ``fit_p_value``, ``fit_odd_at``, ``log_evidence`` of the best fits.
        """
        table, answers = summarized(
            self, obs, n=n, seed=seed, first=first, by_name=by_name, dereddened=dereddened,
            progress=progress, population=population, total=total,
        )  # fmt: skip
        if evidence is not None:
            seen = self.model.frame.seen(obs, dereddened)
            table = evidence.added(table, self, seen, seed)
        return (table, answers.samples) if with_samples else table

    def refine(
        self, obs: Observation, likelihood: Callable, n: int = 1000, *, draws: int = 4000,
        seed: int = 0, first: int = 0, by_name: bool = False, dereddened: bool = False,
    ) -> Refined:  # fmt: skip
        """Draws of the exact posterior, by importance weights on those of the flow.

        ``w = L(theta) p(theta) / q(theta | x)`` (Dax et al. 2023, arXiv:2210.05686, equation 2),
        whose mean is the evidence. Where the likelihood is a `flowspec.sim.marginal.Marginal`, as
        `log_likelihood` of simulators of spectra is, q learns (`flowspec.posterior.adaptive`).

        Args:
            obs: Observations.
            likelihood: ``(theta [params], source, *data) -> ln L`` of one object, such as
                `Simulator.log_likelihood`, traceable by JAX; `data` are the arrays of the model's
                frame: of spectra flux and inverse variance on the model's grid.
            n: Draws wanted per row.
            draws: Draws that are weighted; 1000 do for spectra.
            seed: Random seed.
            first: Number of the first row.
            by_name: See `sample`.
            dereddened: See the class.
        """
        obs, counts = self.model.frame.seen(obs, dereddened), map(draw_count, (n, draws))
        return refined(self, obs, likelihood, *counts, seed, first, by_name)

    def given(self, *, z) -> "Posterior":
        """The posterior of the rest where the redshift is known, or something about it.

        Draws of ``p(theta | x, z)``: bins are chosen by what is known, and draws inside weighted
        by it. A column ``ess`` of the table tells how many are left.

        Args:
            z: A redshift, or one per row of the observations to come; a window ``(low, high)``,
                each a number or one per row; or ``(edges, density)``, with densities [batch, bins]
                or [bins].

        Raises:
            ValueError: If the model has no redshift, or `z` is none of these, or outside the prior.
        """
        self._edges()
        return eqx.tree_at(lambda p: p.known, self, known_redshift(z, self.model.space),
                           is_leaf=lambda x: x is None)

    def calibrate(
        self, obs: Observation, labels: Mapping | Table, *, local: bool = False,
        dereddened: bool = False,
    ) -> "Posterior":  # fmt: skip
        """The posterior whose widths hold for labels, as those of a hundred objects of a kind.

        All draws of a parameter are moved and stretched about the middle of their row, by the most
        probable numbers for the labels (`flowspec.posterior.stretch`). `sample`, `summarize` and
        `log_prob` follow, `redshift_pdf` does not. The table and model files say so. Parameters
        without labels stay as they are; those calibrated before are calibrated anew.

        Args:
            obs: Observations, of objects like those to come.
            labels: Parameter to values [batch], NaN where there is none, and ``<parameter>_err`` to
                their standard errors, if any, which are allowed for. Redshifts count where the
                posterior's best one is right.
            local: Whether the stretch goes with the signal-to-noise ratio.
            dereddened: See the class.

        Raises:
            ValueError: If a parameter has fewer than 30 labels, or there is no such parameter.
        """
        obs = self.model.frame.seen(obs, dereddened)
        return relabelled(self, obs, labels_of(labels, self.names, len(obs)), local)

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write a model file (safetensors: a JSON header and arrays), atomically.

        Args:
            path: The file; an existing one is replaced.
            half: Store the parameters in half precision, at half the size.
        """
        written(path, self, np.float16 if half else np.float32)

    @classmethod
    def restored(cls, config: dict, arrays: dict[str, np.ndarray]) -> "Posterior":
        """The posterior that `save` wrote, of this or an earlier version."""
        model, recalibration = restored(config, arrays)
        stretch = Stretch.restored(arrays, len(model.space.names))
        return cls(model, Screen.restored(arrays), recalibration, config["provenance"],
                   Misfit.restored(arrays), None, stretch,
                   Lesson.restored(config.get("lesson"), arrays))


LinePosterior = Posterior  # the name that the posterior of line catalogues had in version 0.1
