"""The simulator of single stars: a table of spectra, seen through dust at a radial velocity.

    prior -> star -> radial velocity -> dust of the Milky Way -> pixels -> noise
"""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.data.spectra import Spectra
from flowspec.prior.prior import Prior
from flowspec.prior.stars import star_prior
from flowspec.sim.curves import CURVES
from flowspec.sim.galaxy.dust import cardelli
from flowspec.sim.instrument.blur import ln_width
from flowspec.sim.instrument.instrument import Instrument, PixelOperator
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.instrument.shipped import instrument_of
from flowspec.sim.latent import Layout
from flowspec.sim.spectrum import SpectrumSimulator
from flowspec.sim.star.photometry import Magnitude
from flowspec.sim.star.table import (
    RESOLUTION,
    Between,
    between,
    black_body,
    dispersion,
    load_single_stars,
)
from flowspec.sim.star.white_dwarf import LATENTS, is_white_dwarf, over_black_body

NUISANCES = ("lsf", "calibration", "mismatch", "sky", "blemishes")
KNOWN = (*NUISANCES, "white_dwarf")
# Of what a prior leaves out: the Sun, without dust.
DEFAULTS = {"z": 0.0, "log_teff": 3.7614, "logg": 4.44, "feh": 0.0, "av": 0.0, "mag": 17.0}
_FASTEST = 0.02  # limit of a radial velocity over c, above that of any star
_NARROW = 0.25  # of a pixel: least width of a line-spread function


class StarSimulator(SpectrumSimulator):
    """Simulated spectra of single stars for one instrument.

    Parameters of `theta`, in the order of ``prior.names``:

    - ``z``: radial velocity over the speed of light.
    - ``log_teff``: log10 of the effective temperature, K; 3,000 to 30,000 K.
    - ``logg``: log10 of the gravity at the surface, cm/s2; 0.5 to 5.
    - ``feh``: metallicity over solar, [M/H]; -2.5 to 0.5.
    - ``av``: extinction in V by dust of the Milky Way with R(V) = 3.1 (Cardelli et al. 1989), mag.
    - ``mag``: magnitude as it is seen, dimmed by the dust: AB, SDSS r.

    The table has 64 km/s (more blue of 5000 angstrom), which the line-spread function of the
    instrument is narrowed by; instruments that resolve more see lines as wide as the table's. It
    has no carbon stars, brown dwarfs, Wolf-Rayet stars, binaries, rotation, emission or abundances
    other than solar, and above 15,000 K no change of the lines with temperature.

    With the nuisance ``white_dwarf`` stars of a `logg` above 4.75 that are hotter than 4,000 K,
    where no others are, are white dwarfs (`flowspec.sim.star.white_dwarf`): ``logg`` then says
    that it is one and not its gravity, about 8, and ``feh`` nothing. They are of hydrogen or
    helium, some of these with calcium; none is magnetic, of carbon (DQ) or hotter. Give a prior of
    a `logg` above 4.75 to fit (`fit`) one: that of all stars draws it back.

    Args:
        instrument: "sdss", "muse", ... (`flowspec.sim.instrument.shipped.INSTRUMENTS`) or an
            `Instrument`.
        prior: Named parameters; by default `flowspec.prior.stars.star_prior`. One that it leaves
            out is that of the Sun (`DEFAULTS`), without dust.
        noise: Observed `Spectra` to take the noise from, or None for the instrument's own curve.
        nuisances: Names among `KNOWN` to draw; the others are neutral. By default `NUISANCES`,
            without white dwarfs.

    Raises:
        ValueError: On an unknown instrument, parameter or nuisance, or velocities that are not
            bounded.
    """

    stars: Between
    ln_knot: Float[np.ndarray, " knots"]
    star_table: Float[Array, "components freqs2"]
    extinction: Float[Array, " window"]
    magnitude: Magnitude
    common: float = eqx.field(static=True)

    def __init__(
        self,
        instrument: str | Instrument = "sdss",
        *,
        prior: Prior | None = None,
        noise: Spectra | None = None,
        nuisances: tuple[str, ...] = NUISANCES,
    ):
        instrument = instrument_of(instrument)
        prior = star_prior() if prior is None else prior
        limits = _velocities(prior)
        super().__init__(instrument, prior, limits, noise, nuisances, KNOWN)
        # the light is wide already: pixels see it by a narrower function, over another window
        left = instrument.lsf**2 - dispersion(instrument.wave) ** 2
        # of a finer instrument the median stands for all: what is wider has that much less to add
        self.common = float(left.min() if left.min() > 0 else min(np.median(left), 0.0))
        least = _NARROW * C_KMS * instrument.widths
        narrow = np.sqrt(np.maximum(left - max(self.common, 0.0), least**2))
        self.pixels = PixelOperator(replace(instrument, lsf=narrow), self.lattice)
        window = {"wave": self.window, "ln_wave": np.log(self.window)}
        self.sight |= {k: jnp.asarray(v, jnp.float32) for k, v in window.items()}
        self.extinction = jnp.asarray(cardelli(self.window), jnp.float32)
        table = load_single_stars()
        self.stars, self.ln_knot = between(table), np.log(table.knot)
        at_frame = table.wave * (1 + limits[0])
        self.star_table = jnp.asarray(self.lattice.of_spectra(at_frame, table.component))
        self.magnitude = Magnitude.through("sdss_r", table)
        self._lay_out()

    def own_layout(self) -> Layout:
        """Numbers of latents of each nuisance."""
        counts = {"lsf": 1} | CURVES | {"white_dwarf": LATENTS}
        active = {name: count for name, count in counts.items() if name in self.nuisances}
        return Layout.of(active | self.templates.counts)

    def spectrum_of(
        self, theta: Float[Array, " params"], latent: Float[Array, " latents"]
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum in 1e-17 erg/s/cm2/A for parameters and latents of the nuisances."""
        part = self.layout.parts(latent)
        wider = ln_width(part["lsf"][0], self.widest) if "lsf" in part else 0.0
        spectrum = self.spectrum(theta, wider, part.get("white_dwarf"))
        return spectrum * self.curve(part, theta)

    def spectrum(
        self,
        theta: Float[Array, " params"],
        wider: ScalarLike,
        remnant: Float[Array, " latents"] | None = None,
    ) -> Float[Array, " pixels"]:
        """Noiseless spectrum for a line-spread function of exp(`wider`) times the width.

        Args:
            theta: Parameters.
            wider: Natural log of the width over that of the instrument.
            remnant: Latents of white dwarfs; None where there are none.
        """
        p = DEFAULTS | dict(zip(self.prior.names, theta, strict=True))
        columns = self.stars.at(p["log_teff"], p["logg"], p["feh"])
        level, amplitude = jnp.split(columns, [len(self.ln_knot)])
        pairs = (amplitude @ self.star_table).reshape(2, -1)
        blur = jnp.maximum(self.common + self.pixels.blur(self.lsf, wider), 0.0)
        light = self.seen_at(pairs * self.lattice.broaden(jnp.sqrt(blur + 1e-6)), p["z"])
        ln_rest = self.sight["ln_wave"] - jnp.log1p(p["z"])
        light *= jnp.exp(jnp.interp(ln_rest, jnp.asarray(self.ln_knot, ln_rest.dtype), level))
        wave, emitted = self.sight["wave"], self.magnitude.emitted(level, amplitude)
        if remnant is not None:
            white, width = is_white_dwarf(p["log_teff"], p["logg"]), jnp.sqrt(blur + RESOLUTION**2)
            pale = partial(over_black_body, log_teff=p["log_teff"], latent=remnant)
            light = jnp.where(white, pale(wave / (1 + p["z"]), dispersion=width), light)
            emitted = jnp.where(white, pale(self.magnitude.wave), emitted)
        light *= wave * black_body(wave / (1 + p["z"]), p["log_teff"])
        light *= 10 ** (-0.4 * p["av"] * self.extinction)
        unit = self.magnitude.of(emitted, p["log_teff"], p["av"], p["z"])
        light = jax.lax.optimization_barrier(light)
        level = 10 ** (-0.4 * (p["mag"] - unit))
        return level * self.pixels(light, wider) / jnp.asarray(self.wave, jnp.float32)


def _velocities(prior: Prior) -> tuple[float, float]:
    """Lowest and highest radial velocity of a prior over c, 0 without one.

    Raises:
        ValueError: Where they are not bounded, or the prior has unknown parameters.
    """
    if set(prior.names) - set(DEFAULTS):
        raise ValueError(f"expected parameters among {list(DEFAULTS)}; got {list(prior.names)}")
    if "z" not in prior.names:
        return 0.0, 0.0
    low, high = prior.limits("z")
    if not -_FASTEST <= low < high <= _FASTEST:
        raise ValueError(f"expected velocities within {-_FASTEST} to {_FASTEST} of that of light; "
                         f"got {low} to {high}")
    return low, high
