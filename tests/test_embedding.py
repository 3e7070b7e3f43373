"""Maps of summaries: principal components are those of the covariance, UMAP keeps neighbours."""

import sys

import numpy as np
import pytest

from flowspec.check.embedding import embed_2d


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three clouds ten sigma apart in 16 dimensions, and whose each point is."""
    rng = np.random.default_rng(1)
    which = np.arange(150) % 3
    centres = 10 * np.eye(16)[:3]
    return (centres[which] + rng.normal(size=(150, 16))).astype(np.float32), which


def test_principal_components_are_those_of_the_correlation_matrix():
    rng = np.random.default_rng(0)
    features = rng.gamma(2.0, size=(400, 5)) @ rng.normal(size=(5, 5)) * [1, 9, 0.1, 3, 1] + 4
    points = embed_2d(features, method="pca")
    values, vectors = np.linalg.eigh(np.corrcoef(features.T))
    np.testing.assert_allclose(points.var(0), values[[-1, -2]], rtol=1e-6)
    standard = (features - features.mean(0)) / features.std(0)
    np.testing.assert_allclose(np.abs(points), np.abs(standard @ vectors[:, [-1, -2]]), atol=1e-9)
    assert ((points**3).sum(0) > 0).all()  # the sign of an axis is not left to chance


def test_a_constant_feature_changes_nothing():
    features = blobs()[0]
    more = np.column_stack([features, np.full(150, 7.0, np.float32)])
    # single precision, in which features are held
    np.testing.assert_allclose(
        embed_2d(more, method="pca"), embed_2d(features, method="pca"), atol=1e-4
    )


@pytest.mark.slow  # its compilation takes half a minute
def test_umap_keeps_neighbours_and_repeats_itself():
    pytest.importorskip("umap", reason="needs umap-learn", exc_type=ModuleNotFoundError)
    features, which = blobs()
    points = embed_2d(features, seed=3, neighbours=15)
    apart = np.linalg.norm(points[:, None] - points, axis=-1) + 1e9 * np.eye(150)
    assert (which[apart.argmin(1)] == which).all()
    np.testing.assert_array_equal(points, embed_2d(features, seed=3, neighbours=15))


def test_without_umap_the_extra_and_the_other_way_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"flowspec\[umap\].*method='pca'"):
        embed_2d(blobs()[0])
    assert embed_2d(blobs()[0], method="pca").shape == (150, 2)


@pytest.mark.parametrize(
    ("features", "method", "message"),
    [(np.ones((3, 5)), "pca", "at least 4 spectra; got 3"),
     (np.full((9, 5), np.nan), "pca", "9 of them not finite"),
     (np.ones((9, 5)), "tsne", "expected a method of .* got 'tsne'")],
)
def test_what_cannot_be_mapped_is_refused(features, method, message):
    with pytest.raises(ValueError, match=message):
        embed_2d(features, method=method)
