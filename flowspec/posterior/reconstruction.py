"""What simulations look like: a linear-Gaussian model of them, fitted to rows in closed form.

A row is ``A c + noise``, with the columns of ``A`` templates, shifted to the row's redshift where
there is one, and coefficients ``c`` of a normal distribution. Templates and that distribution are
learned from simulations by expectation and maximisation with the noise of every pixel known
(Tsalmantza & Hogg 2012, ApJ 753, 122; probabilistic principal components, Tipping & Bishop 1999,
J. R. Stat. Soc. B 61, 611). A few bad pixels must not bend a fit: weights fall beyond `CLIP`
standard deviations.
"""

from collections.abc import Iterator

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

COMPONENTS = 20
CLIP = 5.0
_ITERATIONS = 4
_REWEIGHTED = 2
_NUMBERS = 5_000_000  # of the templates of rows fitted at once
_STEEPEST = 2500.0  # largest weight in learning, lest the brightest rows own the templates


class Reconstruction(eqx.Module):
    """Templates and the normal distribution of their coefficients.

    Attributes:
        templates: [components, rest], in a rest frame of `stride` pixels per pixel of a row.
        mean: Of the coefficients.
        precision: Inverse covariance of the coefficients.
        stride: 2 where rows are shifted, by half pixels, else 1.
    """

    templates: Float[np.ndarray, "components rest"]
    mean: Float[np.ndarray, " components"]
    precision: Float[np.ndarray, "components components"]
    stride: int = eqx.field(static=True)

    @classmethod
    def learned(
        cls, values: Float[np.ndarray, "rows size"], weight: Float[np.ndarray, "rows size"],
        first: Int[np.ndarray, " rows"], rest: int, stride: int,
    ) -> "Reconstruction":  # fmt: skip
        """From simulations.

        Args:
            values: Rows.
            weight: Inverse variances, 0 where there is no data.
            first: Number of the rest-frame pixel where each row begins.
            rest: Length of the rest frame.
            stride: Of its pixels per pixel of a row.
        """
        size = values.shape[1]
        most = size + 1 if size <= 2 * COMPONENTS else COMPONENTS  # all there are, and the mean
        count = min(most, max(1, len(values) // 4))
        templates = _begun(values, weight, first, rest, stride, count)
        mean = np.eye(1, count, dtype=np.float32)[0]
        model = cls(templates, mean, np.eye(count, dtype=np.float32), stride)
        for _ in range(_ITERATIONS):
            model = model._improved(values, weight, first)
        return model

    def with_free(self, template: Float[np.ndarray, " rest"]) -> "Reconstruction":
        """The same with one more template, whose coefficient may be anything."""
        precision = np.pad(self.precision, (0, 1))
        precision[-1, -1] = 1e-4
        templates = np.concatenate([self.templates, template[None]]).astype(np.float32)
        return Reconstruction(templates, np.pad(self.mean, (0, 1)), precision, self.stride)

    def fitted(
        self, values: Float[np.ndarray, "rows size"], weight: Float[np.ndarray, "rows size"],
        first: Int[np.ndarray, " rows"],
    ) -> tuple[Float[np.ndarray, "rows size"], Float[np.ndarray, " rows"]]:  # fmt: skip
        """Residuals in standard deviations, and how unusual the coefficients are.

        A residual is that of a value predicted from all others (leave-one-out, in closed form)
        where rows are short; in long ones the difference is far below the noise.

        Returns:
            Residuals [rows, size], 0 where there is no data, and the squared Mahalanobis distance
            of the coefficients per component [rows].
        """
        residual, distance = np.zeros_like(values), np.zeros(len(values), np.float32)
        for part in self._parts(values):
            fit = self._fit(values[part], weight[part], first[part])
            residual[part] = fit.residual
            away = fit.coefficients - self.mean
            distance[part] = ((away @ self.precision) * away).mean(1)
            if values.shape[1] < 4 * len(self.mean):
                share = (fit.spread @ fit.templates) * fit.templates
                leverage = share.sum(1) * weight[part]
                residual[part] /= np.sqrt(np.clip(1 - leverage, 1e-3, 1))
        return residual, distance

    def _fit(self, values, weight, first) -> "_Fit":
        """Coefficients of a few rows, their covariance, and the weighted residuals."""
        size = values.shape[1]
        templates = self.seen(first, size)
        robust, root = weight, np.sqrt(weight)
        for _ in range(_REWEIGHTED):
            weighed = templates * robust[:, None]
            normal = weighed @ templates.swapaxes(1, 2) + self.precision
            right = (weighed @ values[..., None])[..., 0] + self.precision @ self.mean
            coefficients = np.linalg.solve(normal, right[..., None])[..., 0]
            model = (coefficients[:, None] @ templates)[:, 0]
            residual = (values - model) * root
            robust = weight / np.maximum(1, (residual / CLIP) ** 2)
        return _Fit(templates, coefficients, np.linalg.inv(normal), residual)

    def _parts(self, values) -> Iterator[slice]:
        """As many rows as are fitted at once."""
        rows = max(_NUMBERS // (len(self.mean) * values.shape[1]), 1)
        return (slice(i, i + rows) for i in range(0, len(values), rows))

    def seen(
        self, first: Int[np.ndarray, " rows"], size: int
    ) -> Float[np.ndarray, "rows components size"]:
        """The templates as rows see them that begin at these numbers of the rest-frame pixels."""
        places = (slice(f, f + self.stride * size, self.stride) for f in first)
        return np.stack([self.templates[:, place] for place in places])

    def _improved(self, values, weight, first) -> "Reconstruction":
        """One step of expectation and maximisation."""
        count, rest = self.templates.shape
        size, found = values.shape[1], []
        left = np.zeros((rest, count * count), np.float32)
        right = np.zeros((rest, count), np.float32)
        for part in self._parts(values):
            fit = self._fit(values[part], weight[part], first[part])
            c, found = fit.coefficients, [*found, fit]
            square = c[:, :, None] * c[:, None] + fit.spread
            robust = np.minimum(weight[part], _STEEPEST)
            robust = robust / np.maximum(1, (fit.residual / CLIP) ** 2)
            shifted = np.zeros((2, len(c), rest), np.float32)
            for row, f in enumerate(first[part]):
                place = slice(f, f + self.stride * size, self.stride)
                shifted[0, row, place] = robust[row]
                shifted[1, row, place] = robust[row] * values[part][row]
            left += shifted[0].T @ square.reshape(len(c), -1)
            right += shifted[1].T @ c
        c = np.concatenate([fit.coefficients for fit in found])
        spread = np.mean([fit.spread.mean(0) for fit in found], axis=0)
        covariance = np.atleast_2d(np.cov(c.T)) + spread + 1e-6 * np.eye(count)
        if self.stride > 1:  # half pixels that few rows share learn from their neighbours
            left, right = _shared(left), _shared(right)
        normal = left.reshape(rest, count, count) + 1e-3 * np.eye(count, dtype=np.float32)
        templates = np.linalg.solve(normal, right[..., None])[..., 0].T
        arrays = templates, c.mean(0), np.linalg.inv(covariance)
        return Reconstruction(*(a.astype(np.float32) for a in arrays), self.stride)


class _Fit(eqx.Module):
    templates: Float[np.ndarray, "rows components size"]
    coefficients: Float[np.ndarray, "rows components"]
    spread: Float[np.ndarray, "rows components components"]
    residual: Float[np.ndarray, "rows size"]


def _shared(sums: Float[np.ndarray, "rest columns"]) -> Float[np.ndarray, "rest columns"]:
    """Sums with half of those of both neighbours."""
    total = sums.copy()
    total[1:] += 0.5 * sums[:-1]
    total[:-1] += 0.5 * sums[1:]
    return total


def _begun(values, weight, first, rest: int, stride: int, count: int) -> np.ndarray:
    """The mean in the rest frame and principal components of what it leaves [count, rest]."""
    rows = np.argsort(-weight.sum(1))[: max(count, 1500)]  # the least noisy
    laid = np.zeros((2, len(rows), rest), np.float32)
    size = values.shape[1]
    for row, i in enumerate(rows):
        for half in range(stride):  # what falls between pixels is as the one before
            place = slice(first[i] + half, first[i] + stride * size, stride)
            laid[0, row, place], laid[1, row, place] = values[i], np.minimum(weight[i], _STEEPEST)
    mean = (laid[0] * laid[1]).sum(0) / np.maximum(laid[1].sum(0), 1e-9)
    away = np.where(laid[1] > 0, np.clip(laid[0] - mean, -CLIP, CLIP), 0)
    _, vectors = np.linalg.eigh(away @ away.T)
    others = vectors[:, ::-1][:, : count - 1].T @ away
    others /= np.sqrt((others**2).mean(1, keepdims=True)) + 1e-9
    return np.concatenate([mean[None], others]).astype(np.float32)
