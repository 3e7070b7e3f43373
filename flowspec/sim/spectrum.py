"""What simulators of spectra share: from light on a lattice to noisy pixels of an instrument."""

from abc import abstractmethod
from dataclasses import fields

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray, ScalarLike

from flowspec.data.frame import Pixels
from flowspec.data.spectra import Spectra
from flowspec.prior.prior import Prior
from flowspec.sim.conditioned import band
from flowspec.sim.curves import CALIBRATION, KNOTS, MISMATCH, SMOOTH, polynomial_basis, smooth_basis
from flowspec.sim.explicit import ITERATIONS, Fitted, fitted
from flowspec.sim.instrument.blur import told_widths
from flowspec.sim.instrument.detector import Detector
from flowspec.sim.instrument.instrument import Instrument, PixelOperator
from flowspec.sim.instrument.lattice import Lattice
from flowspec.sim.instrument.noise import EXACT, MixedNoise, Noise, add_noise, airglow
from flowspec.sim.latent import Layout, Learned
from flowspec.sim.lesson import Lesson
from flowspec.sim.marginal import Marginal
from flowspec.sim.residual import Residual
from flowspec.sim.simulator import ONE, Simulated, Simulator
from flowspec.sim.template import Templates


class SpectrumSimulator(Simulator):
    """Simulated spectra of one instrument; what shines is the matter of each kind (`flux`).

    Args:
        instrument: Whose pixels, line-spread function and noise.
        prior: Named parameters.
        limits: Lowest and highest redshift.
        noise: Observed `Spectra` to take the noise from, or None for the instrument's own.
        nuisances: Names among `known` to draw.
        known: Names of the nuisances that there are for spectra of this kind.

    Raises:
        ValueError: On an unknown nuisance.
    """

    prior: Prior = eqx.field(static=True)
    nuisances: tuple[str, ...] = eqx.field(static=True)
    lattice: Lattice
    ln_frame: float = eqx.field(static=True)
    frame: Pixels = eqx.field(static=True)
    pixels: PixelOperator
    noise: eqx.Module
    absolute_sky: bool = eqx.field(static=True)
    detector: Detector | None
    sight: dict[str, Array]
    lsf: float = eqx.field(static=True)
    widest: float = eqx.field(static=True)
    layout: Layout = eqx.field(static=True)
    templates: Templates
    learned: Learned
    residual: Residual | None

    def __init__(
        self,
        instrument: Instrument,
        prior: Prior,
        limits: tuple[float, float],
        noise: Spectra | None,
        nuisances: tuple[str, ...],
        known: tuple[str, ...],
    ):
        if set(nuisances) - set(known):
            raise ValueError(f"expected nuisances among {known}; got {tuple(nuisances)}")
        self.prior, self.nuisances = prior, tuple(nuisances)
        self.frame = Pixels(instrument.wave, lsf=instrument.told_widths)
        widest = instrument.lsf * np.exp(instrument.ln_widths[-1])
        self.lattice = Lattice.seen(instrument.wave, widest, instrument.step, *limits)
        self.pixels = PixelOperator(instrument, self.lattice)
        self.lsf, self.widest = float(np.median(instrument.lsf)), instrument.widest
        self.templates, self.residual = Templates.none(len(instrument.wave)), None
        # the lattice's rest frame is that of the lowest redshift, which keeps it short
        self.ln_frame = float(np.log1p(limits[0]))
        self.absolute_sky = instrument.residual is not None
        # of what stands for many instruments, as wide as those in the middle have it
        typical = instrument.lsf * np.sqrt(instrument.widest)
        sky = instrument.residual if self.absolute_sky else airglow(self.wave, typical)
        sight = {
            "wave": self.window,
            "ln_wave": np.log(self.window),
            "ln_pixels": np.log(instrument.wave),
            "sky": sky * ("sky" in nuisances),
            "calibration": polynomial_basis(instrument.wave),
            "mismatch": smooth_basis(instrument.wave, KNOTS),
        }
        self.sight = {k: jnp.asarray(v, jnp.float32) for k, v in sight.items()}
        native = instrument.detector
        self.detector = (
            None if native is None else Detector(native, self.wave, instrument.correlation)
        )
        self.noise = instrument.exposure or Noise.preset(instrument.noise, instrument.snr)
        if noise is not None:
            self.noise = self._noise_of(noise)

    @property
    def priors(self) -> tuple[Prior, ...]:
        """The prior alone."""
        return (self.prior,)

    @property
    def sources(self) -> tuple[str, ...]:
        """One: that of its class."""
        return ONE

    @property
    def wave(self) -> np.ndarray:
        """The pixels of the instrument, in angstrom [pixels]."""
        return self.frame.wave

    @property
    def takes_noise(self) -> bool:
        """Yes."""
        return True

    @property
    def teachable(self) -> bool:
        """If there are nuisances."""
        return self.layout.size > 0

    @property
    def lesson(self) -> Lesson | None:
        """What it was taught, if anything."""
        if self.residual is None:
            return None
        return Lesson(self.learned, self.templates, self.residual, self.layout)

    @property
    def window(self) -> np.ndarray:
        """Wavelengths of the lattice that the instrument sees, in angstrom [window]."""
        return self.lattice.wave[self.pixels.first : self.pixels.last]

    def with_noise(self, obs: Spectra, *, exact: bool = False) -> "SpectrumSimulator":
        """The same simulator with its noise drawn from observed spectra.

        Args:
            obs: The spectra.
            exact: At their signal-to-noise ratios alone, instead of a wider range and a share of
                the instrument's own noise (`MixedNoise`).
        """
        noise = Noise.from_observed(obs, self.wave, EXACT) if exact else self._noise_of(obs)
        return eqx.tree_at(lambda s: s.noise, self, noise, is_leaf=lambda x: x is self.noise)

    def _noise_of(self, obs):
        typical = self.noise.typical if isinstance(self.noise, MixedNoise) else self.noise
        return MixedNoise(Noise.from_observed(obs, self.wave), typical)

    def with_templates(self, templates: Templates) -> "SpectrumSimulator":
        """The same simulator with templates as its last nuisances, in place of none."""
        new = object.__new__(type(self))
        new.__dict__.update((field.name, getattr(self, field.name)) for field in fields(self))
        layout = Layout.of(dict(zip(*self.layout, strict=True)) | templates.counts)
        longer = self.learned.longer(layout.size - self.layout.size)
        new.__dict__.update(templates=templates, layout=layout, learned=longer)
        return new

    def _lay_out(self) -> None:
        self.layout = self.own_layout()
        self.learned = Learned.nothing(self.layout, len(self.prior.names))

    @abstractmethod
    def own_layout(self) -> Layout:
        """Numbers of latents of each nuisance."""

    @property
    def smooth(self) -> Bool[np.ndarray, " latents"]:
        """Which latents are a smooth factor on the flux and nothing else."""
        names = np.repeat(self.layout.names, self.layout.counts)
        return np.isin(names, SMOOTH)

    @property
    def known(self) -> Bool[np.ndarray, " latents"]:
        """Latents whose distribution observations of this kind cannot teach: level and slope.

        A spectrum does not tell them from a parameter.
        """
        mask = np.zeros(self.layout.size, bool)
        if "calibration" in self.layout.names:
            first = self.layout.place("calibration").start
            mask[first : first + 2] = True
        return mask

    def curve_rows(self, theta: Float[Array, " params"]) -> dict[str, Array]:
        """Changes of ln(flux) with the latents that are `smooth`, by name [latents, pixels]."""
        z = theta[self.prior.names.index("z")] if "z" in self.prior.names else 0.0
        return {
            "calibration": jnp.array(CALIBRATION)[:, None] * self.sight["calibration"],
            "mismatch": MISMATCH * self.sight["mismatch"],
            "rest": self.templates.at(self.sight["ln_pixels"], z),
            "observed": self.templates.observed,
        }

    def curves(self, theta: Float[Array, " params"]) -> Float[Array, "latents pixels"]:
        """Change of ln(flux) with each latent, 0 with those that are not `smooth`."""
        rows, pixels = self.curve_rows(theta), len(self.wave)
        counts = zip(*self.layout, strict=True)
        return jnp.concatenate([jnp.zeros((0, pixels)),
                                *(rows.get(name, jnp.zeros((n, pixels))) for name, n in counts)])

    def curve(
        self, part: dict[str, Array], theta: Float[Array, " params"]
    ) -> Float[Array, " pixels"]:
        """Smooth factor on the flux for latents by name (`Layout.parts`)."""
        rows, zero = self.curve_rows(theta), jnp.zeros(len(self.wave))
        return jnp.exp(sum((part[name] @ rows[name] for name in rows if name in part), zero))

    @abstractmethod
    def spectrum_of(
        self, theta: Float[Array, " params"], latent: Float[Array, " latents"]
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum in 1e-17 erg/s/cm2/A for parameters and latents of the nuisances."""

    def flux(self, key: PRNGKeyArray, theta: Float[Array, " params"]) -> Float[Array, " pixels"]:
        """Noiseless spectrum in 1e-17 erg/s/cm2/A, nuisances drawn from `key`."""
        return self.spectrum_of(theta, self.draw_latent(key, theta))

    def draw_latent(
        self, key: PRNGKeyArray, theta: Float[Array, " params"]
    ) -> Float[Array, " latents"]:
        """Latents of the nuisances of a galaxy with given parameters."""
        return self.learned.draw(key, self.prior.to_unconstrained(theta)[0])

    def fit(
        self, obs: Spectra, start: Float[ArrayLike, "*starts batch params"],
        iterations: int = ITERATIONS,
    ) -> Fitted:  # fmt: skip
        """Parameters and nuisances of maximum a posteriori of each spectrum (`explicit.fitted`).

        Args:
            obs: Spectra, which are resampled to the simulator's pixels.
            start: Parameters to start from, such as a few posterior draws; of several the best is
                taken.
            iterations: Of Levenberg and Marquardt.

        Raises:
            ValueError: If the start is of another shape.
        """
        start = np.asarray(start, np.float32)
        start = start[None] if start.ndim == 2 else start
        if start.ndim != 3 or start.shape[1:] != (len(obs), len(self.prior.names)):
            raise ValueError(f"expected parameters [starts, {len(obs)}, {len(self.prior.names)}] "
                             f"to start from; got {start.shape}")
        return fitted(self, obs, start, iterations)

    def band(self, fit: Fitted) -> Float[np.ndarray, "batch pixels"]:
        """Standard deviation of the noiseless spectra given the data (`conditioned.band`)."""
        return band(self, fit)

    def parts(
        self, theta: Float[ArrayLike, " params"], latent: Float[ArrayLike, " latents"]
    ) -> dict[str, Array]:
        """What `spectrum_of` is made of, by name: contributions [pixels] that sum to it."""
        return {"light": self.spectrum_of(jnp.asarray(theta), jnp.asarray(latent))}

    @property
    def log_likelihood(self) -> Marginal:
        """``(theta, source, flux, ivar) -> ln p(flux | theta)``, nuisances and noise integrated
        over (`flowspec.sim.marginal`)."""
        return Marginal(self)

    def simulate(self, key: PRNGKeyArray, n: int) -> Simulated:
        """Draw `n` parameters from the prior and their noisy spectra.

        Returns:
            theta [n, params], flux [n, pixels] in 1e-17 erg/s/cm2/A and its inverse variance; where
            the frame has it, the width of the line-spread function [n, 2].
        """
        prior_key, flux_key, noise_key, pixel_key = jr.split(key, 4)
        theta = self.prior.sample(prior_key, (n,))
        latent = jax.vmap(self.draw_latent)(jr.split(flux_key, n), theta)
        flux = jax.vmap(self.spectrum_of)(theta, latent)
        ivar = jax.vmap(self.noise.draw)(jr.split(noise_key, n), flux)
        noisy = jax.vmap(self.add_noise)(jr.split(pixel_key, n), flux, ivar)
        return Simulated(theta, jnp.zeros(n, int), (noisy, ivar, *told_widths(self, latent)))

    def add_noise(
        self, key: PRNGKeyArray, flux: Float[Array, " pixels"], ivar: Float[Array, " pixels"]
    ) -> Float[Array, " pixels"]:
        """A noiseless spectrum with noise of the given inverse variance, and what it leaves out."""
        if self.residual is not None:
            return self.residual.add(key, flux, ivar)
        sky, knots = self.sight["sky"], self.sight["mismatch"]
        sky = sky * jnp.sqrt(ivar) if self.absolute_sky else sky
        blemished = "blemishes" in self.nuisances
        return add_noise(key, flux, ivar, sky, knots, self.detector, blemished)

    def seen_at(self, pairs: Float[Array, "2 freqs"], z: ScalarLike) -> Float[Array, " window"]:
        """What `pairs`, Fourier coefficients in the lattice's rest frame, are at a redshift, where
        the instrument sees it; per unit ln(wavelength)."""
        light = self.lattice.shifted(pairs, jnp.log1p(z) - self.ln_frame)
        return light[self.pixels.first : self.pixels.last]
