"""The benchmarks' own arithmetic: the toy generator, the scores, the harness."""

import json
from dataclasses import replace

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from benchmarks import (
    calibration,
    harness,
    learned,
    maps,
    moons,
    nebula_classes,
    scores,
    throughput,
    toy,
)  # fmt: skip
from benchmarks.__main__ import BENCHMARKS, main
from flowspec import Flag
from flowspec.data.lines import State
from flowspec.sim.nebula.catalogues import NebulaSimulator
from tests.test_line_noise import catalogue
from tests.test_nebula_lines import HII, grid


def test_toy_prior_density_is_the_published_one():
    middle = jnp.array([0.2, 0.25, 0.05, 0.0])
    assert float(toy.prior().log_prob(middle)) == pytest.approx(-1.28, abs=0.005)


def test_toy_data_are_those_of_the_seed():
    theta, flux = toy.generate(3)
    assert theta.shape == (3, 4) and flux.shape == (3, 2048) and flux.dtype == np.float32
    rng = np.random.default_rng(20261122)
    drawn = rng.uniform([0, -0.5, -0.7, -2], [0.4, 1, 0.8, 2], (11000, 4))
    np.testing.assert_allclose(theta, drawn[:3], atol=2e-7)  # single precision of up to 2
    noise = rng.standard_normal((11000, 2048), np.float32)[:3] * 0.3
    clean = toy.spectrum(drawn[:3].T[..., None])
    np.testing.assert_allclose(flux - clean, noise, atol=2e-6)


def test_toy_halpha_has_its_height_place_and_width():
    z, log_a = 0.1, 0.5
    with_lines = toy.spectrum((z, log_a, 0.0, 0.0))
    lines = with_lines - toy.spectrum((z, -np.inf, 0.0, 0.0))
    velocity = np.log(toy.WAVE / (6564.6 * (1 + z))) * 299792.458
    near = np.abs(velocity) < 300  # [N II] is 650 km/s away, below 1e-2 of Halpha there
    assert near.sum() >= 4
    np.testing.assert_allclose(lines[near], 10**0.5 * np.exp(-0.5 * (velocity[near] / 200) ** 2),
                               rtol=0.1, atol=0.02)
    tall = np.abs(velocity) < 80
    np.testing.assert_allclose(lines[tall], 10**0.5 * np.exp(-0.5 * (velocity[tall] / 200) ** 2),
                               rtol=0.005)


@pytest.mark.parametrize("ratio", [-0.7, 0.8])
def test_toy_oxygen_lines_alone_follow_the_ratio(ratio):
    at = [np.argmin(np.abs(toy.WAVE - w)) for w in (5008.2, 4862.7)]
    continuum = toy.spectrum((0.0, -np.inf, 0.0, 0.0))
    changed, plain = (toy.spectrum((0.0, 0.3, r, 0.0)) - continuum for r in (ratio, 0.0))
    np.testing.assert_allclose(changed[at] / plain[at], [10**ratio, 1], rtol=1e-3)


def test_toy_break_and_slope():
    flux = toy.spectrum((0.0, -np.inf, 0.0, 1.0)) / (toy.WAVE / 6500)
    np.testing.assert_allclose(np.interp([3640, 4000, 9000], toy.WAVE, flux),
                               [1 - 0.35 / (1 + np.exp(-6)), 1 - 0.35 / 2, 1], rtol=1e-4)


def test_toy_in_jax_is_toy_in_numpy():
    theta = np.array([0.2, 0.4, -0.3, 1.5])
    np.testing.assert_allclose(toy.flux(None, jnp.asarray(theta)), toy.spectrum(theta), rtol=2e-3)


def test_redshift_scores():
    truth = np.array([0.0, 0.0, 1.0, 3.0])
    out = scores.redshift(truth + [0.002, 0.005, 0.006, 0.02], truth, (0.003, 0.01), (0.01,))
    assert out["share dz/(1+z)<0.003"] == 0.25  # 0.002, 0.005, 0.003, 0.005
    assert out["share dz/(1+z)<0.01"] == 1
    assert out["share dz<0.01"] == 0.75
    assert out["median dz/(1+z)"] == pytest.approx(0.004)


def test_label_scores_are_about_the_median_offset_and_skip_unlabelled():
    label = np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])
    median = label + 1 + np.array([-0.2, -0.1, 0, 0.1, 9, 0])
    out = scores.against_labels(median - 0.95, median, median + 0.5, label)
    assert out["n"] == 5 and out["offset"] == pytest.approx(1)
    assert out["nmad"] == pytest.approx(1.4826 * 0.1)
    assert out["inside_68"] == pytest.approx(2 / 5)  # labels 0.8 and 0.9 below the median
    assert out["inside_68 less offset"] == pytest.approx(4 / 5)


def test_purity_keeps_ties_together():
    probability = np.array([0.9, 0.8, 0.8, 0.5])
    right = np.array([True, True, False, True])
    kept = scores.purity(probability, right, (0.7, 0.9, 1.0))
    assert list(kept.values()) == [1.0, 0.25, 0.25]
    assert scores.purity(probability, ~right, (0.9,)) == {"kept at purity 0.9": 0.0}


def test_flag_shares():
    out = scores.flag_shares([0, int(Flag.NO_DATA | Flag.AT_PRIOR_EDGE), int(Flag.NO_DATA), 0])
    assert (out["no_data"], out["at_prior_edge"], out["none"]) == (0.5, 0.25, 0.5)


def test_halves_depend_on_the_name_alone():
    names = [f"spec-{i}.fits" for i in range(400)]
    report = scores.report_half(names)
    assert 0.4 < report.mean() < 0.6
    np.testing.assert_array_equal(scores.report_half(names[::-1])[::-1], report)
    halves = scores.in_halves(names, lambda mask: {"n": int(mask.sum())})
    assert halves["all"]["n"] == 400 == halves["look"]["n"] + halves["report"]["n"]


def test_calibration_scores_of_the_exact_posterior_of_a_known_problem():
    rng = np.random.default_rng(0)
    theta = rng.standard_normal((1000, 2))
    seen = theta + rng.standard_normal(theta.shape)  # posterior: normal, mean x/2, variance 1/2
    exact = seen / 2 + rng.standard_normal((200, *theta.shape)) * np.sqrt(0.5)
    box = theta.min(0), theta.max(0)
    good = calibration.score(exact, theta, ("a", "b"), box, 0)
    narrow = calibration.score(seen / 2 + (exact - seen / 2) / 2, theta, ("a", "b"), box, 0)
    assert good["largest ks"] < good["ks_critical_95"] * 1.1 < narrow["largest ks"]
    assert good["tarp_deviation"] < 0.03 < narrow["tarp_deviation"]


def test_cost_of_a_matrix_product_is_counted_right():
    a = jnp.ones((64, 64))
    assert throughput.cost(throughput.compiled(jnp.matmul, a, a))["flops"] == 2 * 64**3


def test_peak_memory_sees_an_array():
    _, peak, extra = harness.peak_memory(lambda: np.ones(2**25).sum())  # 0.25 GB
    assert np.isnan(extra) or (0.2 < extra < 0.35 and peak > extra)


def test_json_is_strict_and_atomic(tmp_path):
    path = tmp_path / "out.json"
    harness.write_json(path, {"a": np.float32(0.5), "b": {"c": [np.nan, np.int64(2)]}, "d": "x"})
    assert json.loads(path.read_text()) == {"a": 0.5, "b": {"c": [None, 2]}, "d": "x"}
    with pytest.raises(TypeError):
        harness.write_json(path, {"a": object()})
    assert json.loads(path.read_text())["a"] == 0.5
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_table_puts_like_groups_side_by_side():
    text = harness.table({"model": "m", "all": {"n": 2, "z": {"x": 0.5}}, "half": {"n": 1}})
    assert text.splitlines()[1].split() == ["all", "half"]
    assert [line.split() for line in text.splitlines()[2:]] == [["n", "2", "1"], ["z", "x", "0.5"]]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help", "--cores", "0"])
    seedless = {"moons_reference": "--figure", "stars": "--degree", "notebooks": "--only"}
    option = seedless.get(name, "--seed")
    assert stop.value.code == 0 and option in capsys.readouterr().out


def test_rebinned_densities_keep_their_integral():
    edges = np.expm1(np.linspace(np.log(1.6), np.log(4), 1461))
    pdf = np.random.default_rng(0).gamma(0.1, size=(3, 1460))
    pdf /= (pdf * np.diff(edges)).sum(1, keepdims=True)
    np.testing.assert_allclose((moons.rebinned(edges, pdf) * moons.BIN).sum(1), 1, rtol=1e-6)


def test_linear_regression_tells_what_it_can():
    """A linear function with noise of a quarter of its variance, and noise alone."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 8))
    signal = features @ rng.normal(size=8)
    noise = rng.normal(size=4000) * 0.5 * signal.std()
    assert learned.told(features, signal + noise) == pytest.approx(0.8, abs=0.02)  # 4 sigma
    assert learned.told(features, noise) == pytest.approx(0, abs=0.02)


def test_shares_of_attribution_are_of_the_sums_by_type_and_redshift():
    known = {"z": np.repeat([0.7, 1.5], 12), "quiescent": np.tile([0.0] * 11 + [1.0], 2)}
    sums = {"Halpha": np.repeat([3.0, 0.1], 12), "elsewhere": np.repeat([1.0, 9.9], 12)}
    out = learned.carried(sums, known)
    assert out == {
        "star-forming, z 0.6-1.0, n 11": pytest.approx({"Halpha": 0.75, "elsewhere": 0.25}),
        "star-forming, z 1.4-1.8, n 11": pytest.approx({"elsewhere": 0.99}),
    }


def test_scores_of_classes_by_hand():
    """Six nebulae: two stars, one of them taken for a mixture; two composites; an AGN; no label."""
    label = np.array([0, 0, 1, 1, 3, -1])
    found = np.array([[0.9, 0.1, 0], [0.3, 0.6, 0.1], [0, 0.9, 0.1], [0.5, 0.3, 0.2], [0, 0, 1],
                      [1, 0, 0]])  # fmt: skip
    out = nebula_classes.scores(found, label)
    # by halved odds of the two others the fourth is star-forming, the second as well (0.3 < 0.35)
    assert out["balanced accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert out["F1 star-forming"] == pytest.approx(2 * 1 / (2 + 2))
    assert out["F1 rest"] == pytest.approx(2 * 2 / (3 + 3))
    assert out["balanced accuracy, three classes"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert out["F1 composite, three"] == pytest.approx(2 * 1 / (2 + 2))


@pytest.mark.slow
def test_nebulae_of_the_classes_are_as_many_and_mixtures_lie_between():
    """Of planes whose harder sources have ten times the [N II]."""
    hot = HII[0], [*HII[1][:3], [HII[1][3][0] + 1, *HII[1][3][1:]], HII[1][4]]
    grids = {"HII-a": grid(*HII), "AGN-a": grid(*hot)}
    sim = NebulaSimulator(grids, error=0.1, av=(0.0, 0.3), tied=0.0).with_noise(catalogue(60))
    drawn = nebula_classes.Drawn.of(jr.key(0), sim, 3000, {"mixed-AGN": "AGN"})
    assert drawn.sources == (*grids, "mixed-AGN")
    theta, source, flux, _ = (np.asarray(a) for a in drawn.nebulae)
    count = np.bincount(source)
    assert count[2] == 1024 and count[:2].sum() == 2 * 1024
    nitrogen = np.log10(flux[:, 3]) - (theta - [-3.0, 8.0, 0.0]) @ [-0.2, 0.5, 0.0] + 0.5
    assert np.median(nitrogen[source == 0]) < np.median(nitrogen[source == 2])
    assert np.median(nitrogen[source == 2]) < np.median(nitrogen[source == 1])
    flux, _, state, _ = replace(drawn, noisy=False).simulate(jr.key(1), 500).data
    there = np.asarray(state) == int(State.MEASURED)
    np.testing.assert_allclose(np.asarray(flux)[there[:, 0], 0], 1, atol=1e-5)


def test_galaxy_of_maps_has_its_gradient_and_its_light():
    radius, truth, flux = maps.galaxy(101, seed=0)
    assert truth["oh"][50, 50] == pytest.approx(8.9) and truth["log_u"][50, 50] == -3.2
    edge = np.abs(radius - 1) < 0.01
    np.testing.assert_allclose(truth["oh"][edge], 8.4, atol=0.006)
    masked = np.isnan(flux[0])
    assert masked[radius > 1].all() and 0.01 < masked[radius < 1].mean() < 0.06
    ring = ~masked & (np.abs(radius - 0.3) < 0.05)  # a scale of the light, and A_V = 0.96
    hbeta, halpha = (np.nanmean(flux[i][ring]) for i in (0, 3))
    assert hbeta == pytest.approx(60 / np.e, rel=0.03)
    # case B, A(Hb) = 1.16 A_V and A(Ha) = 0.82 A_V (Cardelli et al. 1989)
    assert halpha / hbeta == pytest.approx(2.9 * 10 ** (0.4 * 0.96 * (1.16 - 0.82)), rel=0.05)
    line = {"OH": 8.9 - 0.5 * radius, "OH_P16": 8.8 - radius, "OH_P84": 9.0 + 0 * radius}
    assert maps.gradient(line, radius, ~masked) == pytest.approx([-0.5, 8.9])
