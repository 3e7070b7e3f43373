"""The one PyTree: a network and a flow that together are a normalised posterior density."""

import math
from dataclasses import asdict, dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from flowspec.model.flow import Flow
from flowspec.model.space import BinnedRedshift
from flowspec.networks.aligned import Embedding, RedshiftNetwork
from flowspec.prior.prior import Prior


class Model(eqx.Module):
    """Posterior density ``p(theta | flux, ivar)`` in two exact factors.

    ``P(bin | x) p(delta, theta' | bin, x)``: a softmax over redshift bins, and a flow over the
    position in the bin and all other parameters, conditioned on features aligned at that bin.
    Without a redshift among the parameters there is one bin and the flow is all.

    Attributes:
        variables: Parameters of `network`.
        flow: Conditional density over the unconstrained parameters.
        network: Flax module (static).
        redshift: The bins, or None.
        prior: The prior that the model was trained on.
    """

    variables: dict
    flow: Flow
    network: RedshiftNetwork = eqx.field(static=True)
    redshift: BinnedRedshift | None = eqx.field(static=True)
    prior: Prior = eqx.field(static=True)

    @property
    def settings(self) -> tuple:
        """What two models must share for one to resume the training of the other."""
        return self.network, self.redshift, self.prior.config()

    def embed(
        self, flux: Float[Array, "batch pixels"], ivar: Float[Array, "batch pixels"]
    ) -> Embedding:
        """Features of a batch of spectra on the model's grid."""
        return self.network.apply(self.variables, flux, ivar, method="embed")

    def condition(
        self,
        channels: Float[Array, "batch channels pixels"],
        summary: Float[Array, "batch summary"],
        bins: Int[Array, " batch"],
    ) -> Float[Array, "batch condition"]:
        """Condition of the flow at one redshift bin for each (row of an) embedding."""
        lines = self.network.apply(self.variables, channels, bins, method="project")
        return self.condition_of(lines, summary, bins)

    def project_everywhere(
        self, channels: Float[Array, "batch channels pixels"]
    ) -> Float[Array, "batch channels aligned bins"]:
        """Projections on the rest-frame templates at all redshift bins."""
        return self.network.apply(self.variables, channels, method="project_everywhere")

    def condition_of(
        self,
        lines: Float[Array, "batch channels aligned"],
        summary: Float[Array, "batch summary"],
        bins: Int[Array, " batch"],
    ) -> Float[Array, "batch condition"]:
        """Condition of the flow from projections at one redshift bin for each spectrum."""
        return self.network.apply(self.variables, lines, summary, bins, method="condition_of")

    def features(
        self, flux: Float[Array, "batch pixels"], ivar: Float[Array, "batch pixels"]
    ) -> Float[Array, "batch features"]:
        """What simulations and observations should have alike: of the flow its condition at the
        most probable bin, of the bins their largest log probability and their entropy."""
        return self._features(self.embed(flux, ivar))

    def _features(self, embedding: Embedding) -> Float[Array, "batch features"]:
        bins = embedding.logits.argmax(-1)
        condition = self.condition(embedding.channels, embedding.summary, bins)
        log_share = jax.nn.log_softmax(embedding.logits)
        entropy = -(jnp.exp(log_share) * log_share).sum(-1)
        of_bins = jnp.stack([log_share.max(-1), entropy], axis=-1)
        return jnp.concatenate([condition, of_bins], axis=-1)

    def log_prob_and_features(
        self,
        theta: Float[Array, "batch params"],
        flux: Float[Array, "batch pixels"],
        ivar: Float[Array, "batch pixels"],
    ) -> tuple[tuple[Float[Array, " batch"], Float[Array, " batch"]], Array]:
        """`log_prob` and `features`, embedded once."""
        embedding = self.embed(flux, ivar)
        return self._log_prob(theta, embedding), self._features(embedding)

    def log_prior(self, theta: Float[Array, "*batch params"]) -> Float[Array, "*batch"]:
        """Log density before the data."""
        return self.prior.log_prob(theta)

    def encode(
        self, theta: Float[Array, "*batch params"]
    ) -> tuple[Int[Array, "*batch"], Float[Array, "*batch params"], Float[Array, "*batch"]]:
        """Parameters to redshift bin, unconstrained reals, and the log Jacobian of the latter."""
        free, log_det = self.prior.to_unconstrained(theta)
        if self.redshift is None:
            return jnp.zeros(theta.shape[:-1], int), free, log_det.sum(-1)
        i = self.prior.names.index("z")
        bins, inside, slope = self.redshift.split(theta[..., i])
        return bins, free.at[..., i].set(inside), log_det.at[..., i].set(slope).sum(-1)

    def decode(self, bins: Int[Array, "*batch"], free: Float[Array, "*batch params"]) -> Array:
        """Inverse of `encode`: parameters [*batch, params], always inside the prior."""
        theta = self.prior.to_constrained(free)
        if self.redshift is None:
            return theta
        i = self.prior.names.index("z")
        return theta.at[..., i].set(self.redshift.join(bins, free[..., i]))

    def log_prob(
        self,
        theta: Float[Array, "batch params"],
        flux: Float[Array, "batch pixels"],
        ivar: Float[Array, "batch pixels"],
    ) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
        """Log of the two factors at one theta per spectrum; their sum is ``log p(theta | x)``."""
        return self._log_prob(theta, self.embed(flux, ivar))

    def _log_prob(self, theta: Float[Array, "batch params"], embedding: Embedding):
        bins, free, log_det = self.encode(theta)
        discrete = BinnedRedshift.distribution(embedding.logits).log_prob(bins)
        condition = self.condition(embedding.channels, embedding.summary, bins)
        inside = self.flow.log_prob(free, condition)
        return discrete, inside + log_det


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network and the flow.

    Attributes:
        bin_pixels: Pixels per redshift bin: the correlation runs on a grid this much coarser.
        templates: Templates correlated at every trial redshift.
        aligned: Templates per channel projected at the chosen redshift.
        window: Width of the running mean taken as the continuum, in pixels.
        summary: Observed-frame features.
        condition: Features handed to the flow.
        learned: Channels learned on top of the fixed ones.
        layers: Coupling layers of the flow.
        width: Hidden width of their conditioners.
        knots: Spline knots.
    """

    bin_pixels: int = 2
    templates: int = 8
    aligned: int = 24
    window: int = 101
    summary: int = 32
    condition: int = 64
    learned: int = 4
    layers: int = 5
    width: int = 64
    knots: int = 8


def build(
    key: PRNGKeyArray,
    prior: Prior,
    wave: Float[np.ndarray, " pixels"],
    sizes: Architecture,
    *,
    initialise: bool = True,
) -> Model:
    """An untrained model.

    Args:
        key: Random key.
        prior: Its parameters; one named ``z`` is the redshift.
        wave: Grid in angstrom, uniform in ln(wavelength) where there is a redshift.
        sizes: Sizes of the parts.
        initialise: Whether to draw the network's variables, or have only their shapes, for
            parameters that come from a file.

    Raises:
        ValueError: If the grid is not logarithmic, or the redshift not bounded, where it must be.
    """
    redshift = _redshift_bins(prior, wave, sizes.bin_pixels) if "z" in prior.names else None
    options = asdict(sizes)
    flow_options = {name: options.pop(name) for name in ("layers", "width", "knots")}
    network = RedshiftNetwork(
        pixels=len(wave), bins=redshift.bins if redshift else 1, **options
    )
    network_key, flow_key = jax.random.split(key)
    blank = jnp.zeros((1, len(wave)))
    init = jax.jit(network.init) if initialise else partial(jax.eval_shape, network.init)
    variables = init(network_key, blank, blank + 1, jnp.zeros(1, int))
    flow = Flow(flow_key, dim=len(prior.names), cond_dim=sizes.condition, **flow_options)
    return Model(variables, flow, network, redshift, prior)


def _redshift_bins(prior: Prior, wave: np.ndarray, bin_pixels: int) -> BinnedRedshift:
    step = np.diff(np.log(wave))
    if not np.allclose(step, step[0], rtol=1e-3):
        raise ValueError(
            "expected wavelengths uniform in ln(wavelength), on which redshift is a shift; got "
            f"steps from {step.min():.3g} to {step.max():.3g}. Resample with Spectra.resample"
        )
    support = prior.distributions["z"].support
    low = float(getattr(support, "lower_bound", -math.inf))
    high = float(getattr(support, "upper_bound", math.inf))
    if not (-1 < low < high < math.inf):
        raise ValueError(f"expected a bounded prior on z; got limits {low} and {high}")
    return BinnedRedshift(low, high, float(step.mean() * bin_pixels))
