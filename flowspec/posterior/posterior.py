"""`Posterior`: what a trained model says about any number of spectra."""

import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from astropy.table import QTable
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from flowspec.data.spectra import Spectra
from flowspec.model.model import Architecture, Model, build
from flowspec.posterior.files import named_leaves, with_leaves, write_model
from flowspec.posterior.redshift import Recalibration, peaks
from flowspec.posterior.screening import Screen
from flowspec.posterior.table import summary_table
from flowspec.posterior.weights import OVERSAMPLE, to_population
from flowspec.prior.mixture import read_prior

log = logging.getLogger("flowspec")
_DENSE = 12  # distinct bins per spectrum from which projecting at all of them is cheaper
_ROWS = 256  # spectra embedded at once
_PAIRS = 1024  # (spectrum, redshift bin) pairs conditioned at once, and the least draws compiled


class Chunk(NamedTuple):
    """Features of a part of the input, padded to a fixed size for the compiler.

    Attributes:
        rows: Numbers of the rows of the input.
        channels: Of these and of padding.
        logits: Likewise.
        summary: Likewise.
    """

    rows: Int[np.ndarray, " rows"]
    channels: Float[Array, "padded channels pixels"]
    logits: Float[Array, "padded bins"]
    summary: Float[Array, "padded summary"]


class Posterior(eqx.Module):
    """Posterior of the parameters of each spectrum, from one pass of a trained model.

    Args:
        model: The density.
        wave: The model's wavelength grid [pixels] in Å.
        screen: Summary-space distances of simulations, for the out-of-distribution flag.
        recalibration: Of the probability that the best redshift is right.
        architecture: Sizes that the model was built with.
        provenance: JSON-ready account of how the model came to be.
    """

    model: Model
    wave: Float[np.ndarray, " pixels"]
    screen: Screen
    recalibration: Recalibration
    architecture: Architecture = eqx.field(static=True)
    provenance: dict = eqx.field(static=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, the last axis of every sample."""
        return self.model.prior.names

    def sample(
        self, obs: Spectra, n: int = 1000, *, seed: int = 0, first: int = 0, progress: bool = False
    ) -> Float[np.ndarray, "n batch params"]:
        """Draw from the posterior.

        Draws depend on the seed and on a row's number only, not on how the input is cut up.

        Args:
            obs: Spectra.
            n: Draws per spectrum.
            seed: Random seed.
            first: Number of the first row, where `obs` is a part of something larger.
            progress: Whether to show a progress bar.

        Raises:
            ValueError: If the spectra do not cover enough of the model's grid.
        """
        chunks = self._chunks(obs, progress)
        return np.concatenate([self._draw(chunk, n, seed, first) for chunk in chunks], axis=1)

    def log_prob(
        self, theta: Float[np.ndarray, "*n batch params"], obs: Spectra
    ) -> Float[np.ndarray, "*n batch"]:
        """Normalised log posterior density, ``-inf`` outside the prior; each spectrum is embedded
        once however many parameters are asked for.

        Args:
            theta: Parameters, ``[batch, params]`` or ``[n, batch, params]``.
            obs: Spectra.
        """
        theta = jnp.asarray(theta)
        stacked = theta.reshape(-1, *theta.shape[-2:])
        parts = []
        for chunk in self._chunks(obs):
            bins, free, log_det = self.model.encode(stacked[:, chunk.rows])
            inside = jnp.isfinite(self.model.prior.log_prob(stacked[:, chunk.rows]))
            condition = self._conditions(chunk, np.asarray(bins))
            free = free.reshape(-1, free.shape[-1])
            log_flow = _log_prob_at(self.model, free, condition).reshape(bins.shape)
            log_bin = jax.nn.log_softmax(chunk.logits)[np.arange(len(chunk.rows)), bins]
            total = log_bin + log_flow + log_det
            parts.append(np.where(inside, total, -np.inf))
        return np.concatenate(parts, axis=-1).reshape(theta.shape[:-1])

    def redshift_pdf(
        self, obs: Spectra, edges: Float[np.ndarray, " edges"] | None = None
    ) -> tuple[Float[np.ndarray, " edges"], Float[np.ndarray, "batch bins"]]:
        """Probability density of the redshift in bins.

        Args:
            obs: Spectra.
            edges: Edges of the wanted bins; by default the model's own. A model bin that they cut
                is shared out evenly.

        Returns:
            The edges, and the density per unit redshift, which integrates to one over the prior.

        Raises:
            ValueError: If the model has no redshift.
        """
        if self.model.redshift is None:
            raise ValueError(f"expected a model with a redshift; got parameters {self.names}")
        own = self.model.redshift.all_edges()
        edges = own if edges is None else np.asarray(edges, float)
        share = np.concatenate([_shares(chunk) for chunk in self._chunks(obs)])
        cumulative = np.cumsum(np.pad(share, ((0, 0), (1, 0))), axis=1)
        at_edges = np.stack([np.interp(edges, own, row) for row in cumulative])
        return edges, np.diff(at_edges) / np.diff(edges)

    def summaries(self, obs: Spectra) -> Float[np.ndarray, "batch features"]:
        """What the flow is given for each spectrum, at its most probable redshift bin."""
        return np.concatenate([self._best_condition(chunk) for chunk in self._chunks(obs)])

    def summarize(
        self,
        obs: Spectra,
        *,
        n: int = 500,
        seed: int = 0,
        first: int = 0,
        progress: bool = False,
        with_samples: bool = False,
        population=None,
    ) -> QTable | tuple[QTable, Float[np.ndarray, "n batch params"]]:
        """Percentiles, best redshift and its probability, and quality flags, a row per spectrum.

        See `flowspec.posterior.table` for the columns and `flowspec.posterior.screening.Flag` for
        the flags.

        Args:
            obs: Spectra.
            n: Posterior draws per spectrum behind the percentiles.
            seed: Random seed.
            first: Number of the first row, where `obs` is a part of something larger.
            progress: Whether to show a progress bar.
            with_samples: Whether to return the draws as well: without a population, of `sample`.
            population: A density to take instead of the prior that the model was trained on, with
                ``log_prob(theta)``, as `flowspec.Population` has. Draws are weighted by the ratio
                of the two; a column ``ess`` tells their effective number, out of
                ``n * flowspec.posterior.weights.OVERSAMPLE``.

        Raises:
            ValueError: If there is a population and the model has no redshift.
        """
        edges = None if self.model.redshift is None else self.model.redshift.all_edges()
        if population is not None and edges is None:
            raise ValueError(f"expected a model with a redshift; got parameters {self.names}")
        draws, features, shares, sizes = [], [], [], []
        for chunk in self._chunks(obs, progress):
            share = _shares(chunk)
            if population is None:
                drawn = self._draw(chunk, n, seed, first)
            else:
                drawn = self._draw(chunk, n * OVERSAMPLE, seed, first)
                prior = self.model.prior
                drawn, share, ess = to_population(drawn, prior, population, n, edges, seed)
                sizes.append(ess)
            draws.append(drawn)
            features.append(self._best_condition(chunk))
            shares.append(share)
        samples = np.concatenate(draws, axis=1)
        p_value, found = self.screen.p_value(np.concatenate(features)), None
        if edges is not None:
            found = peaks(edges, np.concatenate(shares) / np.diff(edges))
        table = summary_table(
            self.model.prior, samples, obs, self.wave, p_value, found, self.recalibration
        )
        if sizes:
            table["ess"] = np.concatenate(sizes)
        return (table, samples) if with_samples else table

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write a model file (safetensors: a JSON header and arrays), atomically.

        Args:
            path: The file; an existing one is replaced.
            half: Store the parameters in half precision, at half the size.
        """
        config = {
            "prior": self.model.prior.config(),
            "architecture": asdict(self.architecture),
            "provenance": self.provenance,
        }
        kind = np.float16 if half else np.float32
        arrays = {n: np.asarray(a, kind) for n, a in named_leaves(self.model).items()}
        others = {"wave": self.wave, "recalibration": self.recalibration.coefficients}
        write_model(path, config, arrays | self.screen.arrays() | others)

    @classmethod
    def restored(cls, config: dict, arrays: dict[str, np.ndarray]) -> "Posterior":
        """From what `save` wrote, of this or an earlier version."""
        # earlier ones have no learned channels and no map of probabilities
        architecture = Architecture(**{"learned": 0} | config["architecture"])
        stored = arrays.get("recalibration", Recalibration.identity().coefficients)
        prior, wave = read_prior(config["prior"]), arrays["wave"]
        model = build(jr.key(0), prior, wave, architecture, initialise=False)
        model, screen = with_leaves(model, arrays), Screen.restored(arrays)
        rest = Recalibration(stored), architecture, config["provenance"]
        return cls(model, wave, screen, *rest)

    def _chunks(self, obs: Spectra, progress: bool = False) -> Iterator[Chunk]:
        """Embed in chunks of a fixed number of rows, so that one compiled program serves all."""
        if len(obs) == 0:
            raise ValueError("expected at least one spectrum; got none")
        obs = on_grid(obs, self.wave)
        size = _padded(min(_ROWS, len(obs)))
        starts = range(0, len(obs), size)
        for start in tqdm(starts, disable=not progress, unit="chunk"):
            rows = np.arange(start, min(start + size, len(obs)))
            pad = ((0, size - len(rows)), (0, 0))
            flux, ivar = (np.pad(a[rows], pad) for a in (obs.flux, obs.ivar))
            embedding = _embed(self.model, flux, ivar)
            yield Chunk(rows, *embedding)

    def _draw(
        self, chunk: Chunk, n: int, seed: int, first: int
    ) -> Float[np.ndarray, "n rows params"]:
        numbers = first + chunk.rows[0] + np.arange(len(chunk.logits))
        keys = jax.vmap(jr.fold_in, (None, 0))(jr.key(seed), numbers)
        bins, base = _draw_bins(keys, chunk.logits, n, len(self.names))
        bins = np.asarray(bins) * (np.arange(len(keys)) < len(chunk.rows))  # padding: one bin
        base = base.reshape(-1, base.shape[-1])
        theta = _push(self.model, bins.ravel(), base, self._conditions(chunk, bins))
        return np.asarray(theta).reshape(n, len(keys), -1)[:, : len(chunk.rows)]

    def _best_condition(self, chunk: Chunk) -> Float[np.ndarray, "rows condition"]:
        bins = np.asarray(chunk.logits.argmax(-1))[None, : len(chunk.rows)]
        return np.asarray(self._conditions(chunk, bins))

    def _conditions(
        self, chunk: Chunk, bins: Int[np.ndarray, "n rows"]
    ) -> Float[Array, "draws condition"]:
        """The flow's condition for each draw, computed once per distinct (spectrum, bin)."""
        count = chunk.logits.shape[-1]
        pairs = (np.arange(bins.shape[1]) * count + bins).ravel()
        distinct, inverse = np.unique(pairs, return_inverse=True)
        rows, own = distinct // count, distinct % count
        calls = math.ceil(len(distinct) / _PAIRS)
        size = _padded(math.ceil(len(distinct) / calls))
        rows, own = (np.pad(a, (0, -len(distinct) % size)) for a in (rows, own))
        features, condition = chunk.channels, _condition
        if len(distinct) > _DENSE * len(chunk.rows):
            features, condition = _project_everywhere(self.model, chunk.channels), _condition_from
        parts = [
            condition(self.model, features, chunk.summary, rows[i : i + size], own[i : i + size])
            for i in range(0, len(rows), size)
        ]
        return jnp.concatenate(parts)[inverse]


def _shares(chunk: Chunk) -> Float[np.ndarray, "rows bins"]:
    """Probability of each redshift bin."""
    return np.asarray(jax.nn.softmax(chunk.logits))[: len(chunk.rows)]


def _padded(count: int) -> int:
    """The next multiple of an eighth of a power of two: few shapes to compile, little waste."""
    step = max(1, (1 << (count - 1).bit_length()) // 8)
    return -(-count // step) * step


def on_grid(obs: Spectra, wave: Float[np.ndarray, " pixels"]) -> Spectra:
    """Spectra on the model's grid, without pixels of impossible precision.

    An inverse variance over 30 times the median of a spectrum is an accident of its reduction,
    and would outweigh all other pixels.

    Raises:
        ValueError: If less than half of the grid is covered.
    """
    good = np.where(obs.ivar > 0, obs.ivar, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without any data
        accident = good > 30 * np.nanmedian(good, axis=1, keepdims=True)
    if accident.any():
        ivar = np.where(accident, 0, obs.ivar)
        obs = Spectra(obs.wave, obs.flux, ivar, names=obs.names, notes=obs.notes)
    if obs.wave.shape == wave.shape and np.allclose(obs.wave, wave, rtol=1e-7):
        return obs
    low, high = max(obs.wave[0], wave[0]), min(obs.wave[-1], wave[-1])
    if np.log(max(high / low, 1)) < 0.5 * np.log(wave[-1] / wave[0]):
        raise ValueError(
            f"{obs.names[0]}: expected spectra that cover at least half of the model's "
            f"{wave[0]:.0f}-{wave[-1]:.0f} A; got {obs.wave[0]:.0f}-{obs.wave[-1]:.0f} A"
        )
    log.info("resampling %d spectra from %d to %d pixels", len(obs), len(obs.wave), len(wave))
    coarser = np.median(np.diff(wave)) > 1.5 * np.median(np.diff(obs.wave))
    return obs.resample(wave, weighted=bool(coarser))


@eqx.filter_jit
def _embed(model, flux, ivar):
    return model.embed(flux, ivar)


@eqx.filter_jit
def _condition(model, channels, summary, rows, bins):
    return model.condition(channels[rows], summary[rows], bins)


@eqx.filter_jit
def _project_everywhere(model, channels):
    return model.project_everywhere(channels)


@eqx.filter_jit
def _condition_from(model, projections, summary, rows, bins):
    return model.condition_of(projections[rows, :, :, bins], summary[rows], bins)


@eqx.filter_jit
def _push(model, bins, base, condition):
    return model.decode(bins, model.flow.push(base, condition))


@eqx.filter_jit
def _log_prob_at(model, free, condition):
    return model.flow.log_prob(free, condition)


@eqx.filter_jit
def _draw_bins(keys, logits, n: int, params: int):
    def one(key, row):
        bin_key, base_key = jr.split(key)
        # By the inverse of the cumulative distribution: one random number per draw, where
        # `categorical` needs one per draw and bin.
        cumulative = jnp.cumsum(jax.nn.softmax(row))
        level = jr.uniform(bin_key, (n,)) * cumulative[-1]
        bins = jnp.searchsorted(cumulative, level, side="right")
        return jnp.minimum(bins, len(row) - 1), jr.normal(base_key, (n, params))

    return jax.vmap(one, out_axes=1)(keys, logits)
