"""`Spectra`: a batch of spectra on one wavelength grid, the one data type of flowspec."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import astropy.units as u
import equinox as eqx
import numpy as np
from jaxtyping import Float

from flowspec.data.extra import Extra, joined_extra
from flowspec.data.lsf import checked_lsf, interpolated, joined_lsf
from flowspec.data.medians import row_medians
from flowspec.data.observation import labels
from flowspec.data.regrid import bridged, overlaps, pixel_edges, rebin, shared_pixels
from flowspec.data.scaling import TINY
from flowspec.data.units import FLUX_UNIT, checked_wave, in_flux_unit

log = logging.getLogger("flowspec")
_ROWS_AT_ONCE = 64  # in `resample`: a few MB of MOONS spectra; larger blocks are slower


class Spectra(eqx.Module):
    """A batch of spectra on a common grid, held on the host.

    Args:
        wave: [pixels] vacuum wavelengths in Å, observed frame, strictly increasing; or a quantity
            (length, frequency or energy).
        flux: [batch, pixels] (or [pixels], a batch of one) F_λ in 1e-17 erg/s/cm²/Å; or a quantity
            (F_λ or F_ν, such as Jy).
        ivar: inverse variance of `flux`, same shape; 0 means "no data". A quantity exactly where
            `flux` is one. Pixels whose flux or ivar is NaN or infinite become "no data".
        names: one label per row (default "0", "1", ...).
        notes: one per row: "" or why it carries no usable data, or what was assumed of it. A row
            without any good pixel always gets a note.
        extra: labels to carry along to the table, one value per row by name of column, such as
            ra, dec or target_id; masked where not known. Nothing is learned from them.
        lsf: standard deviation of the line-spread function in km/s, with the pixels as published:
            a number, one per row [batch] or a curve [batch, pixels] or [1, pixels]. Kept as
            [batch, 1] or [batch, pixels], NaN where not known (or not positive); None of none.

    Raises:
        ValueError: on wrong shapes or units, wavelengths that are not finite, positive and
            strictly increasing, or negative inverse variance.
    """

    wave: Float[np.ndarray, " pixels"]
    flux: Float[np.ndarray, "batch pixels"]
    ivar: Float[np.ndarray, "batch pixels"]
    names: tuple[str, ...] = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)
    extra: Extra = eqx.field(static=True)
    lsf: Float[np.ndarray, "batch _"] | None

    def __init__(
        self, wave, flux, ivar, names: Sequence[str] = (), notes: Sequence[str] = (),
        extra: Mapping = Extra(), lsf=None,
    ):  # fmt: skip
        self.wave = checked_wave(wave)
        flux, ivar = in_flux_unit(self.wave, flux, ivar)
        flux, ivar = np.atleast_2d(flux), np.atleast_2d(ivar)
        if flux.ndim != 2 or flux.shape != ivar.shape or flux.shape[1] != len(self.wave):
            raise ValueError(
                f"expected flux and ivar of shape [batch, {len(self.wave)}]; "
                f"got {flux.shape} and {ivar.shape}"
            )
        self.names = labels(names, [str(i) for i in range(len(flux))], "names")
        self.extra = Extra(extra, len(flux))
        self.lsf = checked_lsf(lsf, *flux.shape)
        self._check_sign(ivar)
        with np.errstate(over="ignore"):  # beyond float32: infinite, hence masked
            self.flux, self.ivar = np.array(flux, np.float32), np.array(ivar, np.float32)
        bad = ~(np.isfinite(self.flux) & np.isfinite(self.ivar))
        self.flux[bad] = self.ivar[bad] = 0
        self.ivar[self.ivar < TINY] = 0
        notes = list(labels(notes, [""] * len(flux), "notes"))
        for i in np.flatnonzero(~self.usable):
            if not notes[i] or notes[i].startswith("assumed: "):  # which is no reason
                notes[i] = "; ".join(filter(None, [self._why_empty(flux[i], ivar[i]), notes[i]]))
        self.notes = tuple(notes)

    def _check_sign(self, ivar):
        row = np.flatnonzero((ivar < 0).any(axis=1))
        if len(row):
            i = row[0]
            where = f" in row {self.names[i]}" if len(ivar) > 1 else ""
            raise ValueError(f"expected ivar >= 0; got {ivar[i].min():g}{where}")

    def _why_empty(self, flux, ivar) -> str:
        given = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
        if not given.any():
            return f"no good pixels between {self.wave[0]:.0f} and {self.wave[-1]:.0f} A"
        size = np.median(np.abs(flux[given])), np.median(ivar[given])
        return (f"expected numbers within single precision, in {FLUX_UNIT}; got fluxes of about "
                f"{size[0]:.2g} and ivar of about {size[1]:.2g}")

    def __len__(self) -> int:
        return self.flux.shape[0]

    def __getitem__(self, index) -> "Spectra":
        """Rows by number, slice, mask or list of numbers: always a `Spectra`."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        names, notes = ([texts[i] for i in rows] for texts in (self.names, self.notes))
        extra, lsf = self.extra.of_rows(rows), None if self.lsf is None else self.lsf[rows]
        return Spectra(self.wave, self.flux[rows], self.ivar[rows], names, notes, extra, lsf)

    def __repr__(self) -> str:
        shape = "x".join(map(str, np.shape(self.flux)))
        return f"Spectra({shape} pixels, {self.wave[0]:.1f}-{self.wave[-1]:.1f} A)"

    @property
    def usable(self) -> np.ndarray:
        """[batch] bool: whether the row has any good pixel."""
        return (self.ivar > 0).any(axis=1)

    @property
    def snr(self) -> np.ndarray:
        """[batch] median signal-to-noise ratio per good pixel; 0 where there is none."""
        return row_medians(self.flux * np.sqrt(self.ivar), self.ivar > 0)

    def resample(self, wave, *, weighted: bool = False) -> "Spectra":
        """The same spectra on another grid, conserving flux.

        Pixels reach half way to their neighbours, but not into a gap. A new pixel is the mean of
        the good old pixels weighted by overlap, Σ w f / Σ w, with variance Σ w² σ² / (Σ w)². It
        has `ivar` 0 where less than half of it is covered by good pixels. Where the new grid
        consists of pixels of the old one (and possibly more beyond its ends), they are copied.
        Resampled noise is correlated between neighbours; `ivar` is the inverse of its diagonal.

        Args:
            wave: [new pixels] Å or a quantity.
            weighted: Weight by inverse variance too. For coarser pixels that is the mean of least
                noise (a sky line spoils one old pixel, not the new one), but it conserves flux
                only as far as the spectrum is even within a new pixel.

        Returns:
            Spectra on `wave`, with the same names, notes and labels. `lsf` is interpolated.
        """
        wave = checked_wave(wave)
        if np.array_equal(wave, self.wave):
            return self
        flux, ivar = np.zeros((2, len(self), len(wave)), np.float32)
        inside, source = shared_pixels(self.wave, wave)
        if source is not None:
            flux[:, inside], ivar[:, inside] = self.flux[:, source], self.ivar[:, source]
        else:
            old, source = bridged(self.wave)
            overlap = overlaps(pixel_edges(old), pixel_edges(wave))[:, source >= 0]
            for i in range(0, len(self), _ROWS_AT_ONCE):
                rows = slice(i, i + _ROWS_AT_ONCE)
                means = rebin(self.flux[rows], self.ivar[rows], overlap, weighted)
                flux[rows], ivar[rows] = means
        lsf = interpolated(self.lsf, self.wave, wave)
        return replace(self, wave=wave, flux=flux, ivar=ivar, lsf=lsf)

    @staticmethod
    def concatenate(parts: Sequence["Spectra"]) -> "Spectra":
        """Rows of all `parts`, which must share one grid.

        Raises:
            ValueError: without parts, or where grids differ.
        """
        if not parts:
            raise ValueError("expected at least one Spectra to concatenate; got none")
        first = parts[0].wave
        for part in parts[1:]:
            if not np.array_equal(part.wave, first):
                raise ValueError(
                    f"expected spectra on one grid ({parts[0]}); got {part}: resample them first"
                )
        names, notes = ([t for p in parts for t in getattr(p, what)] for what in ("names", "notes"))
        flux, ivar = (np.concatenate([getattr(p, x) for p in parts]) for x in ("flux", "ivar"))
        rows = [len(p) for p in parts]
        extra = joined_extra([p.extra for p in parts], rows)
        lsf = joined_lsf([p.lsf for p in parts], rows)
        return Spectra(first, flux, ivar, names, notes, extra, lsf)

    def to_specutils(self):
        """A `specutils.Spectrum` ([batch, pixels]); masked where `ivar` is 0. Needs specutils."""
        from astropy.nddata import InverseVariance

        meta = {"names": self.names, "notes": self.notes}
        if self.lsf is not None:
            meta["lsf"] = self.lsf * u.Unit("km/s")
        return _specutils_class()(
            flux=self.flux * FLUX_UNIT,
            spectral_axis=self.wave * u.AA,
            uncertainty=InverseVariance(self.ivar / FLUX_UNIT**2),
            mask=self.ivar == 0,
            meta=meta,
        )

    @staticmethod
    def from_specutils(spectrum) -> "Spectra":
        """From a `specutils.Spectrum` (or `Spectrum1D`) with uncertainty, of one or more rows.

        Args:
            spectrum: spectral axis in any unit, in vacuum; flux [..., pixels] in any flux density
                (leading axes are flattened to rows); its mask marks pixels without data. Of its
                ``meta``, "names", "notes" and "lsf" are those of `to_specutils`.

        Raises:
            ValueError: where it has no uncertainty, or on wrong units.
        """
        from astropy.nddata import InverseVariance

        if spectrum.uncertainty is None:
            raise ValueError("expected a specutils spectrum with uncertainty; got none")
        axis = spectrum.spectral_axis
        with np.errstate(divide="ignore"):  # ivar 0 goes by way of an infinite variance
            ivar = spectrum.uncertainty.represent_as(InverseVariance).quantity
        if spectrum.mask is not None:
            ivar = np.where(spectrum.mask, 0, ivar.value) * ivar.unit
        # Frequencies and energies run the other way; for a length the order is the user's error.
        step = 1 if axis.unit.is_equivalent(u.AA) else -1
        rows = (-1, len(axis))
        return Spectra(
            u.Quantity(axis)[::step],
            u.Quantity(spectrum.flux).reshape(rows)[:, ::step],
            ivar.reshape(rows)[:, ::step],
            names=spectrum.meta.get("names", ()),
            notes=spectrum.meta.get("notes", ()),
            lsf=_lsf_of_meta(spectrum, step),
        )


def on_grid(
    obs: Spectra, wave: Float[np.ndarray, " pixels"], least: float = 0.5
) -> Spectra:
    """Spectra on the model's grid, without pixels of impossible precision.

    An inverse variance over 30 times the median of a spectrum is an accident of its reduction,
    and would outweigh all other pixels.

    Args:
        obs: Spectra.
        wave: The grid.
        least: Share of it, in ln(wavelength), that they must cover.

    Raises:
        ValueError: If they cover less.
    """
    accident = obs.ivar > 30 * row_medians(obs.ivar, obs.ivar > 0)[:, None]
    if accident.any():
        obs = replace(obs, ivar=np.where(accident, 0, obs.ivar))
    if obs.wave.shape == wave.shape and np.allclose(obs.wave, wave, rtol=1e-7):
        # to the last bit, or rows of several files would not join
        return obs if np.array_equal(obs.wave, wave) else replace(obs, wave=wave)
    low, high = max(obs.wave[0], wave[0]), min(obs.wave[-1], wave[-1])
    if np.log(max(high / low, 1)) < least * np.log(wave[-1] / wave[0]):
        share = "half" if least == 0.5 else f"{least:.0%}"
        raise ValueError(
            f"{obs.names[0]}: expected spectra that cover at least {share} of the model's "
            f"{wave[0]:.0f}-{wave[-1]:.0f} A; got {obs.wave[0]:.0f}-{obs.wave[-1]:.0f} A"
        )
    log.info("resampling %d spectra from %d to %d pixels", len(obs), len(obs.wave), len(wave))
    coarser = np.median(np.diff(wave)) > 1.5 * np.median(np.diff(obs.wave))
    return obs.resample(wave, weighted=bool(coarser))


def _lsf_of_meta(spectrum, step: int):
    """The line-spread functions of `to_specutils`, where no other rows or pixels were chosen."""
    lsf, rows = spectrum.meta.get("lsf"), spectrum.flux.size // spectrum.flux.shape[-1]
    fits = np.shape(lsf) in {(rows, 1), (rows, spectrum.flux.shape[-1])}
    return lsf[:, ::step] if fits and isinstance(lsf, u.Quantity) else None


def _specutils_class():
    import specutils

    return getattr(specutils, "Spectrum", None) or specutils.Spectrum1D
