"""Emission lines of H II regions: the MAPPINGS V grid of NebulaBayes, and its normalisation."""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from flowspec.sim.galaxy.weights import linear_weights

TABLES = Path(__file__).parents[1] / "tables"
LOG_HALPHA_PER_SFR = 41.27  # log10 erg/s per M_sun/yr; Kennicutt & Evans (2012), table 1
LOG_LSUN = 33.583  # log10 erg/s; IAU 2015 nominal solar luminosity
FLOOR = -5.0  # log10 of the faintest flux over H-beta in the table
PRESSURE = 5.8  # log10 P/k in K cm-3: about 50 electrons per cm3


class NebularTable(eqx.Module):
    """Line fluxes on a grid of photoionisation models.

    Attributes:
        log_u: log10 ionisation parameter [u].
        log_pk: log10 pressure over Boltzmann's constant, K cm-3 [p].
        oh: 12 + log10 O/H [o].
        names: Line names [lines].
        parent: Line whose strength each one follows: itself, but for lines of fixed ratio [lines].
        wave: Vacuum wavelengths in angstrom [lines].
        log_flux: log10 flux relative to H-beta (or as `ratios_to` made it) [u, p, o, lines].
    """

    log_u: np.ndarray
    log_pk: np.ndarray
    oh: np.ndarray
    wave: np.ndarray
    log_flux: np.ndarray
    names: tuple[str, ...] = eqx.field(static=True)
    parent: tuple[str, ...] = eqx.field(static=True)

    def ratios_to(self, name: str) -> "NebularTable":
        """The same lines, relative to the one called `name`."""
        log_flux = self.log_flux - self.log_flux[..., [self.names.index(name)]]
        return eqx.tree_at(lambda t: t.log_flux, self, log_flux)

    def between(self, low: float, high: float) -> "NebularTable":
        """Only the lines between two vacuum wavelengths in angstrom."""
        keep = np.flatnonzero((self.wave > low) & (self.wave < high))
        names, parent = (tuple(t[i] for i in keep) for t in (self.names, self.parent))
        arrays = (self.log_u, self.log_pk, self.oh, self.wave[keep], self.log_flux[..., keep])
        return NebularTable(*arrays, names, parent)

    def with_lines(self, names: tuple[str, ...], wave: np.ndarray) -> "NebularTable":
        """These lines beside its own, in order of wavelength; new ones are as faint as the floor.

        Args:
            names: Of the lines.
            wave: Vacuum wavelengths in angstrom [lines].
        """
        new = [i for i, name in enumerate(names) if name not in self.names]
        waves = np.concatenate([self.wave, np.asarray(wave)[new]])
        faint = np.full((*self.log_flux.shape[:-1], len(new)), FLOOR, self.log_flux.dtype)
        log_flux = np.concatenate([self.log_flux, faint], -1)
        labels = [own + tuple(names[i] for i in new) for own in (self.names, self.parent)]
        order = np.argsort(waves, kind="stable")
        labels = (tuple(label[i] for i in order) for label in labels)
        axes = (self.log_u, self.log_pk, self.oh)
        return NebularTable(*axes, waves[order], log_flux[..., order], *labels)


def load_nebula(path: Path = TABLES / "nebula.npz") -> NebularTable:
    """Read the table of emission lines (its origin is in ``tables/README.md``)."""
    with np.load(path, allow_pickle=False) as f:
        arrays = [f[name] for name in ("log_u", "log_pk", "oh", "wave", "log_flux")]
        labels = [tuple(str(s) for s in f[name]) for name in ("names", "parent")]
    return NebularTable(*arrays, *labels)


def line_ratios(
    table: NebularTable, log_u: ScalarLike, oh: ScalarLike, log_pk: ScalarLike = PRESSURE
) -> Float[Array, " lines"]:
    """log10 of line fluxes, trilinear in the grid's logarithms and constant beyond its ends.

    Args:
        table: Lines and what they are relative to.
        log_u: log10 ionisation parameter.
        oh: 12 + log10 O/H.
        log_pk: log10 pressure over Boltzmann's constant.
    """
    cube = jnp.tensordot(linear_weights(log_u, table.log_u), jnp.asarray(table.log_flux), 1)
    cube = jnp.tensordot(linear_weights(log_pk, table.log_pk), cube, 1)
    return jnp.tensordot(linear_weights(oh, table.oh), cube, 1)
