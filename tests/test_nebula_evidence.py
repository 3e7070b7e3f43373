"""The rule behind labels of nebulae, against the catalogue's own."""

import numpy as np

from benchmarks.nebula_classes import CLASSES
from benchmarks.nebula_evidence import curves, inside
from benchmarks.real_nebulae import ngc628


def test_curves_are_the_labels_of_the_catalogue(data):
    """Groves et al. (2023) have the classes from the same fluxes: all of 1,400 nebulae."""
    table, obs, _ = ngc628(data / "lines" / "phangs_ngc628")
    label = np.asarray(table["BPT_NII"]).astype(int)
    known = np.isin(label, [*CLASSES.values()])
    found = np.array([*CLASSES.values()])[curves(obs)]
    np.testing.assert_array_equal(found[known], label[known])
    assert known.sum() == 1400


def test_draws_within_limits_of_the_parameters_that_there_are():
    theta = np.array([[8.0, 0.05], [8.5, 0.5], [8.5, 0.95]])
    limits = {"oh": (8.2, 8.9), "mixing": (0.1, 0.9), "other": (0.0, 0.1)}
    assert inside(("oh", "mixing"), theta, limits).tolist() == [False, True, False]
    assert inside(("oh",), theta[:, :1], limits).tolist() == [False, True, True]
