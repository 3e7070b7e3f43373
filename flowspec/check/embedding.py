"""A map in two dimensions of what the network has learned of each spectrum."""

import warnings

import numpy as np
from jaxtyping import Float

METHODS = ("umap", "pca")


def embed_2d(
    summaries: Float[np.ndarray, "batch features"],
    *,
    method: str = "umap",
    seed: int = 0,
    neighbours: int = 30,
) -> Float[np.ndarray, "batch 2"]:
    """Two coordinates of each spectrum, such that alike spectra lie close together.

    Features are brought to zero mean and unit variance first. "umap" keeps neighbourhoods and
    loses distances (McInnes et al. 2018, arXiv:1802.03426); it needs the package umap-learn.
    "pca" are the first two principal components, in units of the features' scatter.

    Args:
        summaries: Of `Posterior.summaries`.
        method: One of `METHODS`.
        seed: Of UMAP's random start; the same gives the same map.
        neighbours: Spectra that make a neighbourhood in UMAP, at most all the others.

    Raises:
        ValueError: On an unknown method, fewer than 4 spectra, or features that are not finite.
        ImportError: If umap-learn is asked for and not installed.
    """
    if method not in METHODS:
        raise ValueError(f"expected a method of {METHODS}; got {method!r}")
    if len(summaries) < 4 or not np.isfinite(summaries).all():
        raise ValueError(
            f"expected finite summaries of at least 4 spectra; got {len(summaries)}, "
            f"{np.sum(~np.isfinite(summaries).all(1))} of them not finite"
        )
    scatter = summaries.std(0)
    features = (summaries - summaries.mean(0)) / np.where(scatter > 0, scatter, 1)
    if method == "pca":
        return principal_components(features)
    neighbours = min(neighbours, len(features) - 1)
    # one thread, without which UMAP is not reproducible, and a spectral start where there can be
    start = "spectral" if len(features) > 50 else "random"
    reducer = _umap()(n_neighbors=neighbours, init=start, random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(features))


def principal_components(
    features: Float[np.ndarray, "batch features"],
) -> Float[np.ndarray, "batch 2"]:
    """The two of largest variance, in decreasing order, each signed to have positive skew."""
    centred = features - features.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    scores = centred @ axes[:2].T
    return scores * np.where((scores**3).sum(0) < 0, -1, 1)


def _umap():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # of its part that needs tensorflow
            from umap import UMAP
    except ModuleNotFoundError as error:
        raise ImportError(
            f"expected the package umap-learn ({error}): pip install 'flowspec[umap]', "
            "or choose method='pca'"
        ) from None
    return UMAP
