"""Two objects in one spectrum: the evidence in closed form, and blends that are known."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from scipy.stats import multivariate_normal

import flowspec as fs
from benchmarks import blends
from benchmarks.adversarial import Sample
from flowspec import Flag
from flowspec.data.line_waves import WAVES
from flowspec.model.redshift_bins import RedshiftBins
from flowspec.posterior.blend import APART, ln_evidence, parted, second
from flowspec.posterior.reconstruction import Reconstruction

SIZE, COUNT, ROWS = 60, 3, 5
# Fluxes of a galaxy that forms stars (Kennicutt 1992, ApJ 388, 310), in units of its H-beta
FORMING = {"Halpha": 2.9, "Hbeta": 1.0, "Hgamma": 0.47, "[OIII]5007": 1.5, "[OIII]4959": 0.5,
           "[OII]3726": 1.3, "[OII]3729": 1.7, "[NII]6584": 0.9, "[NII]6548": 0.3,
           "[SII]6717": 0.5, "[SII]6731": 0.4}  # fmt: skip


@pytest.fixture
def toy():
    """A model of single objects whose numbers are random, and rows of two of them."""
    rng = np.random.default_rng(1)
    templates = rng.standard_normal((COUNT, 3 * SIZE)).astype(np.float32)
    root = 0.5 * rng.standard_normal((COUNT, COUNT)) + np.eye(COUNT)
    mean = np.array([1.0, 0.2, -0.3], np.float32)
    model = Reconstruction(templates, mean, np.linalg.inv(root @ root.T).astype(np.float32), 2)
    first, other = (rng.integers(0, SIZE, ROWS) for _ in range(2))
    weight = rng.uniform(10, 30, (ROWS, SIZE)).astype(np.float32)
    weight[:, 7] = 0
    noise = rng.standard_normal((2, ROWS, SIZE)) / np.sqrt(np.maximum(weight, 1))
    c = mean + rng.standard_normal((2, ROWS, COUNT)) @ root.T
    parts = [(a[:, None] @ model.seen(f, SIZE))[:, 0]
             for a, f in zip(c, (first, other), strict=True)]
    one, two = parts[0] + noise[0], parts[0] + parts[1] + noise[1]
    return model, first, other, weight, one.astype(np.float32), two.astype(np.float32), parts


def exact(model, starts, values, weight):
    """Log density of a row, by the covariance of its pixels."""
    covariance = np.linalg.inv(model.precision.astype(float)) + np.outer(model.mean, model.mean)
    good = weight > 0
    total = np.diag(1 / weight[good].astype(float))
    for start in starts:
        t = model.templates[:, start : start + 2 * SIZE : 2][:, good].astype(float)
        total += t.T @ covariance @ t
    return multivariate_normal(np.zeros(good.sum()), total).logpdf(values[good])


def test_evidence_is_the_density_of_the_data(toy):
    """Under normal coefficients data are normal, of a covariance of all pixels."""
    model, first, _, weight, values, *_ = toy
    moment = np.linalg.inv(model.precision) + np.outer(model.mean, model.mean)
    found = ln_evidence(model.seen(first, SIZE), np.linalg.inv(moment), values, weight)
    expected = [exact(model, [f], v, w) - exact(model, [], v, w)
                for f, v, w in zip(first, values, weight, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # single precision


@pytest.mark.parametrize("of_two", [False, True])
def test_evidence_for_two_is_over_the_likelier_one(toy, of_two):
    model, first, other, weight, one, two, parts = toy
    values = two if of_two else one
    found = parted(model, values, weight, first, other)
    assert (found.weight[:, 7] == 0).all() and (found.weight <= weight).all()
    if of_two:  # what no single object can be: far beyond what is asked for
        assert (found.ln_evidence > 20).all()
        error = (found.first - parts[0]) * np.sqrt(weight)
        assert error.std() < 1.5  # of the noise: three numbers of 59, correlated with three others
        return
    # no residual is beyond the clip, so that the weights are those of the model's own error
    expected = [exact(model, [f, o], v, w) - max(exact(model, [k], v, w) for k in (f, o))
                for f, o, v, w in zip(first, other, values, found.weight, strict=True)]
    np.testing.assert_allclose(found.ln_evidence, expected, atol=0.02)  # of sums of thousands
    assert (found.ln_evidence < 0).all()


def test_second_peak_is_no_wing_of_the_first():
    bins = RedshiftBins(0.0, 1.0, 1e-3)
    x = (np.arange(bins.bins) + 0.5) * 1e-3
    height = -np.abs(x - 0.2) * 1e3  # falls by 10 nats to the end of its window
    height = np.maximum(height, -40)
    for at, top in ((0.4, -15.0), (0.55, -22.0)):
        height = np.maximum(height, top - np.abs(x - at) * 1e3)
    found = second(bins, height[None], np.expm1([0.2]))
    assert np.log1p(found.z[0]) == pytest.approx(0.4, abs=1e-3)
    assert found.prominence[0] == pytest.approx(7, abs=1.1)  # a peak falls by 1 in a bin
    assert abs(np.log1p(found.z[0]) - 0.2) > APART


@pytest.fixture(scope="module")
def optical():
    return fs.load("optical")


def galaxy(wave, z, width=3.0):
    """A continuum with the lines of a galaxy that forms stars."""
    flux = np.full(len(wave), 1.0)
    for name, height in FORMING.items():
        sigma = width * (1 + z)
        flux += 2 * height * np.exp(-0.5 * ((wave - WAVES[name] * (1 + z)) / sigma) ** 2)
    return flux * (wave / 6000) ** -0.5


def test_galaxies_are_told_from_their_sum(optical):
    wave = optical.model.frame.wave
    one, other = galaxy(wave, 0.08), galaxy(wave, 0.31)
    rng = np.random.default_rng(3)
    flux = np.stack([one, other, one + 0.6 * other]) + 0.1 * rng.standard_normal((3, len(wave)))
    obs = fs.Spectra(wave, flux, np.full(flux.shape, 100.0))
    table = optical.summarize(obs, n=20)
    blend = (np.asarray(table["flags"]) & Flag.BLEND) > 0
    assert blend.tolist() == [False, False, True]
    found = sorted([table["z_best"][2], table["z_blend"][2]])
    assert found == pytest.approx([0.08, 0.31], abs=1e-3)  # bins are 0.0005 wide
    assert table["z_blend"].mask.tolist() == table["blend_ln_evidence"].mask.tolist() == [1, 1, 0]
    assert table["blend_ln_evidence"][2] > 20
    # known redshifts leave no other
    assert "z_blend" not in optical.given(z=0.08).summarize(obs[2:], n=20).colnames


def test_galaxy_behind_a_galaxy_of_the_survey(optical, data):
    """SDSS plate 2362, fibre 546: H-alpha, [N II], [O II] and H-beta of z = 0.1006 stand in the
    spectrum that the survey's pipeline puts at z = 0.0252 for its own."""
    import h5py

    with h5py.File(data / "spectra/sdss/sdss.h5") as file:
        names = [name.decode() for name in file["catalog"]["file"][:]]
    row = names.index("spec-2362-53759-0546.fits")
    obs = fs.read(data / "spectra/sdss/sdss.h5")[[row]]
    (found,) = optical.summarize(obs, n=20)
    assert found["flags"] & Flag.BLEND
    assert found["z_best"] == pytest.approx(0.0252, abs=1e-3)
    assert found["z_blend"] == pytest.approx(0.1006, abs=1e-3)


def test_benchmark_counts_blends_of_which_both_redshifts_are_right():
    z = MaskedColumn([0.3, 0.1, 0.5, 0.0], mask=[0, 0, 0, 1])
    flags = np.where(z.mask, 0, int(Flag.BLEND))
    found = Table({"z_best": [0.1, 0.3, 0.1, 0.1], "z_blend": z, "flags": flags})
    obs = fs.Spectra(np.linspace(4e3, 9e3, 8), np.ones((4, 8)), np.ones((4, 8)))
    score = blends.score(found, Sample(obs, np.tile([0.1, 0.3], (4, 1)), np.full(4, "GALAXY")))
    assert score == {"n": 4, "flagged": 0.75, "found": 0.5, "right of the flagged": 2 / 3}
