"""The galaxy simulator: stars, gas and dust, seen at a redshift through an instrument.

    prior -> stars + emission lines -> dust -> redshift -> absorption -> pixels -> noise

Everything below `draw` is a pure function of ``(key, theta)``, unbatched; `jax.vmap` batches it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.cosmology import Planck18
from jaxtyping import Array, ArrayLike, Bool, Float, ScalarLike

from flowspec.data.spectra import Spectra
from flowspec.prior.cosmos import Cosmos
from flowspec.prior.parameters import galaxy_defaults
from flowspec.prior.prior import Prior
from flowspec.sim.galaxy import (
    dust,
    igm,
    infrared,
    interstellar,
    nebula,
    nucleus,
    recombination,
    stars,
    winds,
)
from flowspec.sim.galaxy.contributions import contributions
from flowspec.sim.galaxy.departures import multiplets
from flowspec.sim.galaxy.nuisance import NUISANCES, Draw, layout_of, nuisances_of
from flowspec.sim.galaxy.response import StellarCurves
from flowspec.sim.galaxy.settings import checked, redshifts
from flowspec.sim.galaxy.weights import linear_weights
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.latent import Layout
from flowspec.sim.spectrum import SpectrumSimulator

_LOG_FLUX = nebula.LOG_LSUN - np.log10(4 * np.pi) - 2 * np.log10(3.0856775814913673e24) + 17


class GalaxySimulator(SpectrumSimulator):
    """Simulated galaxy spectra for one instrument.

    Parameters of `theta`, in the order of ``prior.names``:

    - ``z``: redshift.
    - ``log_mstar``: log10 of the mass in stars and remnants today, M_sun, Chabrier IMF.
    - ``log_sfr``: log10 of the mean star-formation rate of the last 100 Myr, M_sun/yr.
    - ``log_age``: log10 of the median age of the stars older than that, Gyr; the history is
      log-normal in age (0.2 dex) and ends smoothly at the age of the Universe.
    - ``log_zstar``: log10 of stellar metallicity over solar.
    - ``av``: attenuation of the stars at 5500 A, magnitudes (Calzetti); that of the gas is a
      Milky-Way curve with E(B-V) higher by 1 / 0.44.
    - ``log_u``, ``oh``: ionisation parameter and 12 + log10 O/H of the ionised gas.
    - ``dispersion``: velocity dispersion of the stars, km/s.

    Args:
        instrument: "sdss", "vandels", "moons", "muse", "prism" or an `Instrument`.
        prior: Named parameters (`Prior`); by default that of the instrument. A parameter that it
            leaves out is held at its default in `flowspec.prior.parameters`.
        noise: Observed `Spectra` to take the noise from, or None for the instrument's own curve.
        nuisances: Names among `NUISANCES` to draw; the others are neutral.
        cosmology: An astropy cosmology.

    Raises:
        ValueError: On an unknown instrument, parameter or nuisance, or a prior whose redshifts are
            not bounded.
    """

    line_dust: Float[Array, " lines"]
    star_table: Float[Array, "populations freqs2"]
    line_table: Float[Array, "lines freqs2"]
    gas_table: Float[Array, " freqs2"]
    stars: stars.StellarTable
    responses: StellarCurves
    nebula: nebula.NebularTable
    nucleus: nucleus.NuclearTable
    igm: igm.Opacity | None
    absorbers: np.ndarray
    kinds: tuple[int, ...] = eqx.field(static=True)
    groups: tuple[int, ...] = eqx.field(static=True)
    offsets: tuple[float, ...] = eqx.field(static=True)
    scatter: tuple[float, ...] = eqx.field(static=True)
    cosmos: Cosmos

    def __init__(
        self,
        instrument: str | Instrument = "sdss",
        *,
        prior: Prior | None = None,
        noise: Spectra | None = None,
        nuisances: tuple[str, ...] = NUISANCES,
        cosmology=Planck18,
    ):
        instrument, prior = checked(instrument, prior)
        z_low, z_high = redshifts(prior)
        super().__init__(instrument, prior, (z_low, z_high), noise, nuisances, NUISANCES)
        self.cosmos = Cosmos(cosmology, z_high)
        reach = self.lattice.wave[[0, -1]] / (1 + z_low)
        self.stars = stars.load_stars()
        self.responses = StellarCurves(self.stars, len(instrument.wave))
        power = self.stars.wave * self.stars.flux.astype(float)
        power = power.reshape(-1, power.shape[-1])
        at_frame = self.stars.wave * (1 + z_low)
        self.star_table = jnp.asarray(self.lattice.of_spectra(at_frame, power))
        self.nebula, self.nucleus = infrared.line_tables(*reach)
        self.line_dust = jnp.asarray(dust.cardelli(self.nebula.wave), jnp.float32)
        self.groups, self.offsets, self.scatter = multiplets(self.nebula)
        at_frame = self.nebula.wave * (1 + z_low)
        self.line_table = jnp.asarray(self.lattice.of_lines(at_frame))
        self.gas_table = jnp.asarray(recombination.on_lattice(self.lattice, z_low))
        waves = interstellar.LINES[:, 0]
        self.absorbers = interstellar.LINES[(waves > reach[0]) & (waves < reach[1])]
        self.kinds = tuple(self.absorbers[:, 2].astype(int).tolist())
        # red of Lyman alpha at every redshift of the prior there is nothing to absorb
        self.igm = igm.Opacity(self.window, self.lattice.step) if reach[0] < 1300 else None
        self._lay_out()

    @property
    def known(self) -> Bool[np.ndarray, " latents"]:
        """Too: bursts (star formation), ratios of lines and the active nucleus (abundances), errors
        of libraries (mass), line-spread function (dispersion), zero of wavelengths (redshift),
        of ultraviolet spectra the curvature (dust). A spectrum hardly tells these from the
        parameters, so what is learned of them, at given parameters, is how far the fits agree with
        the simulator and not how wrong it is.
        """
        mask, layout = super().known, self.layout
        taken = {"burst", "lines", "nucleus", "light", "library", "lsf", "zero"}
        for name in taken & set(layout.names):
            mask[layout.place(name)] = True
        if self.igm is not None and "calibration" in layout.names:
            mask[layout.place("calibration").start + 2] = True
        return mask

    def own_layout(self) -> Layout:
        """Numbers of latents of each nuisance; those of the far ultraviolet only where in sight."""
        far = ("lya", "igm", "winds")
        light = [n for n in self.nuisances if self.igm is not None or n not in far]
        light = [n for n in light if self.pixels.zero is not None or n != "zero"]
        counts = self.responses.counts, self.templates.counts
        return layout_of(tuple(light), self.groups, len(self.kinds), *counts)

    def curve_rows(self, theta: Float[Array, " params"]) -> dict[str, Array]:
        """Those of all spectra, and of other abundances and libraries of stars."""
        p = self.parameters(theta)
        mass = self.formed_mass(p, 0.0)
        seen = self.sight["ln_pixels"], p["z"], jnp.hypot(p["dispersion"], self.lsf)
        return super().curve_rows(theta) | self.responses.rows(mass, *seen)

    def curve(
        self, part: dict[str, Array], theta: Float[Array, " params"]
    ) -> Float[Array, " pixels"]:
        """Smooth factor on the flux, abundances about those typical of the dispersion."""
        if "element" in part:
            typical = self.responses.typical(self.parameters(theta)["dispersion"])
            part = part | {"element": part["element"] + typical}
        return super().curve(part, theta)

    def formed_mass(self, p: dict[str, ScalarLike], burst: ScalarLike) -> Float[Array, " ages"]:
        """Mass formed per age bin and solar mass that survives (`stars.formed_mass`)."""
        return stars.formed_mass(
            10 ** (p["log_sfr"] - p["log_mstar"]),
            p["log_age"],
            burst,
            self.stars.age_edges,
            self.cosmos.age(p["z"]),
        )

    def spectrum_of(
        self, theta: Float[Array, " params"], latent: Float[Array, " latents"]
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum in 1e-17 erg/s/cm2/A for parameters and latents of the nuisances."""
        return self.spectrum(theta, self.nuisances_of(latent, theta))

    def parts(
        self, theta: Float[ArrayLike, " params"], latent: Float[ArrayLike, " latents"]
    ) -> dict[str, Array]:
        """Stars and gas as they are seen, without the smooth factor, and what that adds or takes.

        All [pixels] in 1e-17 erg/s/cm2/A; they sum to `spectrum_of`. Stars are behind dust and
        absorbing gas; residuals of the sky are noise, not among the parts.
        """
        names = "stars", "gas", "smooth factor"
        parts = contributions(self, jnp.asarray(theta), jnp.asarray(latent))
        return dict(zip(names, parts, strict=True))

    def nuisances_of(
        self, latent: Float[Array, " latents"], theta: Float[Array, " params"]
    ) -> Draw:
        """Nuisances for latents and parameters."""
        return nuisances_of(
            latent, self.layout, groups=self.groups, offsets=self.offsets, scatter=self.scatter,
            kinds=self.kinds, curve=self.curve(self.layout.parts(latent), theta),
            av=self.parameters(theta)["av"], widest=self.widest,
        )  # fmt: skip

    def parameters(self, theta: Float[Array, " params"]) -> dict[str, ScalarLike]:
        """Every physical parameter by name, those not in the prior at their defaults."""
        return galaxy_defaults() | dict(zip(self.prior.names, theta, strict=True))

    def spectrum(self, theta: Float[Array, " params"], draw: Draw) -> Float[Array, " pixels"]:
        """Noiseless spectrum for given parameters and nuisances, 1e-17 erg/s/cm2/A."""
        p = self.parameters(theta)
        wave, ln_shift = self.sight["wave"], jnp.log1p(p["z"])
        rest = wave / (1 + p["z"])
        light = self.emitted(p, draw)
        light = light * dust.transmission(rest, p["av"], draw.slope)
        light = light * jnp.exp(-self._metals(p, draw, self.sight["ln_wave"] - ln_shift))
        if self.igm is not None:
            light = light * jnp.exp(-self._winds(p, draw, self.sight["ln_wave"] - ln_shift))
            tau = 10**draw.igm * self.igm(p["z"]) + self._hydrogen(p, draw, rest)
            light = light * jnp.exp(-tau) + self._lyman_alpha(p, draw)
        light = jax.lax.optimization_barrier(light)
        seen = self.flux_scale(p) * self.pixels(light, draw.lsf, draw.zero)
        return seen / jnp.asarray(self.wave, jnp.float32) * draw.curve

    def flux_scale(self, p: dict[str, ScalarLike]) -> ScalarLike:
        """Observed flux, 1e-17 erg/s/cm2, of each L_sun per M_sun that the galaxy emits."""
        return 10 ** (p["log_mstar"] - 2 * self.cosmos.log_distance(p["z"]) + _LOG_FLUX)

    def emitted(self, p: dict[str, ScalarLike], draw: Draw) -> Float[Array, " window"]:
        """Light of stars and gas on the observed lattice, L_sun per M_sun per ln(wavelength).

        Lines carry their own, stronger attenuation relative to that of the stars, so that one
        inverse transform and one attenuation serve both. The gas's continuum has that of the stars.
        """
        weights = self._populations(p, draw)
        blur = self.pixels.blur(self.lsf, draw.lsf)
        starlight = (weights.reshape(-1) @ self.star_table).reshape(2, -1) * 10**draw.light
        lines = self.line_power(p, draw) @ self.line_table
        lines += 10 ** self._log_halpha(p, draw) * self.gas_table
        gas = (p["dispersion"] * jnp.exp(draw.gas)) ** 2 + blur
        gas = self.lattice.broaden(jnp.sqrt(jnp.maximum(gas, 100.0)))
        gas = lines.reshape(2, -1) * gas

        def seen(resolution):
            excess = jnp.maximum(p["dispersion"] ** 2 - resolution**2 + blur, 0.0)
            smooth = self.lattice.broaden(jnp.sqrt(excess + 1e-6))
            return self.seen_at(starlight * smooth + gas, p["z"])

        coarse = stars.coarseness(self.sight["wave"] / (1 + p["z"]))
        return (1 - coarse) * seen(stars.RESOLUTION) + coarse * seen(stars.COARSEST)

    def _populations(self, p, draw):
        """M_sun formed in each population of the table per M_sun [metallicities, ages]."""
        weights = linear_weights(p["log_zstar"], self.stars.log_z)
        return weights[:, None] * self.formed_mass(p, draw.burst)

    def line_power(self, p: dict[str, ScalarLike], draw: Draw) -> Float[Array, " lines"]:
        """L_sun per M_sun of each line, with its attenuation relative to the stars' there."""
        log_share, log_u, log_pk, log_e_peak = draw.nucleus
        formed = nebula.line_ratios(self.nebula, p["log_u"], p["oh"], draw.pressure)
        other = nucleus.nuclear_ratios(self.nucleus, log_u, log_pk, p["oh"], log_e_peak)
        ratio = nucleus.mixed(formed, other, log_share) + draw.lines
        wave = jnp.asarray(self.nebula.wave, jnp.float32)
        dim = dust.nebular_excess(wave, self.line_dust, p["av"], draw.nebular, draw.slope)
        return 10 ** (self._log_halpha(p, draw) + ratio) * dim

    def _log_halpha(self, p, draw):
        """log10 of H-alpha of star formation and nucleus, L_sun per M_sun."""
        per_mass = p["log_sfr"] - p["log_mstar"] + draw.burst + nucleus.log_gain(draw.nucleus[0])
        return per_mass + nebula.LOG_HALPHA_PER_SFR - nebula.LOG_LSUN

    def _metals(self, p, draw, ln_rest):
        """Optical depth of the metals in the galaxy's own gas on the observed lattice."""
        young = np.isin(self.kinds, interstellar.YOUNG)
        moving = np.isin(self.kinds, interstellar.MOVING)
        rich = interstellar.gas_rich(p["log_sfr"] - p["log_mstar"])
        strength = 10**draw.absorption * jnp.where(young, rich, 1.0)
        velocity, width = draw.outflow
        return interstellar.metal_opacity(
            ln_rest, strength, self.absorbers, velocity * moving, width
        )

    def _winds(self, p, draw, ln_rest):
        """Optical depth of the winds of young stars on the observed lattice."""
        youth = winds.youth(self.stars, self._populations(p, draw))
        return winds.opacity(ln_rest, p["log_zstar"], youth, draw.winds, draw.wind_speed)

    def _hydrogen(self, p, draw, rest):
        """Optical depth of the galaxy's own neutral hydrogen on the observed lattice."""
        own = rest * (1 - draw.outflow[0] / C_KMS)
        rich = interstellar.gas_rich(p["log_sfr"] - p["log_mstar"])
        return rich * interstellar.damped_lyman_alpha(own, draw.column)

    def _lyman_alpha(self, p, draw):
        """Lyman alpha that escapes, redshifted by its scattering [window], per ln(wavelength)."""
        log_escape, velocity, width = draw.lya
        centre = jnp.log(interstellar.LYMAN_ALPHA) + jnp.log1p(p["z"]) + velocity / C_KMS
        x = (self.sight["ln_wave"] - centre) / (width / C_KMS)
        power = 10 ** (self._log_halpha(p, draw) + jnp.log10(8.7) + log_escape)
        return power * jnp.exp(-0.5 * x**2) / (width / C_KMS * jnp.sqrt(2 * jnp.pi))
