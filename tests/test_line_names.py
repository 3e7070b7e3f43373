"""Names of emission lines: every spelling in use, and wavelengths against independent tables."""

import numpy as np
import pytest
from astropy.io import fits

from flowspec.data.line_labels import looks_like_line
from flowspec.data.line_names import canonical, is_line, parts, unnamed, wave_of
from flowspec.data.line_waves import WAVES
from flowspec.sim.galaxy.nebula import load_nebula

SPELLINGS = {
    "Halpha": "HA6562 h_alpha Ha HALPHA HI6563 H1_6563 Hα",
    "Hbeta": "HB4861 H_beta Hb hbeta",
    "Hepsilon": "H7 H_epsilon",
    "Lyalpha": "Ly_alpha Lya",
    "[OIII]5007": "OIII5006 OIII_5007 o3_5007 oiii5007 [oiii]5007 [OIII]5008.24",
    "[OII]3726,3729": "OII_3727 [OII]3727 OII3726_29 [OII]3726,3729 [OII]3726+3729",
    "[OII]7320,7330": "OII_7325",
    "[OII]7330": "OII7330_31 OII7331",
    "[SII]6717,6731": "SII_6717,31 [SII]6716,31 SII6716_31",
    "[SII]6731": "SII6730 sii6731",
    "[NII]6584": "NII6583 NII_6584",
    "[SIII]9069": "SIII9068 siii9068",
    "SiIII]1883": "[SiIII]1883",
    "[OI]6300": "OI6300",
    "[ArIII]7136": "ArIII_7135 ariii7136",
    "CIII]1907,1909": "CIII]1908 ciii1908",
    "[NeIII]3869": "NeIII_3868",
    "[SIII]33.5um": "SIII_33m",
    "Hualpha": "HI_12m",
    "[NeIII]15.6um": "NeIII155551",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_mean_one_name(name):
    assert {text: canonical(text) for text in SPELLINGS[name].split()} == dict.fromkeys(
        SPELLINGS[name].split(), name
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [("H  1 4861.33A", "Hbeta"), ("O  3 88.3323m", "[OIII]88.4um"), ("[O III] 5007", "[OIII]5007"),
     ("[Ne_III] 3970", "[NeIII]3967"), ("[S II] λ6716+6731", "[SII]6717,6731")],
)  # fmt: skip
def test_spellings_with_spaces(text, name):
    assert canonical(text) == name


def test_canonical_names_mean_themselves_in_any_case_and_without_brackets():
    assert [canonical(name) for name in WAVES] == list(WAVES)
    for name in WAVES:
        assert canonical(name.upper()) == canonical(name.replace("[", "").lower()) == name


@pytest.mark.parametrize("text", ["[OIII]5100", "foo", "OH", "log_u", "", "[OIIX]5007", "no"])
def test_what_is_no_line_is_refused(text):
    assert not is_line(text)
    with pytest.raises(ValueError, match="expected the name of an emission line; got"):
        canonical(text)


def test_refusal_suggests_names():
    with pytest.raises(ValueError, match=r"\[OIII\]5007"):
        canonical("[OIII]5070")


CLOUDY = {
    "TOTL 3727.00A": "[OII]3726,3729", "BLND 3727.00A": "[OII]3726,3729",
    "Blnd 6720.00A": "[SII]6717,6731", "BLND 1909.00A": "CIII]1907,1909",
    "TOTL  4363.00A": "[OIII]4363", "O  3 5006.84A": "[OIII]5007", "H  1 4861.33A": "Hbeta",
    "S  3 18.7078m": "[SIII]18.7um", "O__3_500684A": "[OIII]5007", "BLND_372700A": "[OII]3726,3729",
    "S__3_187078M": "[SIII]18.7um",
}  # fmt: skip


def test_labels_of_cloudy():
    assert {label: canonical(label) for label in CLOUDY} == CLOUDY
    for label in ("Ca B 4861.33A", "Inci 4860.00A", "BLND 1035.00A", "O  6 1031.91A"):
        assert looks_like_line(label) and not is_line(label)


def test_sums():
    assert parts("CIII]1907,1909") == ("CIII]1907", "CIII]1909")
    assert parts("Halpha") == ("Halpha",)
    assert wave_of("[SII]6717,6731") == pytest.approx((6718.294 + 6732.674) / 2)
    assert wave_of(unnamed(12310.94)) == 12310.94


def test_wavelengths_are_those_of_the_shipped_table():
    """NebulaBayes in vacuum: its labels have 0.1 A, and ours of [OII] 7320, 7330 are pairs."""
    table = load_nebula()
    names = [canonical(name) for name in table.names]
    off = {n: wave_of(n) - w for n, w in zip(names, table.wave, strict=True) if "[OII]73" not in n}
    assert max(abs(x) for x in off.values()) < 0.15


def test_wavelengths_are_those_of_byler(data):
    table = fits.getdata(data / "grids/izi_grids/byler_FSPS_mist_age_1_Myr.fits", 1)
    wave = np.array([wave_of(parts(canonical(str(n)))[0]) for n in table["ID"][0]])
    single = ~np.isin(table["ID"][0], ["oii7318", "ni5198"])  # blends
    np.testing.assert_allclose(wave[single], table["WAV"][0][single], atol=0.1)
