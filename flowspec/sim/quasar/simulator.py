"""Spectra of quasars: from redshift, magnitude and continuum to the pixels of an instrument.

    prior -> power law + Balmer continuum + iron + lines -> troughs, dust -> redshift -> forest

Everything below `draw` is a pure function of ``(key, theta)``, unbatched; `jax.vmap` batches it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from astropy.cosmology import Planck18
from jaxtyping import Array, ArrayLike, Float, ScalarLike

from flowspec.data.spectra import Spectra
from flowspec.prior.cosmos import Cosmos
from flowspec.prior.prior import Prior
from flowspec.sim.galaxy import igm
from flowspec.sim.galaxy.settings import redshifts
from flowspec.sim.instrument.instrument import Instrument
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.instrument.shipped import instrument_of
from flowspec.sim.latent import Layout
from flowspec.sim.quasar import continuum, iron, lines, reddening, troughs
from flowspec.sim.quasar.nuisance import NUISANCES, Draw, layout_of, nuisances_of
from flowspec.sim.quasar.prior import DEFAULTS, quasar_prior
from flowspec.sim.spectrum import SpectrumSimulator

REFERENCE = 6250.0  # angstrom, where `mag` is
# Flux per angstrom of magnitude 0 (AB: 48.6) there, 1e-17 erg/s/cm2/A
_ZERO = 10 ** (-0.4 * 48.6) * C_KMS * 1e13 / REFERENCE**2 * 1e17
_LOG_AREA = float(np.log10(4 * np.pi) + 2 * np.log10(3.0856775814913673e24) - 17)
_LUMINOUS = 1450.0  # angstrom, where luminosities of the Baldwin effect are


class Shining(NamedTuple):
    """What a quasar emits, flux per angstrom over that of the power law at 3000 A [window] each.

    Attributes:
        continuum: Power law.
        pseudo: Balmer continuum, high Balmer lines, iron.
        broad: Broad lines.
        narrow: Narrow lines, outside of the troughs.
    """

    continuum: Float[Array, " window"]
    pseudo: Float[Array, " window"]
    broad: Float[Array, " window"]
    narrow: Float[Array, " window"]


class QuasarSimulator(SpectrumSimulator):
    """Simulated quasar spectra for one instrument.

    Parameters of `theta`, in the order of ``prior.names``:

    - ``z``: redshift, of the narrow lines.
    - ``mag``: AB magnitude of the power law at 6250 A observed, behind the quasar's dust and before
      the intergalactic medium.
    - ``slope``: alpha_nu of the power law from Lyman alpha to 5000 A at rest.
    - ``log_fwhm``: log10 of the full width at half maximum of broad lines, km/s.
    - ``ebv``: E(B-V) of dust of the Small Magellanic Cloud's curve at the quasar, magnitudes.

    The mean is the composite of the SDSS (Vanden Berk et al. 2001, AJ 122, 549) without the light
    of host galaxies. Sources of its parts and of their scatter stand in
    `flowspec.sim.quasar`: `continuum`, `iron`, `lines`, `reddening`, `troughs`, `nuisance`. The
    intergalactic medium is `igm.Opacity`, alike along all sightlines but for its amount: no single
    absorbers.

        sim = fs.QuasarSimulator("sdss")
        theta, flux, ivar = sim.draw(jax.random.key(0), 8)

    Args:
        instrument: "sdss", "vandels", "moons", "muse" or an `Instrument`.
        prior: Named parameters (`Prior`), by default `flowspec.sim.quasar.prior.quasar_prior`. A
            parameter that it leaves out is held at its default there.
        noise: Observed `Spectra` to take the noise from, or None for the instrument's own curve.
        nuisances: Names among `flowspec.sim.quasar.nuisance.NUISANCES` to draw; the others are
            neutral.
        cosmology: An astropy cosmology, for the luminosities of the Baldwin effect.

    Raises:
        ValueError: On an unknown instrument, parameter or nuisance, or a prior whose redshifts are
            not bounded or reach 0.
    """

    opacity: igm.Opacity | None
    dust: Float[Array, " nodes"]
    cosmos: Cosmos

    def __init__(
        self,
        instrument: str | Instrument = "sdss",
        prior: Prior | None = None,
        noise: Spectra | None = None,
        nuisances: tuple[str, ...] = NUISANCES,
        *,
        cosmology=Planck18,
    ):
        instrument, prior = instrument_of(instrument), prior or quasar_prior()
        if set(prior.names) - set(DEFAULTS):
            raise ValueError(
                f"expected parameters among {sorted(DEFAULTS)}; got {list(prior.names)}"
            )
        limits = redshifts(prior) if "z" in prior.names else (DEFAULTS["z"],) * 2
        if limits[0] <= 0:
            raise ValueError(f"expected redshifts of quasars above 0; got {limits[0]} at least")
        super().__init__(instrument, prior, limits, noise, nuisances, NUISANCES)
        self.cosmos = Cosmos(cosmology, limits[1])
        self.dust = jnp.asarray(reddening.table(), jnp.float32)
        # red of Lyman alpha at every redshift of the prior there is nothing to absorb
        blue = self.window[0] / (1 + limits[1]) < 1300
        self.opacity = igm.Opacity(self.window, self.lattice.step) if blue else None
        self._lay_out()

    def own_layout(self) -> Layout:
        """Numbers of latents of each nuisance; those of the forest only where it is in sight."""
        seen = [n for n in self.nuisances if self.opacity is not None or n != "igm"]
        return layout_of(tuple(seen), self.templates.counts)

    def parameters(self, theta: Float[Array, " params"]) -> dict[str, ScalarLike]:
        """Every parameter by name, those not in the prior at their defaults."""
        return DEFAULTS | dict(zip(self.prior.names, theta, strict=True))

    def nuisances_of(
        self, latent: Float[Array, " latents"], theta: Float[Array, " params"]
    ) -> Draw:
        """Nuisances for latents and parameters."""
        curve = self.curve(self.layout.parts(latent), theta)
        return nuisances_of(latent, self.layout, curve)

    def spectrum_of(
        self, theta: Float[Array, " params"], latent: Float[Array, " latents"]
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum in 1e-17 erg/s/cm2/A for parameters and latents of the nuisances."""
        return self.spectrum(theta, self.nuisances_of(latent, theta))

    def spectrum(self, theta: Float[Array, " params"], draw: Draw) -> Float[Array, " pixels"]:
        """Noiseless spectrum for given parameters and nuisances, 1e-17 erg/s/cm2/A."""
        return self._seen(theta, draw, lambda light, passed: sum(light[:3]) * passed + light.narrow)

    def parts(
        self, theta: Float[ArrayLike, " params"], latent: Float[ArrayLike, " latents"]
    ) -> dict[str, Array]:
        """Power law, pseudo-continuum and lines as they are seen, behind all that absorbs.

        All [pixels] in 1e-17 erg/s/cm2/A; they sum to `spectrum_of`.
        """
        theta = jnp.asarray(theta)
        draw = self.nuisances_of(jnp.asarray(latent), theta)
        of = {
            "continuum": lambda light, passed: light.continuum * passed,
            "pseudo-continuum": lambda light, passed: light.pseudo * passed,
            "lines": lambda light, passed: light.broad * passed + light.narrow,
        }
        return {name: self._seen(theta, draw, part) for name, part in of.items()}

    def _seen(self, theta, draw, part):
        """What the pixels have of a part of the light, a function of `Shining` and of the share
        that passes the troughs."""
        p = self.parameters(theta)
        ln_rest = self.sight["ln_wave"] - jnp.log1p(p["z"])
        passed = jnp.exp(-troughs.opacity(ln_rest, draw.trough))
        light = part(self.emitted(p, draw), passed) * self.level(p, draw)
        light = light * reddening.transmission(ln_rest, self.dust, p["ebv"])
        if self.opacity is not None:
            light = light * jnp.exp(-(10**draw.igm) * self.opacity(p["z"]))
        light = jax.lax.optimization_barrier(light * self.sight["wave"])
        return self.pixels(light) / jnp.asarray(self.wave, jnp.float32) * draw.curve

    def power_law(
        self, ln_rest: Float[Array, " *n"], p: dict[str, ScalarLike], draw: Draw
    ) -> Float[Array, " *n"]:
        """Flux per angstrom of the power law over that at 3000 A."""
        return continuum.power_law(ln_rest, p["slope"], draw.far, draw.euv, draw.red)

    def level(self, p: dict[str, ScalarLike], draw: Draw) -> ScalarLike:
        """Observed flux of the power law at 3000 A at rest without dust, 1e-17 erg/s/cm2/A."""
        ln_rest = np.log(REFERENCE) - jnp.log1p(p["z"])
        there = self.power_law(ln_rest, p, draw)
        there *= reddening.transmission(ln_rest, self.dust, p["ebv"])
        return _ZERO * 10 ** (-0.4 * p["mag"]) / there

    def log_luminosity(self, p: dict[str, ScalarLike], draw: Draw) -> ScalarLike:
        """log10 of lambda L_lambda of the power law at 1450 A without dust, erg/s."""
        there = self.power_law(jnp.log(_LUMINOUS), p, draw) * self.level(p, draw)
        power = jnp.log10(there * _LUMINOUS * (1 + p["z"]))
        return power + 2 * self.cosmos.log_distance(p["z"]) + _LOG_AREA

    def emitted(self, p: dict[str, ScalarLike], draw: Draw) -> Shining:
        """Light of the quasar on the window, by what gives it."""
        ln_rest = self.sight["ln_wave"] - jnp.log1p(p["z"])
        power = self.power_law(ln_rest, p, draw)
        gas = 10 ** p["log_fwhm"] / lines.FWHM / C_KMS  # standard deviation in ln(wavelength)
        return Shining(
            power,
            self._balmer(ln_rest, gas, draw) + power * self._iron(ln_rest, gas, draw),
            power * self._broad(ln_rest, gas, p, draw),
            power * self._narrow(ln_rest, draw),
        )

    def _balmer(self, ln_rest, gas, draw):
        """Balmer continuum and the lines that join it."""
        wave, flux = continuum.balmer_series()
        sigma = gas * 10 ** draw.widths[_place("Balmer")] + 0 * wave
        series = lines.gaussians(ln_rest, np.log(wave), sigma, flux / wave)
        smooth = continuum.balmer_continuum(jnp.exp(ln_rest))
        return continuum.BALMER * jnp.exp(draw.balmer) * (smooth + series)

    def _iron(self, ln_rest, gas, draw):
        """Iron and other blends, over the power law."""
        wave, own, width, optical = iron.blends()
        strength = jnp.where(optical, jnp.exp(draw.iron[1]), jnp.exp(draw.iron[0]))
        gas = gas * lines.MOTIONS["calm"].width * 10 ** draw.widths[_place("calm")]
        return lines.gaussians(ln_rest, np.log(wave), jnp.hypot(own, gas), strength * width / wave)

    def _broad(self, ln_rest, gas, p, draw):
        """Broad lines, over the power law."""
        table = lines.BROAD
        wave = np.array([line.wave for line in table])
        family = np.array([list(lines.FAMILIES).index(line.family) for line in table])
        motion = np.array([_place(line.motion) for line in table])
        width = np.array([line.width for line in table]) * iron.underlying(wave)
        dex = draw.lines + lines.luminosity_dex(self.log_luminosity(p, draw))
        area = width / wave * 10 ** dex[family]
        wider = np.array([m.width for m in lines.MOTIONS.values()]) * 10**draw.widths
        velocity = np.array([line.share for line in table]) * draw.blueshift
        velocity += np.array([line.shift for line in table]) + draw.shifts[motion]
        centre, sigma = np.log(wave) + velocity / C_KMS, gas * wider[motion]
        return lines.gaussians(
            ln_rest,
            jnp.concatenate([centre, centre]),
            jnp.concatenate([sigma * lines.CORE_WIDTH, sigma * lines.WING_WIDTH]),
            jnp.concatenate([area * (1 - draw.wings), area * draw.wings]),
        )

    def _narrow(self, ln_rest, draw):
        """Narrow lines, over the power law."""
        wave = np.array(list(lines.NARROW))
        width, low = np.array(list(lines.NARROW.values())).T
        every, excess, wider = draw.narrow
        area = width * iron.underlying(wave) / wave * 10 ** (every + low * excess)
        # a lattice of points further apart than that does not see so narrow a line
        sigma = jnp.hypot(lines.NARROW_SIGMA / C_KMS * 10**wider, 0.6 * self.lattice.step)
        return lines.gaussians(ln_rest, np.log(wave), sigma + 0 * wave, area)


def _place(motion):
    return list(lines.MOTIONS).index(motion)
