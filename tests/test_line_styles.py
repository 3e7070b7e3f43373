"""Line catalogues in the styles of surveys and tools: what is read as what, ignored or refused.

Names of columns are those of the published data models; the numbers are made up, a different one in
each column, so that a column that is taken for another shows.
"""

import logging
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.table import Table

from flowspec import io
from tests.test_io_line_table import one_line_error

DAP = ("OII-3727 OII-3729 H12-3751 H11-3771 Hthe-3798 Heta-3836 NeIII-3869 HeI-3889 Hzet-3890 "
       "NeIII-3968 Heps-3971 Hdel-4102 Hgam-4341 HeII-4687 Hb-4862 OIII-4960 OIII-5008 NI-5199 "
       "NI-5201 HeI-5877 OI-6302 OI-6365 NII-6549 Ha-6564 NII-6585 HeI-6679 SII-6718 SII-6732 "
       "HeI-7067 ArIII-7137 ArIII-7753 Peta-9017 SIII-9071 Pzet-9231 SIII-9533 Peps-9548").split()
DAP_MEANS = ("[OII]3726 [OII]3729 H12 H11 H10 H9 [NeIII]3869 HeI3889 H8 [NeIII]3967 Hepsilon "
             "Hdelta Hgamma HeII4686 Hbeta [OIII]4959 [OIII]5007 [NI]5198 [NI]5200 HeI5876 "
             "[OI]6300 [OI]6364 [NII]6548 Halpha [NII]6584 HeI6678 [SII]6717 [SII]6731 HeI7065 "
             "[ArIII]7136 [ArIII]7751 Pa10 [SIII]9069 Pa9 [SIII]9531 Pa8").split()


def columns(names, first=10.0):
    """A column of one row for each name, its number `first` and on."""
    return {name: [first + i] for i, name in enumerate(names)}


def endings(lines, *ends):
    return [line + end for line in lines for end in ends]


# style: columns of a table of one row -> line: columns of flux and error (or "ivar"), and words
STYLES = {
    "MPA-JHU": (
        endings(("OII_3726", "OII_3729", "H_BETA", "OIII_4959", "OIII_5007", "H_ALPHA", "NII_6584"),
                "_FLUX", "_FLUX_ERR", "_EQW", "_EQW_ERR", "_CONT")
        + ["OIII_FLUX", "OIII_FLUX_ERR", "OII_FLUX", "OII_FLUX_ERR", "SIGMA_BALMER", "RA"],
        {"[OII]3726": "OII_3726_FLUX", "[OII]3729": "OII_3729_FLUX", "Hbeta": "H_BETA_FLUX",
         "[OIII]4959": "OIII_4959_FLUX", "[OIII]5007": "OIII_5007_FLUX", "Halpha": "H_ALPHA_FLUX",
         "[NII]6584": "NII_6584_FLUX"},
        ("OIII is ignored, of lines that are there apart", "OII is ignored", "*_EQW, "),
    ),
    "MPA-JHU, the lines of BPT": (
        endings(("h_beta", "oiii", "h_alpha", "nii_6584"), "_flux", "_flux_err"),
        {"Hbeta": "h_beta_flux", "[OIII]5007": "oiii_flux", "Halpha": "h_alpha_flux",
         "[NII]6584": "nii_6584_flux"},
        ("oiii is [OIII]5007",),
    ),
    "Portsmouth": (
        ["Flux_Hb_4861", "Flux_Hb_4861_Err", "Amplitude_Hb_4861", "Amplitude_Hb_4861_Err",
         "Flux_OIII_5006", "Flux_OIII_5006_Err", "Flux_NII_6583", "Flux_NII_6583_Err",
         "EW_NII_6583", "EW_NII_6583_Err", "Sigma_Hb_4861"]
        + endings(("Flux_OII_3726", "Flux_OII_3728", "Flux_He_3970", "Flux_H5_3889"), "", "_Err"),
        {"Hbeta": "Flux_Hb_4861", "[OIII]5007": "Flux_OIII_5006", "[NII]6584": "Flux_NII_6583",
         "[OII]3726": "Flux_OII_3726", "[OII]3729": "Flux_OII_3728", "Hepsilon": "Flux_He_3970",
         "H8": "Flux_H5_3889"},
        ("OII_3728 is [OII]3729", "Amplitude_*, Amplitude_*_Err", "Sigma_*"),
    ),
    "PHANGS-MUSE": (
        endings(("HB4861", "OIII5006", "SII6716"), "_FLUX", "_FLUX_ERR", "_FLUX_CORR",
                "_FLUX_CORR_ERR", "_VEL", "_VEL_ERR") + ["met_scal", "met_scal_ERR"],
        {"Hbeta": "HB4861_FLUX", "[OIII]5007": "OIII5006_FLUX", "[SII]6717": "SII6716_FLUX"},
        ("*_FLUX_CORR, ", "IGNORED, of no known line: met_scal;"),
    ),
    "FastSpecFit": (
        endings(("OII_3726", "OII_3729", "HBETA", "OIII_5007", "H6", "SILIII_1892", "HALPHA_BROAD"),
                "_FLUX", "_FLUX_IVAR", "_BOXFLUX", "_BOXFLUX_IVAR", "_AMP", "_AMP_IVAR",
                "_FLUX_LIMIT"),
        {"[OII]3726": "OII_3726_FLUX", "[OII]3729": "OII_3729_FLUX", "Hbeta": "HBETA_FLUX",
         "[OIII]5007": "OIII_5007_FLUX"},
        # H6 is 3889 there and H-delta elsewhere; limits are of 1 σ there: neither is taken
        ("*_BOXFLUX", "*_FLUX_LIMIT", "of no known line: H6_*, SILIII_1892_*;", "*_BROAD_*"),
    ),
    "CHAOS": (
        ["[O II]/3727", "[O II]/3727_err", "[O III]/5007", "[O III]/5007_err", "Hb", "Hb_err",
         "O/H", "O/H_err"],
        {"[OII]3726,3729": "[O II]/3727", "[OIII]5007": "[O III]/5007", "Hbeta": "Hb"},
        ("IGNORED, of no known line: O/H",),
    ),
    "wavelengths": (
        endings(("3727", "4363", "4861", "5007", "6312"), "", "_err") + ["1234", "1234_err"],
        {"[OII]3726,3729": "3727", "[OIII]4363": "4363", "Hbeta": "4861", "[OIII]5007": "5007",
         "[SIII]6312": "6312"},
        ("by rule: 3727 is [OII]3726,3729", "IGNORED, of no known line: 1234"),
    ),
    "VizieR": (
        ["F(Hb)", "e_F(Hb)", "F5007", "e_F5007", "[NII]6584", "e_[NII]6584", "SII", "e_SII"],
        {"Hbeta": "F(Hb)", "[OIII]5007": "F5007", "[NII]6584": "[NII]6584",
         "[SII]6717,6731": "SII"},
        ("SII is [SII]6717,6731",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("ending", ["fits", "csv"])
@pytest.mark.parametrize("style", STYLES)
def test_a_row_per_object(style, ending, tmp_path, caplog):
    names, means, words = STYLES[style]
    table = Table(columns(names))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)  # FITS frowns on names as of VizieR
        table.write(tmp_path / f"t.{ending}")
    caplog.set_level(logging.INFO, "flowspec")
    lines = io.read_lines(tmp_path / f"t.{ending}")
    assert lines.lines == tuple(means)
    for line, flux in means.items():
        noise = next(n for n in (f"{flux}_ERR", f"{flux}_Err", f"{flux}_err", f"{flux}_IVAR",
                                 f"e_{flux}") if n in names)  # fmt: skip
        err = table[noise][0] ** (-0.5 if noise.endswith("IVAR") else 1)
        at = lines.lines.index(line)
        assert (lines.flux[0, at], lines.err[0, at]) == pytest.approx((table[flux][0], err)), line
    for word in words:
        assert word in lines.reading + ";"
    # one note, wrapped, which names the file
    assert len(caplog.messages) == 1 and "t." + ending in caplog.messages[0]
    assert max(map(len, caplog.messages[0].splitlines())) <= 100
    assert " ".join(caplog.messages[0].split()).endswith(" ".join(lines.reading.split()))


def test_every_column_is_used_or_named(tmp_path):
    """Two of six lines of a table were once read without a word."""
    header = "id,Ha,Ha_err,Hb,Hb_err,O_iii,O_iii_err,N2a,N2a_err,S2,S2_err,OII,dist"
    (tmp_path / "t.csv").write_text(header + "\n" + "1," * 12 + "1\n")
    given = {"[OIII]5007": "O_iii", "[OIII]5007_err": "O_iii_err"}
    lines = io.read_lines(tmp_path / "t.csv", columns=given)
    assert lines.lines == ("Halpha", "Hbeta", "[OIII]5007")
    assert "of no known line: N2a, S2; IGNORED, without flux or error: OII;" in lines.reading
    assert "names of rows: id" in lines.reading and lines.reading.endswith("ignored: dist")
    assert lines[:1].select(["Hbeta"]).corrected(True).reading == lines.reading


def dap(rng):
    """EMLINE_GFLUX [channels, 3, 4] and its like, a header; the first row of spaxels is empty."""
    flux = rng.uniform(1, 2, (len(DAP), 3, 4))
    ivar, mask = np.full(flux.shape, 4.0), np.zeros(flux.shape, np.int32)
    ivar[:, 0], mask[14, 1, 1] = 0, 1 << 30
    header = fits.Header({f"C{i + 1:02d}": name for i, name in enumerate(DAP)})
    names = ("EMLINE_GFLUX", "EMLINE_GFLUX_IVAR", "EMLINE_GFLUX_MASK")
    return dict(zip(names, (flux, ivar, mask), strict=True)), header


def check_dap(lines, flux, masked_row):
    assert lines.lines == tuple(DAP_MEANS)  # OII-3727 is a wavelength in vacuum: 3726 in air
    assert "OII-3727 is [OII]3726" in lines.reading
    absent = np.zeros(lines.state.shape, bool)
    absent[masked_row, DAP_MEANS.index("Hbeta")] = True
    np.testing.assert_array_equal(lines.state, np.where(absent, 0, 1))
    np.testing.assert_array_equal(lines.flux, np.where(absent, 0, flux))
    np.testing.assert_array_equal(lines.err, np.where(absent, 0, 0.5))


def test_maps_of_manga(tmp_path):
    arrays, header = dap(np.random.default_rng(0))
    images = [fits.ImageHDU(array, header, name) for name, array in arrays.items()]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "maps.fits")
    lines = io.read_lines(tmp_path / "maps.fits")
    assert lines.names == tuple(f"{y},{x}" for y in (1, 2) for x in range(4))
    check_dap(lines, arrays["EMLINE_GFLUX"][:, 1:].reshape(len(DAP), -1).T, 1)
    assert "8 of 12 spaxels" in lines.reading
    fits.HDUList([fits.PrimaryHDU(), images[0]]).writeto(tmp_path / "no_ivar.fits")
    with pytest.raises(ValueError, match="expected EMLINE_GFLUX and EMLINE_GFLUX_IVAR"):
        io.read_lines(tmp_path / "no_ivar.fits")


def test_a_table_with_the_channels_of_manga(tmp_path):
    arrays, header = dap(np.random.default_rng(1))
    cells = {name: array[:, :, 1].T for name, array in arrays.items()}
    hdu = fits.table_to_hdu(Table({"PLATEIFU": ["a", "b", "c"]} | cells))
    hdu.header.update(header)
    hdu.writeto(tmp_path / "t.fits")
    lines = io.read_lines(tmp_path / "t.fits", name="PLATEIFU")
    assert lines.names == ("a", "b", "c") and not lines.usable[0]
    check_dap(lines[1:], cells["EMLINE_GFLUX"][1:], 0)


LIME = """\
,wavelength,intg_flux,intg_flux_err,profile_flux,profile_flux_err,group_label
O2_3726A_m,3726.03,5,.3,5.1,.2,O2_3726A+O2_3729A
H1_4861A,4861.25,2,.1,2.1,.12,none
O3_5007A,5006.84,6,.1,6.1,.13,none
H1_6563A,6562.8,6,.1,6.3,.14,H1_6563A+N2_6583A
N2_6583A,6583.5,,,1.5,.15,H1_6563A+N2_6583A
H1_6563A_k-1,6562.8,6,.1,1.3,.12,none
Ar4_4711A_m,4711,6,.1,0.3,.12,Ar4_4711A+He1_4713A
"""


def test_a_row_per_line(tmp_path):
    (tmp_path / "lime.csv").write_text(LIME)
    lines = io.read_lines(tmp_path / "lime.csv")
    assert lines.lines == ("[OII]3726,3729", "Hbeta", "[OIII]5007", "Halpha", "[NII]6584")
    np.testing.assert_array_equal(lines.flux, [[5.1, 2.1, 6.1, 6.3, 1.5]])
    np.testing.assert_array_equal(lines.err, [[0.2, 0.12, 0.13, 0.14, 0.15]])
    # a second component and a blend of two ions are no lines of ours: said, and not added
    assert "IGNORED rows, of no known line: H1_6563A_k-1, Ar4_4711A_m" in lines.reading
    integrated = io.read_lines(tmp_path / "lime.csv", suffix="intg_flux")
    np.testing.assert_array_equal(integrated.flux, [[5, 2, 6, 6, 0]])
    np.testing.assert_array_equal(integrated.state, [[1, 1, 1, 1, 0]])


def test_a_row_per_line_of_several_objects(tmp_path):
    text = ("Region,Ion,Flux,e_Flux\nb,[O III] 5007,200,3\nb,Hb,100,1\n"
            "a,Hb,90,2\na,[O III] 5007,<20,\n")  # fmt: skip
    (tmp_path / "t.csv").write_text(text)
    lines = io.read_lines(tmp_path / "t.csv")
    assert lines.lines == ("[OIII]5007", "Hbeta") and lines.names == ("b", "a")
    np.testing.assert_array_equal(lines.flux, [[200, 100], [20, 90]])
    np.testing.assert_array_equal(lines.state, [[1, 1], [2, 1]])
    (tmp_path / "t.csv").write_text(text + "a,H_beta,80,1\n")
    one_line_error(tmp_path / "t.csv", "flux of Hbeta", "'Hb'", "'H_beta'")
    (tmp_path / "t.csv").write_text(text + "a,Hb,80,1\n")
    one_line_error(tmp_path / "t.csv", "each line once", "'Hb' more than once of a")
