"""An active nucleus as a second source of ionisation: its narrow-line region in MAPPINGS V.

The grid of NebulaBayes (Thomas et al. 2018, ApJ 856, 89): radiation-pressure-dominated clouds
under the accretion disc and power law of OXAF (Thomas et al. 2016), photon index 2, 15 % of the
energy in it. Lines of both sources add: total H-alpha is that of star formation over one minus the
nucleus's share.
"""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.sim.galaxy.nebula import TABLES
from flowspec.sim.galaxy.weights import linear_weights
from flowspec.sim.latent import uniform

NONE = -9.0  # log10 of H-alpha of a nucleus over that of star formation, where there is none
# That ratio's log10 is linear in a standard normal, so that three in four galaxies have less than
# 2 % of their H-alpha from a nucleus and one in twenty has half of it: Seyferts and composites are
# 4 to 11 % of the SDSS's galaxies with lines (Brinchmann et al. 2004, table 1; Kewley et al. 2006).
_MEDIAN, _SPREAD = -2.86, 1.74
_HIGHEST, _SOFT = 1.7, 0.13  # dex: where the ratio bends to a constant (98 %), and how softly


class NuclearTable(eqx.Module):
    """Line fluxes of narrow-line regions.

    Attributes:
        log_u: log10 ionisation parameter [u].
        log_pk: log10 pressure over Boltzmann's constant, K cm-3 [p].
        oh: 12 + log10 O/H [o].
        log_e_peak: log10 of the energy at the peak of the disc's spectrum, keV [e].
        wave: Vacuum wavelengths in angstrom [lines].
        log_flux: log10 flux relative to H-beta (or as `ratios_to` made it) [u, p, o, e, lines].
        names: Line names [lines].
    """

    log_u: np.ndarray
    log_pk: np.ndarray
    oh: np.ndarray
    log_e_peak: np.ndarray
    wave: np.ndarray
    log_flux: np.ndarray
    names: tuple[str, ...] = eqx.field(static=True)

    def ratios_to(self, name: str) -> "NuclearTable":
        """The same lines, relative to the one called `name`."""
        log_flux = self.log_flux - self.log_flux[..., [self.names.index(name)]]
        return eqx.tree_at(lambda t: t.log_flux, self, log_flux)

    def only(self, names: tuple[str, ...]) -> "NuclearTable":
        """The lines of these names, in their order."""
        keep = [self.names.index(name) for name in names]
        axes = (self.log_u, self.log_pk, self.oh, self.log_e_peak)
        return NuclearTable(*axes, self.wave[keep], self.log_flux[..., keep], tuple(names))


def load_nucleus(path: Path = TABLES / "nucleus.npz") -> NuclearTable:
    """Read the table of narrow-line regions (its origin is in ``tables/README.md``)."""
    with np.load(path, allow_pickle=False) as f:
        names = ("log_u", "log_pk", "oh", "log_e_peak", "wave", "log_flux")
        return NuclearTable(*(f[n] for n in names), tuple(str(n) for n in f["names"]))


def nuclear_ratios(
    table: NuclearTable,
    log_u: ScalarLike,
    log_pk: ScalarLike,
    oh: ScalarLike,
    log_e_peak: ScalarLike,
) -> Float[Array, " lines"]:
    """log10 of line fluxes, linear in the grid's logarithms and constant beyond its ends.

    Args:
        table: Lines and what they are relative to.
        log_u: log10 ionisation parameter.
        log_pk: log10 pressure over Boltzmann's constant.
        oh: 12 + log10 O/H.
        log_e_peak: log10 of the energy (keV) at the peak of the disc's spectrum.
    """
    cube = jnp.asarray(table.log_flux)
    for x, nodes in ((log_u, table.log_u), (log_pk, table.log_pk), (oh, table.oh),
                     (log_e_peak, table.log_e_peak)):  # fmt: skip
        cube = jnp.tensordot(linear_weights(x, nodes), cube, 1)
    return cube


def nucleus_of(latent: Float[Array, " 4"]) -> Float[Array, " 4"]:
    """A nucleus of four standard normals.

    Returns:
        log10 of its H-alpha over that of star formation, log10 ionisation parameter, log10 P/k,
        log10 E_peak (keV): the ranges that Thomas et al. (2018, 2019) find in Seyferts, and down to
        the ionisation of LINERs.
    """
    free = _MEDIAN + _SPREAD * latent[0]
    ratio = _HIGHEST - _SOFT * jnp.logaddexp((_HIGHEST - free) / _SOFT, 0.0)
    ends = ((-3.8, -1.4), (5.8, 7.4), (-1.75, -0.75))
    return jnp.stack([ratio, *(uniform(u, *e) for u, e in zip(latent[1:], ends, strict=True))])


def mixed(
    formed: Float[Array, " lines"], nuclear: Float[Array, " lines"], log_ratio: ScalarLike
) -> Float[Array, " lines"]:
    """log10 of line fluxes over H-alpha of both sources together.

    Args:
        formed: log10 of fluxes over H-alpha where stars ionise.
        nuclear: Likewise where the nucleus does.
        log_ratio: log10 of H-alpha of the nucleus over that of star formation.
    """
    ten = np.log(10.0)
    total = jnp.logaddexp(ten * formed, ten * (nuclear + log_ratio))
    return (total - jnp.logaddexp(0.0, ten * log_ratio)) / ten


def log_gain(log_ratio: ScalarLike) -> Array:
    """log10 of H-alpha of both sources over that of star formation.

    Args:
        log_ratio: As of `mixed`.
    """
    return jnp.logaddexp(0.0, np.log(10.0) * log_ratio) / np.log(10.0)
