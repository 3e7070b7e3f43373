"""Columns of line catalogues: what is refused, labels that say little, limits, kinds of noise."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from flowspec import io
from flowspec.data.line_labels import settled
from tests.test_io_line_table import one_line_error

REFUSED = {
    "OIII": ("Hb,Hb_err,OIII,OIII_err", ("'OIII'", "[OIII]5007 or [OIII]4959,5007", "columns")),
    "NII": ("Hb,Hb_err,NII,NII_err", ("[NII]6584 or [NII]6548,6584",)),
    "HeII": ("Hb,Hb_err,HeII,HeII_err", ("HeII",)),
    "3889": ("Hb,Hb_err,3889,3889_err", ("H8", "HeI3889")),
    "one column twice": ("Hb,Hb_err,Ha,Ha_err,Ha", ("'Ha' more than once",)),
    "one line twice": ("OIII5007,OIII5007_err,O3_5008,O3_5008_err",
                       ("flux of [OIII]5007", "'OIII5007'", "'O3_5008'")),
    "a doublet twice": ("[OII]3727,[OII]3727_err,[OII]3728,[OII]3728_err",
                        ("[OII]3726,3729", "'[OII]3727'", "'[OII]3728'")),
    "err and var": ("Hb,Hb_err,Hb_var", ("error of Hbeta", "'Hb_err'", "'Hb_var'")),
    "lower and upper error": ("Hb,e_Hb,E_Hb", ("error of Hbeta", "'e_Hb'", "'E_Hb'")),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_mean_several_things_is_refused(case, tmp_path):
    header, words = REFUSED[case]
    (tmp_path / "t.csv").write_text(header + "\n" + ",".join(["1"] * (header.count(",") + 1)))
    one_line_error(tmp_path / "t.csv", *words)


@pytest.mark.parametrize("delimiter", [" ", ","])
def test_a_column_twice_in_ecsv_is_refused(delimiter, tmp_path):
    path = tmp_path / "t.ecsv"
    table = Table({"Hb": [1.0], "Hb_err": [1.0], "a b": [2.0], "Hx": [3.0]})
    table.write(path, delimiter=delimiter)
    assert io.read_lines(path).flux[0, 0] == 1
    path.write_text(path.read_text().replace("Hx", "Hb"))
    one_line_error(path, "'Hb' more than once")


def test_a_column_twice_in_fits_is_refused(tmp_path):
    hdu = fits.table_to_hdu(Table({"Hb": [1.0], "Hb_err": [1.0], "Hx": [2.0]}))
    hdu.writeto(tmp_path / "t.fits")
    content = (tmp_path / "t.fits").read_bytes()
    (tmp_path / "t.fits").write_bytes(content.replace(b"'Hx      '", b"'Hb      '"))
    one_line_error(tmp_path / "t.fits", "'Hb' more than once")


@pytest.mark.parametrize(
    ("label", "others", "line"),
    [("OII", (), "[OII]3726,3729"), ("SII", (), "[SII]6717,6731"),
     ("OIII", ("[OIII]4959",), "[OIII]5007"), ("NII", ("[NII]6548",), "[NII]6584"),
     ("OIII", ("[OIII]5007",), ""), ("SII", ("[SII]6717", "[SII]6731"), ""),
     ("[OII]3727", ("[OII]3729",), "[OII]3726"),
     ("OII_3728", ("[OII]3726",), "[OII]3729"), ("CIV_1550", ("CIV1548",), "CIV1551"),
     ("TOTL 3727.00A", ("[OII]3729",), "[OII]3726,3729"),
     ("OII3726_29", ("[OII]3729",), "[OII]3726,3729"),
     ("O2_3726A_m", ("[OII]3729",), "[OII]3726,3729"),
     ("SiIII_1888", ("SiIII]1883",), "SiIII]1883,1892"),
     ("[OII]3727", ("[OII]3726", "[OII]3729"), "[OII]3726,3729")],
)  # fmt: skip
def test_a_partner_tells(label, others, line):
    assert settled(label, others) == line


def test_limits_as_text_and_flags(tmp_path):
    """A value marked as a limit is one, whatever stands in the column of errors."""
    (tmp_path / "t.csv").write_text(
        "Name,Hb,e_Hb,l_OIII5007,OIII5007,e_OIII5007,[NII]6584,[NII]6584_err\n"
        "r1,100,3,,2.0,0.2,<0.2,\n"
        "r2,100,3,<,1.5,,< 0.3,0.1\n"
        "r3,100,3,<,1.5,0.5,0.4,0.1\n"
        "r4,100,3,>,1.5,0.5,...,\n"
        "r5,100,3,,1.5,0.5,<-1,\n"
    )
    lines = io.read_lines(tmp_path / "t.csv")
    np.testing.assert_array_equal(lines.state[:, 1:], [[1, 2], [2, 2], [2, 1], [0, 0], [1, 0]])
    flux = [[2, 0.2], [1.5, 0.3], [1.5, 0.4], [0, 0], [1.5, 0]]
    np.testing.assert_allclose(lines.flux[:, 1:], flux)
    np.testing.assert_allclose(lines.err[:3, 1], [0.2, 0.5, 0.5])  # a limit is of 3 σ
    assert lines.notes[3:] == ("lower limit, not used: [OIII]5007", "limit not positive: [NII]6584")
    assert lines.notes[:3] == ("",) * 3
    assert "limits flagged by l_OIII5007" in lines.reading


@pytest.mark.parametrize(
    ("text", "words"),
    [("Hb,e_Hb,l_Hb\n1,1,~\n", ("'<' or nothing in 'l_Hb'", "'~'")),
     ("l_Hb,Hb,e_Hb\n41.2,1,1\n", ("'l_Hb'", "'41.2'")),  # the logarithm of a luminosity
     ("Hb,e_Hb\n1,<0.2\n", ("numbers in column 'e_Hb'", "'<0.2'")),
     ("Hb,Hb_err,Hb_mask\n1,1,0.5\n", ("booleans in the mask 'Hb_mask'",))],
)  # fmt: skip
def test_flags_that_say_something_else_are_refused(text, words, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    one_line_error(tmp_path / "t.csv", *words)


def test_luminosities_are_no_flags(tmp_path):
    (tmp_path / "t.csv").write_text("Ha,Ha_err,L_Ha,L_Ha_err\n1,0.1,41.2,0.1\n")
    lines = io.read_lines(tmp_path / "t.csv")
    assert lines.flux[0, 0] == 1 and "L_*" in lines.reading


@pytest.mark.parametrize("unit", ["1e-17 erg / (s cm2)", "erg / (s cm2)", "W / m2", None])
@pytest.mark.parametrize(("ending", "power"), [("_ERR", 1), ("_VAR", 2), ("_IVAR", -2)])
def test_errors_variances_and_inverse_variances(unit, ending, power, tmp_path):
    """By their name; where the unit says something else they are refused."""
    table = Table({"HA_FLUX": [2.0], f"HA_FLUX{ending}": [0.5**power]})
    if unit:
        table["HA_FLUX"].unit, table[f"HA_FLUX{ending}"].unit = u.Unit(unit), u.Unit(unit) ** power
    table.write(tmp_path / "t.ecsv")
    lines = io.read_lines(tmp_path / "t.ecsv")
    assert (lines.flux[0, 0], lines.err[0, 0]) == pytest.approx((2.0, 0.5))
    if unit and power != 1:
        table.rename_column(f"HA_FLUX{ending}", "HA_FLUX_ERR")
        table.write(tmp_path / "wrong.ecsv")
        one_line_error(tmp_path / "wrong.ecsv", "'HA_FLUX_ERR' in a unit like that of 'HA_FLUX'")
