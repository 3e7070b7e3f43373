"""The baselines of the benchmarks: a classical fitter and an M-TOPnet-like network."""

import numpy as np
import pytest

from benchmarks import classical, mtopnet, scores
from benchmarks.classical_templates import polynomials, prepare
from flowspec.data.line_names import GALAXY_LINES
from flowspec.sim.galaxy.nebula import load_nebula

PIXELS, REACH, STRIDE = 300, 80, 2
WAVE = np.geomspace(6400.0, 18000.0, PIXELS)
STEP = np.log(WAVE[1] / WAVE[0])


def templates(count: int = 3, degree: int = 1) -> classical.Templates:
    """Random smooth templates, trial redshifts from 0.6."""
    rng = np.random.default_rng(0)
    rough = rng.standard_normal((count, PIXELS + REACH))
    smooth = np.stack([np.convolve(row, np.ones(5), "same") for row in rough])
    shifts = round(np.log(1.6) / STEP) + STRIDE * np.arange(REACH // STRIDE + 1)
    terms = polynomials(WAVE, (9340.0, 14000.0), degree)
    return prepare(smooth, np.expm1(shifts * STEP), STRIDE, terms)


def weights(rng: np.random.Generator) -> np.ndarray:
    """Inverse variances of one spectrum with a gap."""
    ivar = rng.uniform(0.1, 2, PIXELS)
    ivar[180:200] = 0
    return ivar.astype(np.float32)


@pytest.mark.parametrize("degree", [-1, 0, 2])
def test_chi_squared_is_that_of_least_squares(degree):
    t, rng = templates(degree=degree), np.random.default_rng(1)
    flux, ivar = rng.standard_normal(PIXELS), weights(rng)
    flux[185] = np.nan  # no data, whatever it says
    _, _, chi2 = classical.fit(t, flux[None], ivar[None])
    for trial in (0, 1, 17, len(t.z) - 1):
        start = REACH - STRIDE * trial
        design = np.concatenate([t.basis[:, start : start + PIXELS], t.polynomials]).T
        root = np.sqrt(ivar)
        y = root * np.nan_to_num(flux)
        solution = np.linalg.lstsq(root[:, None] * design, y)[0]
        expected = ((y - root * (design @ solution)) ** 2).sum()
        assert chi2[0, trial] == pytest.approx(expected, rel=1e-5)


def test_a_template_without_data_changes_nothing():
    t, rng = templates(), np.random.default_rng(2)
    flux, ivar = rng.standard_normal((1, PIXELS)), weights(rng)[None]
    more = prepare(np.concatenate([t.basis, 0 * t.basis[:1], t.basis[:1]]), *t[1:4])
    np.testing.assert_allclose(classical.fit(more, flux, ivar)[2],
                               classical.fit(t, flux, ivar)[2], rtol=1e-6)


def test_noiseless_template_spectra_have_their_redshift():
    t, rng = templates(), np.random.default_rng(3)
    trials = np.array([2, 20, 37])
    flux = np.stack([
        rng.uniform(1, 2, 3) @ t.basis[:, REACH - STRIDE * k :][:, :PIXELS] for k in trials
    ])
    z, _, chi2 = classical.fit(t, flux, np.tile(weights(rng), (3, 1)))
    np.testing.assert_array_equal(chi2.argmin(1), trials)
    assert (chi2.min(1) < 1e-6 * np.median(chi2, 1)).all()
    np.testing.assert_allclose(np.log1p(z), np.log1p(t.z[trials]), atol=0.2 * STRIDE * STEP)


def test_confidence_falls_with_noise():
    t, rng = templates(), np.random.default_rng(4)
    clean = rng.uniform(1, 2, 3) @ t.basis[:, REACH - STRIDE * 20 :][:, :PIXELS]
    noise = rng.standard_normal((40, PIXELS))
    median = []
    for sigma in (1.0, 3.0, 30.0):
        ivar = np.tile(weights(np.random.default_rng(5)), (40, 1)) / sigma**2
        _, delta, _ = classical.fit(t, clean + noise / np.sqrt(np.where(ivar > 0, ivar, 1)), ivar)
        median.append(np.median(delta))
    assert median[0] > 3 * median[1] > 3 * median[2] > 0


def test_confidence_is_between_separate_minima():
    z = np.expm1(0.5 + 0.001 * np.arange(30))
    chi2 = np.full((2, 30), 50.0)
    chi2[0, [5, 6, 7, 8, 25]] = 14, 10, 14, 12, 19  # 8 is a minimum too near to count
    chi2[1] = 50 + np.arange(30)
    assert classical.confidence(z, chi2).tolist() == [9, 29]


def line_galaxies(n: int, noise: float):
    """Redshifts 0.6 to 1.2, flux and inverse variance of galaxies of one line and a slope."""
    rng = np.random.default_rng(6)
    z = rng.uniform(0.6, 1.2, n)
    rest = np.log(WAVE) - np.log1p(z)[:, None]
    shape = rng.uniform(-1, 1, (n, 1)) * (rest - np.log(5000))
    line = rng.uniform(1, 3, (n, 1)) * np.exp(-0.5 * ((rest - np.log(6564.6)) / (1.5 * STEP)) ** 2)
    flux = 1 + shape + line + noise * rng.standard_normal(rest.shape)
    ivar = np.full(flux.shape, noise**-2, np.float32)
    ivar[:, 200:205] = 0
    return z, flux.astype(np.float32), ivar


def test_learned_templates_give_redshifts_and_calibrated_densities():
    z, flux, ivar = line_galaxies(400, 0.1)
    t = classical.learn(z[:200], flux[:200], ivar[:200], WAVE, 4, limits=(0.6, 1.2), stride=1)
    np.testing.assert_allclose(t.basis @ t.basis.T, np.eye(4), atol=1e-8)
    found, _, chi2 = classical.fit(t, flux[200:], ivar[200:])
    assert np.mean(np.abs(found - z[200:]) / (1 + z[200:]) < STEP) > 0.97
    edges, density = classical.pdf(t.z, chi2)
    np.testing.assert_allclose((density * np.diff(edges)).sum(1), 1)
    chosen = classical.calibrate(t.z, chi2[:100], z[200:300])
    nll = scores.binned_nll(*classical.pdf(t.z, chi2[100:], **chosen), z[300:])
    assert nll < -2  # flat: log 0.6 = -0.5; one pixel: log(0.0065) = -5


def test_binned_likelihood():
    edges, density = np.array([0.0, 1.0, 3.0]), np.array([[0.5, 0.25], [0.2, 0.4]])
    assert scores.binned_nll(edges, density, np.array([0.5, 1.0])) == pytest.approx(
        -np.log([0.5, 0.4]).mean())
    assert scores.binned_nll(edges, density, np.array([0.5, 3.5])) == np.inf


def test_lines_are_where_the_nebular_table_has_them():
    assert len(GALAXY_LINES) == 42
    assert all(1200 < wave < 12000 for wave in GALAXY_LINES.values())
    table = load_nebula()
    ours = {name: wave for name, wave in GALAXY_LINES.items() if name in table.names}
    assert len(ours) > 20
    for name, wave in ours.items():
        assert wave == pytest.approx(table.wave[table.names.index(name)], abs=0.1)


def labelled(n: int, noise: float):
    """`line_galaxies` with labels that the mean flux and the redshift decide."""
    z, flux, ivar = line_galaxies(n, noise)
    brightness = np.random.default_rng(7).uniform(-1, 1, n)
    scale = np.float32(10**brightness)[:, None]
    theta = np.stack([z, 10 + brightness, z - 1], axis=1)
    return theta, flux * scale, ivar / scale**2


def best_redshift(found: mtopnet.Prediction) -> np.ndarray:
    """Centre of the most probable bin."""
    return found.edges[found.pdf.argmax(1)] + mtopnet.BIN / 2


SMALL = {"widths": (32, 32), "hidden": 64, "window": 51, "limits": (0.6, 1.2)}


@pytest.mark.slow
def test_network_learns_a_line_and_the_labels():
    theta, flux, ivar = labelled(2560, 0.1)
    test = slice(2048, None)
    train = theta[:2048], flux[:2048], ivar[:2048]
    state = mtopnet.train(*train, WAVE, epochs=6, validation=256, batch=32, **SMALL)
    flux[:, 202] = np.nan  # no data, whatever it says
    found = mtopnet.predict(state, flux[test], ivar[test])
    # single precision of sums of some hundred shares
    np.testing.assert_allclose((found.pdf * np.diff(found.edges)).sum(1), 1, atol=1e-5)
    error = np.abs(best_redshift(found) - theta[test, 0])
    assert np.mean(error < 0.01) > 0.97 and np.median(error) < mtopnet.BIN
    assert scores.binned_nll(found.edges, found.pdf, theta[test, 0]) < -3.5  # flat: -0.5
    assert np.std(found.log_mstar - theta[test, 1]) < 0.2  # labels: 0.58
    assert np.std(found.log_sfr - theta[test, 2]) < 0.06  # labels: 0.17
    assert state.history[-1, 1] < 0.5 * state.history[0, 1]


@pytest.mark.slow
def test_network_overfits_a_few_spectra():
    theta, flux, ivar = labelled(64, 0.3)
    state = mtopnet.train(theta, flux, ivar, WAVE, epochs=70, validation=0, batch=64, dropout=0.0,
                          **SMALL)
    found = mtopnet.predict(state, flux, ivar)
    assert np.abs(best_redshift(found) - theta[:, 0]).max() < 0.55 * mtopnet.BIN
    assert np.std(found.log_mstar - theta[:, 1]) < 0.03


def test_lines_to_locate_are_within_five_channels():
    z, highest = 0.9, 1.2
    mask = mtopnet.line_mask(WAVE, highest)
    start = len(mask) - PIXELS - round(np.log1p(z) / STEP)
    seen = np.array(list(GALAXY_LINES.values())) * (1 + z)
    distance = np.abs(np.log(WAVE[:, None] / seen)).min(1) / STEP
    wrong = mask[start : start + PIXELS] != (distance <= 5)
    assert np.abs(distance[wrong] - 5).max(initial=0) < 0.51  # shifts are whole pixels
