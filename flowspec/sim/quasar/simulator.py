"""Spectra of quasars: from redshift, magnitude and continuum to the pixels of an instrument.

    prior -> power law + Balmer continuum + iron + lines -> troughs, dust -> redshift -> forest

Everything below `draw` is a pure function of ``(key, theta)``, unbatched; `jax.vmap` batches it.
"""

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
from flowspec.sim.quasar import continuum, lines, reddening, troughs
from flowspec.sim.quasar.emission import KINDS, MARGIN, Emission
from flowspec.sim.quasar.nuisance import NUISANCES, Draw, layout_of, nuisances_of
from flowspec.sim.quasar.prior import DEFAULTS, quasar_prior
from flowspec.sim.spectrum import SpectrumSimulator

REFERENCE = 6250.0  # angstrom, where `mag` is
# Flux per angstrom of magnitude 0 (AB: 48.6) there, 1e-17 erg/s/cm2/A
_ZERO = 10 ** (-0.4 * 48.6) * C_KMS * 1e13 / REFERENCE**2 * 1e17
_LOG_AREA = float(np.log10(4 * np.pi) + 2 * np.log10(3.0856775814913673e24) - 17)
_LUMINOUS = 1450.0  # angstrom, where luminosities of the Baldwin effect are


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

    emission: Emission
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
        margin = np.exp([-MARGIN, MARGIN])
        reach = tuple(((1 + np.array(limits)) * margin - 1).tolist())
        super().__init__(instrument, prior, reach, noise, nuisances, NUISANCES)
        self.emission = Emission(self.lattice, reach[0])
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
        return nuisances_of(latent, self.layout, curve, self.widest)

    def spectrum_of(
        self, theta: Float[Array, " params"], latent: Float[Array, " latents"]
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum in 1e-17 erg/s/cm2/A for parameters and latents of the nuisances."""
        return self.spectrum(theta, self.nuisances_of(latent, theta))

    def spectrum(self, theta: Float[Array, " params"], draw: Draw) -> Float[Array, " pixels"]:
        """Noiseless spectrum for given parameters and nuisances, 1e-17 erg/s/cm2/A."""
        return self._seen(theta, draw, self.emitted(self.parameters(theta), draw))

    def parts(
        self, theta: Float[ArrayLike, " params"], latent: Float[ArrayLike, " latents"]
    ) -> dict[str, Array]:
        """Power law, pseudo-continuum and lines as they are seen, behind all that absorbs.

        All [pixels] in 1e-17 erg/s/cm2/A; they sum to `spectrum_of`.
        """
        theta = jnp.asarray(theta)
        draw, p = self.nuisances_of(jnp.asarray(latent), theta), self.parameters(theta)
        power = self.power_law(self._ln_rest(p), p, draw)
        own = power * self.blended(p, draw, ("broad", "narrow"))
        rest = self.emitted(p, draw) - power - own
        light = {"continuum": power, "pseudo-continuum": rest, "lines": own}
        return {name: self._seen(theta, draw, part) for name, part in light.items()}

    def _ln_rest(self, p):
        return self.sight["ln_wave"] - jnp.log1p(p["z"])

    def _seen(self, theta, draw, light):
        """What the pixels have of light [window] in units of the power law at 3000 A."""
        p = self.parameters(theta)
        ln_rest = self._ln_rest(p)
        light = light * jnp.exp(-troughs.opacity(ln_rest, draw.trough)) * self.level(p, draw)
        light = light * reddening.transmission(ln_rest, self.dust, p["ebv"])
        if self.opacity is not None:
            light = light * jnp.exp(-(10**draw.igm) * self.opacity(p["z"]))
        light = jax.lax.optimization_barrier(light * self.sight["wave"])
        return self.pixels(light, draw.lsf) / jnp.asarray(self.wave, jnp.float32) * draw.curve

    def emitted(self, p: dict[str, ScalarLike], draw: Draw) -> Float[Array, " window"]:
        """Flux per angstrom of all that shines over that of the power law at 3000 A."""
        ln_rest = self._ln_rest(p)
        edge = _sigma(p) * 10 ** draw.widths[list(lines.MOTIONS).index("Balmer")]
        balmer = continuum.BALMER * jnp.exp(draw.balmer)
        light = self.power_law(ln_rest, p, draw) * (1 + self.blended(p, draw, KINDS))
        return light + balmer * continuum.balmer_continuum(ln_rest, edge)

    def blended(
        self, p: dict[str, ScalarLike], draw: Draw, kinds: tuple[str, ...]
    ) -> Float[Array, " window"]:
        """Lines and blends of some of `emission.KINDS`, over the power law."""
        there = self.power_law(jnp.log(self.emission.wave), p, draw)
        dex = draw.lines + lines.luminosity_dex(self.log_luminosity(p, draw))
        areas = self.emission.areas(draw, dex, there)
        wanted = np.isin(np.array(self.emission.kind), [KINDS.index(kind) for kind in kinds])
        blur = jnp.maximum(self.pixels.blur(self.lsf, draw.lsf), 0.0)  # lines are wider by far
        light = self.emission.of(areas * wanted, draw, _sigma(p))
        return self.seen_at(light * self.lattice.broaden(jnp.sqrt(blur + 1e-6)), p["z"])

    def power_law(
        self, ln_rest: Float[Array, "*n"], p: dict[str, ScalarLike], draw: Draw
    ) -> Float[Array, "*n"]:
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


def _sigma(p):
    """Standard deviation of broad lines in ln(wavelength)."""
    return 10 ** p["log_fwhm"] / lines.FWHM / C_KMS
