"""Artefacts are of the size and in the place that they say, and verdicts count what they should."""

from functools import partial

import equinox as eqx
import jax.random as jr
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

import flowspec as fs
from benchmarks import adversarial, artefacts
from benchmarks.adversarial import Sample
from flowspec import Flag
from flowspec.prior.parameters import broad_prior
from flowspec.sim.star.simulator import StarSimulator
from tests.problems import line_simulator

WAVE = np.arange(3600.0, 10000.0, 1.0)
ROWS = 60
LINES = np.array([[5578.89, 3.55], [7000.0, 1e-4]])  # [O I], and one of no contrast
EVERY = {
    "hot pixel": artefacts.hot_pixel,
    "trough": artefacts.trough,
    "airglow": partial(artefacts.airglow, lines=LINES),
    "steps": partial(artefacts.steps, joins=artefacts.DESI),
    "blend": lambda rng, flux, ivar, wave: artefacts.blend(
        rng, flux, ivar, wave, (flux[::-1], ivar[::-1])
    ),
}


def rng():
    return np.random.default_rng(0)


def flat(level=3.0, ivar=4.0):
    """A continuum of one level [rows, pixels] without noise, and its inverse variance."""
    return np.full((ROWS, len(WAVE)), level), np.full((ROWS, len(WAVE)), ivar)


@pytest.mark.parametrize("name", EVERY)
def test_every_artefact_is_that_of_its_seed_and_leaves_pixels_without_data(name):
    flux, ivar = flat()
    lost = np.zeros(flux.shape, bool)
    lost[:, 2000:2100] = lost[:, 4990:5000] = True
    lost[7] = True
    flux, ivar = np.where(lost, 0, flux), np.where(lost, 0, ivar)
    before = flux.copy(), ivar.copy()
    new = EVERY[name](rng(), flux, ivar, WAVE)
    again = EVERY[name](rng(), flux, ivar, WAVE)
    np.testing.assert_array_equal(new, again)
    np.testing.assert_array_equal((flux, ivar), before)  # what came in is as it was
    assert np.isfinite(new).all() and (new[0] != flux).any()
    assert (new[0][lost] == 0).all() and (new[1][lost] == 0).all()
    if name != "blend":  # which has the pixels that both rows have
        assert (new[1][~lost] > 0).all()


def test_hot_pixels_are_one_to_three_neighbours_of_10_to_100_sigma():
    flux, ivar = flat()
    hot, told = artefacts.hot_pixel(rng(), flux, ivar, WAVE)
    height = (hot - flux) * 2  # sigma is 1/2
    count = (height != 0).sum(1)
    assert set(count) == {1, 2, 3}
    for row, n in zip(height, count, strict=True):
        at = np.flatnonzero(row)
        assert at[-1] - at[0] == n - 1
        assert (row[at] > 10 - 1e-9).all() and (row[at] < 100 + 1e-9).all()
    np.testing.assert_array_equal(told, ivar)
    # log-uniform: the mean of the logarithm is 1.5, the deviation 1/sqrt(12); 4 standard errors
    log = np.log10(height[height != 0])
    assert log.mean() == pytest.approx(1.5, abs=4 * 12**-0.5 / len(log) ** 0.5)


def test_troughs_are_gaussians_of_known_place_width_and_equivalent_width():
    flux, ivar = flat()
    new, told = artefacts.trough(rng(), flux, ivar, WAVE)
    lost = 1 - new / flux
    depth, equivalent = lost.max(1), lost.sum(1)  # pixels of 1 A
    centre = (lost * WAVE).sum(1) / equivalent
    width = (lost > depth[:, None] / 2).sum(1)
    # within one pixel of either side
    expected = depth * width * np.sqrt(np.pi / np.log(2)) / 2
    np.testing.assert_allclose(equivalent, expected, rtol=0.02)
    assert (centre > 8550).all() and (centre < 8650).all()
    assert 99 <= width.min() < 130 and 270 < width.max() <= 301
    assert 0.0999 <= depth.min() < 0.15 and 0.35 < depth.max() <= 0.4
    np.testing.assert_array_equal(told, ivar)
    assert np.abs(lost[:, WAVE < 7800]).max() < 1e-7  # beyond 2.5 of the largest FWHM


def test_troughs_take_from_the_continuum_and_not_from_the_noise():
    flux, ivar = flat()
    noise = rng().normal(size=flux.shape) / 2
    clean, _ = artefacts.trough(rng(), flux, ivar, WAVE)
    noisy, _ = artefacts.trough(rng(), flux + noise, ivar, WAVE)
    # but for the median of 600 pixels: 1.25 * 0.5 / sqrt(600), of which up to 0.4 is taken
    assert np.abs(noisy - noise - clean).max() < 4 * 0.4 * 1.25 * 0.5 / 600**0.5


def test_residuals_of_sky_lines_have_one_share_and_the_height_and_width_that_is_said():
    flux, ivar = flat()
    left = (artefacts.airglow(rng(), flux, ivar, WAVE, LINES)[0] - flux) * 2  # in sigma
    peaks = left[:, np.abs(WAVE - 5579) < 20], left[:, np.abs(WAVE - 7000) < 20]
    strong, faint = (np.take_along_axis(p, np.abs(p).argmax(1)[:, None], 1)[:, 0] for p in peaks)
    np.testing.assert_allclose(strong / faint, strong[0] / faint[0], rtol=1e-6)
    # the faint line has L << 1: f S L at its centre, L = flux / (sqrt(2 pi) sigma SKY)
    sigma = 7000 / 2000 / 2.3548
    share = faint / (20 * 1e-4 / (2.5066 * sigma * 0.03))
    assert (np.abs(share) > 0.0099).all() and (np.abs(share) < 0.0501).all()
    assert (share < 0).any() and (share > 0).any()
    contrast = 3.55 / (2.5066 * 5578.89 / 2000 / 2.3548 * 0.03)
    expected = share * 20 * contrast / np.sqrt(1 + contrast)
    np.testing.assert_allclose(strong, expected, rtol=0.01)  # the next pixel is 0.11 A away
    area = peaks[1].sum(1)  # of pixels of 1 A
    np.testing.assert_allclose(area, faint * sigma * 2.5066, rtol=1e-3)
    assert np.abs(left[:, np.abs(WAVE - 6300) < 600]).max() == 0


def test_steps_leave_the_first_arm_alone_and_the_signal_to_noise_ratio_everywhere():
    flux, ivar = flat()
    new, told = artefacts.steps(rng(), flux, ivar, WAVE, artefacts.DESI)
    np.testing.assert_allclose(new * np.sqrt(told), flux * np.sqrt(ivar))
    blue, red, near = (
        new[:, (WAVE > low) & (WAVE <= high)] / 3
        for low, high in ((0, 5800), (5800, 7500), (7500, 1e5))
    )
    assert (blue == 1).all()
    for arm, before in ((red, blue), (near, red)):
        assert np.ptp(arm, axis=1).max() == 0
        step = arm[:, 0] / before[:, 0] - 1
        assert (np.abs(step) > 0.0999).all() and (np.abs(step) < 0.4001).all()
        assert (step < 0).any() and (step > 0).any()


def test_blends_add_the_partner_and_its_noise():
    flux, ivar = flat()
    flux[1::2], ivar[1::2] = 12.0, 1.0
    ivar[1, :100] = 0
    partner = np.arange(ROWS) ^ 1  # even and odd rows of a pair
    new, told = artefacts.blend(rng(), flux, ivar, WAVE, (flux[partner], ivar[partner]))
    ratio = new[:, 200] / flux[:, 200] - 1
    assert 0.3 <= ratio.min() < 0.4 and 0.9 < ratio.max() <= 1
    scale = ratio * np.where(np.arange(ROWS) % 2, 4.0, 0.25)
    variance = 1 / ivar[:, 200] + scale**2 / ivar[partner, 200]
    np.testing.assert_allclose(told[:, 200], 1 / variance)
    assert (told[:2, :100] == 0).all() and (told[2:] > 0).all()


def test_partners_have_other_redshifts():
    z, others = np.random.default_rng(1).uniform(0, 0.3, (2, 50))
    partner = artefacts.partners(rng(), z, others)
    assert (np.abs(others[partner] - z) > 0.03 * (1 + z)).all()
    with pytest.raises(ValueError, match="expected a redshift more than 0.03"):
        artefacts.partners(rng(), z, np.full(5, z[0]))


def test_objects_further_away_have_their_lines_where_the_redshift_says():
    wave = 10 ** (3.6 + 1e-4 * np.arange(4000))
    z = np.array([0.01, 0.04])
    flux = np.exp(-0.5 * ((wave / (5008.24 * (1 + z[:, None])) - 1) / 3e-4) ** 2)
    near = Sample(fs.Spectra(wave, flux, np.ones(flux.shape)), z[:, None], np.array(["GALAXY"] * 2))
    far = adversarial.further(near)
    np.testing.assert_allclose(far.z[:, 0], (1 + z) * 10**0.04 - 1, rtol=1e-6)
    at = (far.obs.flux * wave).sum(1) / far.obs.flux.sum(1)
    np.testing.assert_allclose(at, 5008.24 * (1 + far.z[:, 0]), rtol=1e-5)
    assert (far.obs.ivar[:, :400] == 0).all() and (far.obs.ivar[:, 400:] == 1).all()


def test_metal_poor_dwarfs_are_at_the_corner_of_the_prior():
    prior = artefacts.metal_poor(broad_prior())
    theta = dict(zip(prior.names, np.asarray(prior.sample(jr.key(0), (200,))).T, strict=True))
    assert (theta["z"] >= 0.001).all() and (theta["z"] <= 0.01).all()
    assert (theta["log_mstar"] >= 7).all() and (theta["log_mstar"] <= 8).all()
    assert (theta["oh"] < 7.74).all() and (theta["av"] < 0.05).all()
    assert (theta["log_sfr"] - theta["log_mstar"] > -8.11).all()  # within 0.1 of -8, and rounding
    assert (broad_prior().log_prob(np.stack(list(theta.values()), 1)) > -np.inf).all()


def line_spectra(key):
    """Of flux 1 and noise 1/2 but for a line."""
    return adversarial.of_kinds(line_simulator(), key)._replace(kinds=np.full(256, "GALAXY"))


def sample(z, kinds):
    return Sample(None, np.asarray(z, float), np.asarray(kinds))


def test_verdicts_by_hand():
    """Right; off by 0.02 and told; off by 0.02 at z 2; of another class; not sure; no answer."""
    z = [[0.5], [0.5], [2.0], [0.5], [0.5], [0.5]]
    found = Table({
        "z_best": MaskedColumn([0.501, 0.52, 2.02, 0.5, 0.9, 0.0], mask=[0, 0, 0, 0, 0, 1]),
        "z_prob": MaskedColumn([0.95, 0.9, 0.99, 0.92, 0.5, 0.0], mask=[0, 0, 0, 0, 0, 1]),
        "flags": [0, int(Flag.UNLIKE_DATA), 0, int(Flag.UNSURE_SOURCE), 0,
                  int(Flag.OUT_OF_DISTRIBUTION)],
    })  # fmt: skip
    truth = sample(z, ["GALAXY"] * 6)
    out = adversarial.verdict(found, truth)
    assert out["n"] == 6 and out["sure"] == pytest.approx(4 / 6)
    assert out["sure and wrong"] == pytest.approx(1 / 6)
    assert out["of these flagged"] == 1 and out["flagged"] == pytest.approx(2 / 6)
    found["class"] = ["GALAXY"] * 3 + ["QSO"] + ["GALAXY"] * 2
    out = adversarial.verdict(found, truth)
    assert out["sure and wrong"] == pytest.approx(2 / 6) and out["of these flagged"] == 0.5


def test_either_redshift_of_a_blend_is_right():
    found = Table({"z_best": [0.1, 0.3, 0.2], "z_prob": [0.99] * 3, "flags": [0] * 3})
    out = adversarial.verdict(found, sample([[0.1, 0.3]] * 3, ["GALAXY"] * 3))
    assert out["sure and wrong"] == pytest.approx(1 / 3)


def test_upper_limits_of_shares():
    """None of n: 1 - 0.05^(1/n); one of two: the root of 1 - p^2 = 0.05; all."""
    assert adversarial.at_most(0, 500) == pytest.approx(1 - 0.05 ** (1 / 500))
    assert adversarial.at_most(1, 2) == pytest.approx(0.95**0.5)
    assert adversarial.at_most(2, 2) == 1


def test_drawn_objects_suit_and_have_the_wanted_signal_to_noise_ratios(monkeypatch):
    found = adversarial.drawn(line_spectra, jr.key(0), 300, lambda s: s.z[:, 0] < 0.2)
    assert found.z.shape == (300, 1) and len(found.obs) == 300
    assert (found.z > 0.1).all() and (found.z < 0.2).all()
    assert (found.obs.snr > 0.5).all() and (found.obs.snr < 20).all()
    # the line is where the redshift says: 5000 A (1 + z), 1 to 10 high with noise of 0.5
    at = found.obs.wave[np.asarray(found.obs.flux).argmax(1)]
    bright = np.asarray(found.obs.flux).max(1) > 4
    np.testing.assert_allclose(at[bright], 5000 * (1 + found.z[bright, 0]), rtol=0.02)
    monkeypatch.setattr(adversarial, "_TRIES", 2)
    with pytest.raises(ValueError, match="expected 10 simulations that suit"):
        adversarial.drawn(line_spectra, jr.key(0), 10, lambda s: s.z[:, 0] < 0)


def test_of_the_simulators_own_prior_spectra_are_its_own(monkeypatch):
    """To a hundredth of the noise: sums are rounded in another order."""
    monkeypatch.setattr(adversarial, "_AT_ONCE", 8)
    sim, key = StarSimulator("sdss"), jr.key(3)
    theta, _, (flux, ivar) = eqx.filter_jit(StarSimulator.simulate)(sim, key, 8)
    found = adversarial.of_prior(sim, sim.prior, key)
    np.testing.assert_allclose(found.z[:, 0], theta[:, sim.prior.names.index("z")], rtol=1e-6)
    np.testing.assert_allclose(found.obs.ivar, ivar, rtol=1e-3)
    assert np.abs((found.obs.flux - flux) * np.sqrt(ivar)).max() < 0.01


def test_models_without_kinds_of_objects_get_galaxies_within_their_redshifts(tiny_model):
    suits = adversarial.known(tiny_model)
    z, kinds = [[0.3], [0.3], [0.9]], ["GALAXY", "STAR", "GALAXY"]
    np.testing.assert_array_equal(suits(sample(z, kinds)), [True, False, False])


def test_redshifts_of_other_spectra_are_sure_and_wrong(tiny_model):
    """An artefact that exchanges spectra changes how many are right, and not how many are sure."""
    objects = adversarial.drawn(line_spectra, jr.key(1), 100, adversarial.known(tiny_model))
    obs = adversarial.injected(lambda _, flux, ivar, wave: (flux[::-1], ivar), None, objects.obs)
    changed = {"exchanged": objects._replace(obs=obs)}
    summarize = partial(tiny_model.summarize, n=50)
    out = adversarial.compared(summarize, objects, changed)["exchanged"]
    before = out["without"]
    assert before["sure"] > 0.3 and out["sure"] == before["sure"]
    # a row of probability 0.9 or more is wrong in 10 % of the cases at most; 4 standard errors
    assert before["sure and wrong"] < 0.1 + 4 * (0.09 / 100) ** 0.5
    # by chance within 0.013, either way, of 0.4: 7 %
    assert out["sure and wrong"] > (1 - 0.07 - 4 * (0.07 / 30) ** 0.5) * out["sure"]
