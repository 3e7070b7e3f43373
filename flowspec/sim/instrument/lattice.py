"""Spectra on a logarithmic wavelength lattice, held as Fourier series.

On a lattice uniform in ln(wavelength), redshift is a shift and a velocity dispersion a convolution,
so both are exact multiplications of Fourier coefficients (Cappellari 2017, MNRAS 466, 798), and an
emission line is a pure phase: its profile and sub-pixel position need no oversampling.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike
from scipy.fft import next_fast_len

from flowspec.data.lsf import C_KMS


class Lattice(eqx.Module):
    """A periodic lattice in ln(wavelength): ``ln_wave[i] = start + step * i``.

    Args:
        start: Natural log of the first wavelength (angstrom).
        step: Spacing in ln(wavelength).
        size: Number of points (the period), even.
    """

    start: float = eqx.field(static=True)
    step: float = eqx.field(static=True)
    size: int = eqx.field(static=True)

    @classmethod
    def covering(cls, first: float, last: float, step: float) -> "Lattice":
        """The shortest lattice from ln-wavelength `first` past `last` with a fast FFT length."""
        size = int(np.ceil((last - first) / step)) + 1
        size = next_fast_len(size + size % 2, real=True)
        while size % 2:
            size = next_fast_len(size + 1, real=True)
        return cls(float(first), float(step), size)

    @classmethod
    def seen(
        cls, wave: np.ndarray, lsf: np.ndarray, step: float, z_low: float, z_high: float
    ) -> "Lattice":
        """Through the pixels of an instrument, so long that nothing wraps into view.

        Args:
            wave: Pixels in angstrom.
            lsf: Standard deviation of the line-spread function in km/s [pixels].
            step: Spacing of the pixels in ln(wavelength).
            z_low: Lowest redshift.
            z_high: Highest redshift.
        """
        margin = int(np.ceil(5 * lsf.max() / C_KMS / step)) + 64
        below = np.ceil(np.log((1 + z_high) / (1 + z_low)) / step) + margin
        return cls.covering(np.log(wave[0]) - step * below, np.log(wave[-1]) + margin * step, step)

    @property
    def wave(self) -> np.ndarray:
        """Wavelengths in angstrom [size]."""
        return np.exp(self.start + self.step * np.arange(self.size))

    @property
    def frequency(self) -> np.ndarray:
        """Angular frequencies in radians per unit of ln(wavelength) [size // 2 + 1]."""
        return 2 * np.pi * np.arange(self.size // 2 + 1) / (self.size * self.step)

    def of_spectra(self, wave: np.ndarray, power: np.ndarray) -> np.ndarray:
        """Fourier coefficients of spectra given as power per unit ln(wavelength).

        Args:
            wave: Wavelengths in angstrom [n].
            power: wavelength * L_wavelength [spectra, n].

        Returns:
            Real parts, then imaginary parts [spectra, 2 * freqs], single precision.
        """
        from scipy.interpolate import PchipInterpolator  # slow to load, and only simulators ask

        fine = Lattice(self.start, self.step / 2, self.size * 2)
        values = PchipInterpolator(np.log(wave), power, axis=-1)(np.log(fine.wave))
        return _real_pairs(np.fft.rfft(values)[:, : self.size // 2 + 1] / 2)

    def of_lines(self, wave: np.ndarray) -> np.ndarray:
        """Coefficients [lines, 2 * freqs] of delta functions of unit power at `wave` (angstrom)."""
        position = np.log(np.asarray(wave, float)) - self.start
        return _real_pairs(np.exp(-1j * np.outer(position, self.frequency)) / self.step)

    def broaden(self, sigma: ScalarLike) -> Float[Array, " freqs"]:
        """Transfer function of a Gaussian velocity dispersion `sigma` in km/s."""
        return jnp.exp(-0.5 * (jnp.asarray(self.frequency, jnp.float32) * sigma / C_KMS) ** 2)

    def shifted(
        self, pairs: Float[Array, "2 freqs"], ln_shift: ScalarLike
    ) -> Float[Array, " size"]:
        """The spectrum on the lattice, moved to longer wavelengths by `ln_shift` (ln(1 + z)).

        Args:
            pairs: Real and imaginary parts of its Fourier coefficients.
            ln_shift: Any fraction of a step.

        Returns:
            Power per unit ln(wavelength).
        """
        # whole turns go before the sine, which single precision could not hold after it
        turns = jnp.arange(pairs.shape[1]) * (ln_shift / (self.size * self.step))
        angle = 2 * jnp.pi * jnp.mod(turns, 1.0)
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        real, imaginary = pairs
        moved = jax.lax.complex(real * cos + imaginary * sin, imaginary * cos - real * sin)
        return jnp.fft.irfft(moved, self.size)


def _real_pairs(coefficients: np.ndarray) -> np.ndarray:
    """Complex [..., freqs] to real [..., 2 freqs]: real products are several times faster."""
    return np.concatenate([coefficients.real, coefficients.imag], -1).astype(np.float32)
