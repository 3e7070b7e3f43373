"""`LinePosterior`: what a trained model says about any number of rows of a line catalogue."""

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

from flowspec.data.lines import Lines, State, blocks
from flowspec.model.line_model import LineArchitecture, LineModel
from flowspec.posterior.files import named_leaves, with_leaves, write_model
from flowspec.posterior.screening import Flag, Screen
from flowspec.posterior.table import add_percentiles, at_edge
from flowspec.posterior.weights import normalised, resample
from flowspec.prior.mixture import read_prior

_ROWS = 1024  # embedded at once
_AT_ONCE = 16384  # draws pushed at once
_WEIGHED = 1 << 17  # draws whose likelihood is worked out at once
KIND = "lines"  # in the header of a model file


class Refined(NamedTuple):
    """Posterior draws corrected by an explicit likelihood.

    Attributes:
        samples: Draws of the exact posterior [n, batch, params].
        source: Number of the source of each [n, batch].
        ess: Effective number of independent draws per object [batch].
        log_evidence: ``ln p(data)`` of each object [batch].
    """

    samples: Float[np.ndarray, "n batch params"]
    source: Int[np.ndarray, "n batch"]
    ess: Float[np.ndarray, " batch"]
    log_evidence: Float[np.ndarray, " batch"]


class LinePosterior(eqx.Module):
    """A trained model of line catalogues, from `flowspec.load` or `flowspec.fit_lines`.

    Attributes:
        model: Network and flow.
        screen: Distances of simulations in summary space, for ``p_value``.
        architecture: Sizes that the model was built with.
        provenance: JSON-ready account of how the model came to be.
    """

    model: LineModel
    screen: Screen
    architecture: LineArchitecture = eqx.field(static=True)
    provenance: dict = eqx.field(static=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, the last axis of every sample."""
        return self.model.priors[0].names

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources that may ionise."""
        return self.model.sources

    @property
    def classes(self) -> tuple[str, ...]:
        """Kinds of sources: what their names begin with, up to a hyphen."""
        return tuple(dict.fromkeys(class_of(source) for source in self.sources))

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines that the model knows."""
        return self.model.lines

    def sample(
        self, obs: Lines, n: int = 1000, *, seed: int = 0, first: int = 0,
        source: str | None = None, dereddened: bool = False,
    ) -> Float[np.ndarray, "n batch params"]:  # fmt: skip
        """Draw from the posterior of the parameters, over all sources or given one.

        Draws depend on the seed and on a row's number only, not on how the input is cut up.

        Args:
            obs: Rows of a catalogue.
            n: Draws per row.
            seed: Random seed.
            first: Number of the first row, where `obs` is a part of something larger.
            source: Name of the source, or of the class of sources, to condition on.
            dereddened: Whether the fluxes are corrected for dust; ``av`` then is that of the prior.

        Raises:
            ValueError: If there is no such source, or no line that the model knows.
        """
        return self.sample_sources(
            obs, n, seed=seed, first=first, source=source, dereddened=dereddened
        )[0]

    def sample_sources(
        self, obs: Lines, n: int = 1000, *, seed: int = 0, first: int = 0,
        source: str | None = None, dereddened: bool = False,
    ) -> tuple[Float[np.ndarray, "n batch params"], Int[np.ndarray, "n batch"]]:  # fmt: skip
        """As `sample`, with the number of each draw's source [n, batch]."""
        allowed = self._allowed(source)
        parts = []
        for rows, data in self._chunks(obs, dereddened):
            keys = jax.vmap(jr.fold_in, (None, 0))(jr.key(seed), first + rows)
            drawn = _draw(self.model, keys, *_embed(self.model, *data), allowed, n)
            parts.append(drawn)
        # not before all are on their way: the host prepares the next while the device draws
        return tuple(np.concatenate(p, axis=1)[:, : len(obs)] for p in zip(*parts, strict=True))

    def source_probabilities(
        self, obs: Lines, *, dereddened: bool = False
    ) -> Float[np.ndarray, "batch sources"]:
        """Probability of every source of each row."""
        return np.exp(self._of_rows(obs, dereddened)[1])

    def log_prob(
        self,
        theta: Float[np.ndarray, "*n batch params"],
        obs: Lines,
        source: Int[np.ndarray, "*n batch"] | None = None,
        *,
        dereddened: bool = False,
    ) -> Float[np.ndarray, "*n batch"]:
        """Normalised log posterior density, ``-inf`` outside the prior.

        Args:
            theta: Parameters, ``[batch, params]`` or ``[n, batch, params]``.
            obs: Rows of a catalogue.
            source: Number of the source of each: the density is then the joint one; by default
                the sum over all sources.
            dereddened: Whether the fluxes are corrected for dust.
        """
        stacked = np.asarray(theta, np.float32).reshape(-1, *np.shape(theta)[-2:])
        numbers = range(len(self.sources))
        each = [np.full(stacked.shape[:2], k) for k in numbers]
        if source is not None:
            each = [np.broadcast_to(source, stacked.shape[:2])]
        parts = []
        for rows, data in self._chunks(obs, dereddened):
            embedded = _embed(self.model, *data)
            values = [_density(self.model, stacked[:, rows], k[:, rows], *embedded) for k in each]
            parts.append(np.asarray(jax.nn.logsumexp(jnp.stack(values), axis=0)))
        return np.concatenate(parts, axis=1)[:, : len(obs)].reshape(np.shape(theta)[:-1])

    def summaries(
        self, obs: Lines, *, dereddened: bool = False
    ) -> Float[np.ndarray, "batch features"]:
        """What the flow is given for each row, but for the source."""
        return self._of_rows(obs, dereddened)[0]

    def summarize(
        self, obs: Lines, *, n: int = 500, seed: int = 0, first: int = 0,
        dereddened: bool = False, with_samples: bool = False,
    ) -> QTable | tuple[QTable, Float[np.ndarray, "n batch params"]]:  # fmt: skip
        """A row per object: ``name``; the most probable ``source``, every ``p_<class>`` and
        ``p_<source>`` where there are several; ``<parameter>_p16``, ``_p50``, ``_p84``; ``lines``
        used and limits among them; ``snr`` (median of the measured lines); ``p_value``;
        ``flags``, ``flag_names`` and ``notes``.

        Args:
            obs: Rows of a catalogue.
            n: Posterior draws per row behind the percentiles.
            seed: Random seed.
            first: Number of the first row, where `obs` is a part of something larger.
            dereddened: Whether the fluxes are corrected for dust; there is no ``av`` then.
            with_samples: Whether to return the draws as well.
        """
        known = obs.select(self.lines)
        options = {"seed": seed, "first": first, "dereddened": dereddened}
        samples, source = self.sample_sources(known, n, **options)
        summary, log_share = self._of_rows(known, dereddened)
        table = QTable({"name": list(obs.names)})
        for name, column in self._shares(np.exp(log_share)).items():
            table[name] = column
        shown = [n for n in self.names if not (dereddened and n == "av")]
        for name in shown:
            add_percentiles(table, name, samples[..., self.names.index(name)])
        table["lines"] = (known.state != State.ABSENT).sum(1)
        table["limits"] = (known.state == State.LIMIT).sum(1)
        table["snr"] = known.snr.astype(samples.dtype)
        table["p_value"] = self.screen.p_value(summary)
        flags = np.where(table["lines"] == 0, Flag.NO_DATA, 0)
        flags |= np.where(self._at_edge(samples, source, shown), Flag.AT_PRIOR_EDGE, 0)
        flags |= np.where(table["p_value"] < 1e-3, Flag.OUT_OF_DISTRIBUTION, 0)
        table["flags"] = flags
        table["flag_names"] = Flag.describe_all(flags)
        table["notes"] = list(known.notes)
        return (table, samples) if with_samples else table

    def refine(
        self, obs: Lines, likelihood, n: int = 1000, *, draws: int = 4000, seed: int = 0,
        first: int = 0, dereddened: bool = False,
    ) -> Refined:  # fmt: skip
        """Draws of the exact posterior, by importance weights on those of the flow.

        ``w = L(theta) p(theta) / q(theta | x)`` (Dax et al. 2023, arXiv:2210.05686, equation 2),
        whose mean is the evidence.

        Args:
            obs: Rows of a catalogue.
            likelihood: ``(theta [params], source, flux, err, state, dereddened) -> ln L`` of one
                object, such as `NebulaSimulator.log_likelihood`, traceable by JAX.
            n: Draws wanted per row.
            draws: Draws of the flow that are weighted.
            seed: Random seed.
            first: Number of the first row.
            dereddened: Whether the fluxes are corrected for dust.
        """
        obs = obs.select(self.lines)
        parts = [
            self._refined(
                obs[rows], likelihood, n, draws, seed=seed, first=first + int(rows[0]),
                dereddened=dereddened,
            )
            for rows in blocks(len(obs), max(1, _WEIGHED // draws))
        ]  # fmt: skip
        samples, source, *of_rows = zip(*parts, strict=True)
        of_draws = (np.concatenate(p, axis=1)[:, : len(obs)] for p in (samples, source))
        return Refined(*of_draws, *(np.concatenate(p)[: len(obs)] for p in of_rows))

    def _refined(
        self, obs: Lines, likelihood, n: int, draws: int, *, seed: int, first: int,
        dereddened: bool,
    ) -> Refined:  # fmt: skip
        """`refine` of few rows."""
        samples, source = self.sample_sources(
            obs, draws, seed=seed, first=first, dereddened=dereddened
        )
        proposal = self.log_prob(samples, obs, source, dereddened=dereddened)
        bit = jnp.full(len(obs), float(dereddened))
        target = _targets(self.model, likelihood, samples, source, obs, bit)
        log_weight = np.asarray(target, float) - proposal
        log_weight = np.where(np.isfinite(log_weight), log_weight, -np.inf)
        weight, ess = normalised(log_weight)
        both = np.concatenate([samples, source[..., None]], axis=-1)
        drawn = resample(both, weight, n, seed)
        evidence = np.logaddexp.reduce(log_weight, axis=0) - np.log(draws)
        return Refined(drawn[..., :-1], drawn[..., -1].astype(int), ess, evidence)

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write a model file (safetensors: a JSON header and arrays), atomically.

        Args:
            path: The file; an existing one is replaced.
            half: Store the parameters in half precision, at half the size.
        """
        config = {
            "kind": KIND,
            "priors": [p.config() for p in self.model.priors],
            "sources": self.sources,
            "lines": self.lines,
            "architecture": asdict(self.architecture),
            "provenance": self.provenance,
        }
        kind = np.float16 if half else np.float32
        arrays = {n: np.asarray(a, kind) for n, a in named_leaves(self.model).items()}
        write_model(path, config, arrays | self.screen.arrays())

    @classmethod
    def restored(cls, config: dict, arrays: dict[str, np.ndarray]) -> "LinePosterior":
        """From what `save` wrote."""
        priors = [read_prior(c) for c in config["priors"]]
        sizes = LineArchitecture(**config["architecture"])
        model = LineModel(jr.key(0), priors, config["sources"], config["lines"], sizes)
        model, screen = with_leaves(model, arrays), Screen.restored(arrays)
        return cls(model, screen, sizes, config["provenance"])

    def _chunks(self, obs: Lines, dereddened: bool) -> Iterator[tuple[np.ndarray, tuple]]:
        """Numbers of rows (`blocks`), and their data."""
        data = data_of(obs.select(self.lines), dereddened)
        for rows in blocks(len(obs), _ROWS):
            yield rows, tuple(a[rows] for a in data)

    def _of_rows(self, obs: Lines, dereddened: bool) -> tuple[np.ndarray, np.ndarray]:
        """Summaries [batch, features] and log probabilities of sources [batch, sources]."""
        parts = [_embed(self.model, *data) for _, data in self._chunks(obs, dereddened)]
        return tuple(np.concatenate(p)[: len(obs)] for p in zip(*parts, strict=True))

    def _allowed(self, source: str | None) -> np.ndarray:
        """Which sources are of this name or class [sources]."""
        kinds = {None, *self.sources, *self.classes}
        if source not in kinds:
            raise ValueError(f"expected a source among {self.sources} or a class among "
                             f"{self.classes}; got {source!r}")
        return np.array([source in (None, name, class_of(name)) for name in self.sources])

    def _shares(self, share: Float[np.ndarray, "batch sources"]) -> dict[str, np.ndarray | list]:
        """Columns of the table: the best source, and the probability of each and of each class."""
        if len(self.sources) < 2:
            return {}
        columns = {"source": [self.sources[k] for k in share.argmax(1)]}
        for kind in self.classes:
            columns[f"p_{kind}"] = share[:, [class_of(s) == kind for s in self.sources]].sum(1)
        return columns | {f"p_{s}": p for s, p in zip(self.sources, share.T, strict=True)}

    def _at_edge(self, samples, source, shown) -> np.ndarray:
        """Whether the draws of the commonest source pile up at a limit of one of `shown`."""
        columns = [self.names.index(n) for n in shown]
        common = np.stack([(source == k).sum(0) for k in range(len(self.sources))]).argmax(0)
        edge = np.zeros(samples.shape[1], bool)
        for k, prior in enumerate(self.model.priors):
            rows = common == k
            edge[rows] = at_edge(prior, samples[:, rows], columns)
        return edge


def data_of(obs: Lines, dereddened: bool) -> tuple[np.ndarray, ...]:
    """Rows as `LineModel` takes them: flux, err, state, and whether corrected for dust."""
    return obs.flux, obs.err, obs.state, np.full(len(obs), float(dereddened))


def class_of(source: str) -> str:
    """Kind of a source: ``AGN`` of ``AGN-1.2``."""
    return source.partition("-")[0]


@eqx.filter_jit
def _embed(model, flux, err, state, dereddened):
    summary = model.summary(flux, err, state, dereddened)
    return summary, jax.nn.log_softmax(model.logits(summary))


@eqx.filter_jit
def _draw(model, keys, summary, log_share, allowed, n: int):
    dims = len(model.priors[0].names)
    log_share = jnp.where(allowed, log_share, -jnp.inf)

    def one(key, summary, log_share):
        which, base = jr.split(key)
        source = jr.categorical(which, log_share, shape=(n,))
        kind = jax.nn.one_hot(source, len(model.sources))
        free = model.flow.push_many(jr.normal(base, (n, dims)), summary, kind)
        return model.decode(free, source), source

    # few rows at a time: what is in between then stays in the processor's cache
    drawn = jax.lax.map(lambda row: one(*row), (keys, summary, log_share),
                        batch_size=max(1, _AT_ONCE // n))
    return jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), drawn)


@eqx.filter_jit
def _density(model, theta, source, summary, log_share):
    inside = jnp.isfinite(model.log_prior(theta, source))
    free, log_det = model.encode(theta, source)
    rows = jnp.broadcast_to(summary, (*source.shape, summary.shape[-1]))
    log_flow = model.flow.log_prob(free, model.condition(rows, source))
    log_share = log_share[jnp.arange(source.shape[1]), source]
    return jnp.where(inside, log_share + log_flow + log_det, -jnp.inf)


@eqx.filter_jit
def _targets(model, likelihood, samples, source, obs: Lines, dereddened) -> Array:
    """``ln L + ln prior`` [n, batch]."""
    rows = (jnp.asarray(a) for a in (obs.flux, obs.err, obs.state))
    of_draws = jax.vmap(likelihood, (0, 0, None, None, None, None))
    of_rows = jax.vmap(of_draws, (1, 1, 0, 0, 0, 0), out_axes=1)
    return model.log_prior(samples, source) + of_rows(samples, source, *rows, dereddened)
