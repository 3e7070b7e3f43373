"""The magnitude that a star of the table has in a band."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.sim.galaxy.dust import cardelli
from flowspec.sim.instrument.bands import transmission
from flowspec.sim.instrument.lattice import C_KMS
from flowspec.sim.star.table import StarTable, black_body


class Magnitude(NamedTuple):
    """AB magnitudes through one band.

    Attributes:
        wave: Wavelengths in angstrom [points].
        photons: Share of the light at each in the mean [points].
        zero: Magnitude of a flux of 1e-17 erg/s/cm2/A in this mean.
        extinction: Over that in V [points].
        component: Components of the table there [components, points].
        shares: Of each of the level's points there [points, knots].
    """

    wave: Float[Array, " points"]
    photons: Float[Array, " points"]
    zero: float
    extinction: Float[Array, " points"]
    component: Float[Array, "components points"]
    shares: Float[Array, "points knots"]

    @classmethod
    def through(cls, band: str, table: StarTable) -> "Magnitude":
        """Through one of `flowspec.sim.instrument.bands.BANDS`, evenly sampled."""
        wave, seen = transmission(band).astype(float)
        photons, flat = seen * wave, C_KMS * 1e13 * (seen / wave).sum()
        zero = -2.5 * (np.log10(photons.sum() / flat) - 17) - 48.60
        # means over the steps of the band, not values at points
        step = wave[1] - wave[0]
        edges = np.append(wave - 0.5 * step, wave[-1] + 0.5 * step)
        widths = np.diff(table.wave)
        middle = 0.5 * (table.component[:, 1:] + table.component[:, :-1])
        sums = np.pad(np.cumsum(middle * widths, -1), ((0, 0), (1, 0)))
        means = np.stack([np.diff(np.interp(edges, table.wave, row)) for row in sums])
        ln_knot = np.log(table.knot)
        shares = [np.interp(np.log(wave), ln_knot, row) for row in np.eye(len(ln_knot))]
        arrays = (wave, photons / photons.sum(), zero, cardelli(wave), means / np.diff(edges),
                  np.stack(shares, -1))  # fmt: skip
        return cls(*(jnp.asarray(a, jnp.float32) for a in arrays))

    def emitted(
        self, level: Float[Array, " knots"], amplitude: Float[Array, " components"]
    ) -> Float[Array, " points"]:
        """Light over a black body of level (natural log) and components."""
        return (amplitude @ self.component) * jnp.exp(self.shares @ level)

    def of(
        self,
        emitted: Float[Array, " points"],
        log_teff: ScalarLike,
        av: ScalarLike,
        z: ScalarLike,
    ) -> Float[Array, ""]:
        """Magnitude where black body and light over it make 1e-17 erg/s/cm2/A of 1.

        Args:
            emitted: Light over a black body at rest at `wave` [points].
            log_teff: log10 of the temperature in K.
            av: Extinction in V, magnitudes.
            z: Radial velocity over the speed of light.
        """
        rest = self.wave / (1 + z)
        light = jnp.interp(rest, self.wave, emitted) * black_body(rest, log_teff)
        light *= 10 ** (-0.4 * av * self.extinction)
        return self.zero - 2.5 * jnp.log10(light @ self.photons)
