"""The galaxies that are really there: a joint distribution of the simulator's parameters.

In the manner of the mock catalogues MAMBO (arXiv:2409.06700) and EGG (Schreiber et al. 2017):
volume x mass function of each type, and everything else from mass, redshift and type through
published relations with scatter. H-alpha follows from the star-formation rate and magnitudes from
the spectrum, in the simulator. A network is trained on a flat `Prior`; the weights
``exp(population.log_prob(theta) - prior.log_prob(theta))``, times any selection, bring the samples
of its posteriors to a survey.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray

from flowspec.prior import relations
from flowspec.prior.chain import CHAIN, CHAINS, LATEST
from flowspec.prior.cosmos import Cosmos
from flowspec.prior.parameters import broad_prior
from flowspec.prior.prior import Prior
from flowspec.prior.spread import of_type

CELLS = (240, 400)  # of the grid in redshift and mass that is drawn from
ROUNDING = 1e-5  # keeps draws inside the prior's limits in single precision
MODELLED = ("z", "log_mstar", *CHAIN)  # parameters that a population says something of
KPC_AT_MPC = 1e-3 * 180 / np.pi * 3600  # arcsec: one kpc at a distance of one Mpc


def moons_prior() -> Prior:
    """Galaxies of a deep near-infrared survey: redshift 0.6 to 3, forming stars or quiescent.

    Flat, so that one network serves any selection: `Population` gives the weights that bring its
    samples to the galaxies of a survey. Faster star formation than 10^-7.9 per year would leave
    more stars of the 100 Myr that it is averaged over than there are.
    """
    return broad_prior().replace(
        z=dist.Uniform(0.6, 3.0),
        log_mstar=dist.Uniform(8.0, 12.0),
        log_sfr=dist.Uniform(-12.5, -7.9),
        log_age=dist.Uniform(-0.8, 0.9),
        av=dist.Uniform(0.0, 3.0),
        oh=dist.Uniform(7.7, 9.0),
        dispersion=dist.LogUniform(30.0, 400.0),
    )


class Galaxies(NamedTuple):
    """Galaxies drawn from a `Population`.

    Attributes:
        theta: Parameters in the order of the population's prior [n, params].
        quiescent: Whether each is of the quiescent type [n].
        radius: Half-light radius along the major axis, arcsec [n].
    """

    theta: Float[Array, "n params"]
    quiescent: Bool[Array, " n"]
    radius: Float[Array, " n"]


class Population(eqx.Module):
    """Galaxies per comoving volume, as a normalised density on the box of a prior.

    Redshift and mass follow the mass functions of the two types; the other parameters are normal
    about the means of `flowspec.prior.chain` (the dispersion in log10; starbursts are apart),
    truncated to the prior's limits. A mean beyond a limit is taken at it. Parameters that are not
    in `MODELLED` are as the prior has them.

    Args:
        prior: Its limits are those of the population; what it holds inside them is of no matter.
        cosmology: An astropy cosmology (default: its `Planck18`).
        version: Of the relations: 1 are those of flowspec 0.1, which half of the prior of its
            `moons` model is made of; the default is the latest.

    Attributes:
        per_deg2: Number of galaxies inside the limits of redshift and mass per square degree.

    Raises:
        ValueError: If the prior has not every parameter of `MODELLED`, or no limits in redshift
            and mass; or if there is no such version.
    """

    prior: Prior = eqx.field(static=True)
    version: int = eqx.field(static=True)
    cosmos: Cosmos
    volume: Float[Array, " nodes"]
    edges: tuple[np.ndarray, np.ndarray]
    cumulative: Float[Array, "strips masses"]
    strips: Float[Array, " strips"]
    per_deg2: float = eqx.field(static=True)
    others: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self, prior: Prior | None = None, *, cosmology=None, version: int = LATEST
    ):
        from astropy.cosmology import Planck18  # slow to load, and most posteriors need none

        if version not in CHAINS:
            raise ValueError(f"expected a population of version {', '.join(map(str, CHAINS))}; got "
                             f"{version!r}")
        self.version = version
        cosmology = cosmology or Planck18
        prior = moons_prior() if prior is None else prior
        self.prior = Prior(prior.distributions, prior.relative)  # limits only: not what is mixed in
        missing = set(MODELLED) - set(self.prior.names)
        if missing:
            raise ValueError(f"expected a prior of {', '.join(MODELLED)}; got none of "
                             f"{', '.join(sorted(missing))}")
        self.others = tuple(n for n in self.prior.names if n not in MODELLED)
        limits = np.array([_support(self.prior, n) for n in ("z", "log_mstar")])
        if not np.isfinite(limits).all():
            raise ValueError(f"expected limits in redshift and mass; got {limits.tolist()}")
        self.cosmos = Cosmos(cosmology, limits[0, 1])
        z = np.expm1(np.asarray(self.cosmos.ln_shift, float))
        volume = cosmology.differential_comoving_volume(z).to_value("Mpc3 / sr")
        self.volume = jnp.asarray(volume / 1e9, jnp.float32)
        limits = limits + [ROUNDING, -ROUNDING]
        self.edges = tuple(np.linspace(*e, n + 1) for e, n in zip(limits, CELLS, strict=True))
        z, mass = np.meshgrid(*(0.5 * (e[1:] + e[:-1]) for e in self.edges), indexing="ij")
        rate = np.exp(np.asarray(jax.vmap(self._ln_rates, -1, -1)(z.ravel(), mass.ravel()), float))
        rate = rate.reshape(-1, CELLS[1])  # strips of redshift: star-forming, then quiescent
        total = rate.sum() * np.prod([e[1] - e[0] for e in self.edges])
        self.per_deg2 = float(total * 1e9 * (np.pi / 180) ** 2)
        self.strips = jnp.asarray(np.log(rate.sum(1) / rate.sum()), jnp.float32)
        cumulative = np.cumsum(rate, 1) / rate.sum(1, keepdims=True)
        self.cumulative = jnp.asarray(np.pad(cumulative, ((0, 0), (1, 0))), jnp.float32)

    @eqx.filter_jit
    def sample(self, key: PRNGKeyArray, n: int) -> Galaxies:
        """Draw `n` galaxies: parameters, type and angular size."""
        return jax.vmap(self.draw)(jr.split(key, n))

    @eqx.filter_jit
    def log_prob(self, theta: Float[ArrayLike, "*shape params"]) -> Float[Array, "*shape"]:
        """Natural log density of `theta`, of either type (``-inf`` outside the limits)."""
        return jax.nn.logsumexp(self._both(theta), axis=-1)

    @eqx.filter_jit
    def quiescent_prob(self, theta: Float[ArrayLike, "*shape params"]) -> Float[Array, "*shape"]:
        """Probability of the quiescent type given every parameter."""
        both = self._both(theta)
        return jax.nn.sigmoid(both[..., 1] - both[..., 0])

    def _both(self, theta):
        return jnp.vectorize(self._ln_densities, signature="(p)->(t)")(jnp.asarray(theta))

    def _ln_rates(self, z, log_mstar):
        """ln of 10^9 galaxies per unit redshift, dex and steradian, of both types [2]."""
        volume = jnp.interp(jnp.log1p(z), self.cosmos.ln_shift, self.volume)
        tables = (relations.STAR_FORMING, relations.QUIESCENT)
        phi = [relations.ln_mass_function(log_mstar, z, table) for table in tables]
        return jnp.log(volume) + jnp.stack(phi)

    def _limits(self, name, p):
        """Lowest and highest value of a parameter (log10 of the dispersion), given the others."""
        low, high = _support(self.prior, name)
        shift = p[self.prior.relative[name]] if name in self.prior.relative else 0.0
        return low + shift + ROUNDING, high + shift - ROUNDING

    def draw(self, key: PRNGKeyArray) -> Galaxies:
        """One galaxy, without the leading axis."""
        names = ("strip", "z", "mass", "size", *CHAIN)
        keys = dict(zip(names, jr.split(key, len(names)), strict=True))
        strip = jr.categorical(keys["strip"], self.strips)
        quiescent, row = jnp.divmod(strip, CELLS[0])
        redshifts, masses = self.edges
        z = jnp.interp(row + jr.uniform(keys["z"]), jnp.arange(CELLS[0] + 1.0), redshifts)
        mass = jnp.interp(jr.uniform(keys["mass"]), self.cumulative[strip], masses)
        p = {"z": z, "log_mstar": mass, "universe": self.cosmos.age(z)}
        for name, relation in CHAINS[self.version].items():
            spread = of_type(quiescent, *relation(p))
            p[name] = spread.sample(keys[name], *self._limits(name, p))
        p["dispersion"] = 10 ** p["dispersion"]
        late, early = (relations.late_type_radius, 0.18), (relations.early_type_radius, 0.14)
        sizes = [f(mass, z) + s * jr.normal(keys["size"]) for f, s in (late, early)]
        kpc = 10 ** jnp.where(quiescent, sizes[1], sizes[0])
        angular = kpc * KPC_AT_MPC * (1 + z) ** 2 / 10 ** self.cosmos.log_distance(z)
        if self.others:
            free = self.prior.sample(jr.fold_in(key, len(names)))
            p |= {n: free[self.prior.names.index(n)] for n in self.others}
        return Galaxies(jnp.stack([p[n] for n in self.prior.names]), quiescent == 1, angular)

    def _ln_densities(self, theta):
        """ln density of star-forming and quiescent galaxies [2] at one theta."""
        p = dict(zip(self.prior.names, theta, strict=True))
        p["universe"] = self.cosmos.age(p["z"])
        area = 1e9 * (np.pi / 180) ** 2 / self.per_deg2
        terms = self._ln_rates(p["z"], p["log_mstar"]) + np.log(area)
        ln_jacobian = -jnp.log(p["dispersion"] * np.log(10))
        p["dispersion"] = jnp.log10(p["dispersion"])
        for name, relation in CHAINS[self.version].items():
            limits = self._limits(name, p)
            terms += jnp.stack([s.log_prob(p[name], *limits) for s in relation(p)])
        inside = jnp.isfinite(self.prior.log_prob(theta))
        if self.others:
            columns = [self.prior.names.index(n) for n in self.others]
            terms += self.prior.log_probs(theta)[jnp.array(columns)].sum()
        return jnp.where(inside, terms + ln_jacobian, -jnp.inf)


def _support(prior: Prior, name: str) -> tuple[float, float]:
    """Limits of a parameter (of log10 of the dispersion), relative ones as differences."""
    low, high = prior.limits(name)
    return (np.log10(max(low, 1e-3)), np.log10(high)) if name == "dispersion" else (low, high)
