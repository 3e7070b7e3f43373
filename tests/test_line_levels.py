"""Typical strengths of lines of gas against what is published."""

import numpy as np
from astropy.table import Table
from scipy.interpolate import RegularGridInterpolator

from flowspec.sim.galaxy import departures, interstellar, nebula


def test_lines_of_one_ion_depart_from_the_grid_together():
    table = nebula.load_nebula()
    groups, mean, scatter = (dict(zip(table.names, part, strict=True))
                             for part in departures.multiplets(table))  # fmt: skip
    assert groups["Hbeta"] == groups["Pagamma"] != groups["HeI5876"] == groups["HeI10830"]
    assert groups["OIII5007"] == groups["OIII4363"] != groups["OIII1666"]
    assert mean["OIII5007"] == mean["Hbeta"] == 0.0 and mean["CIII1909"] == 0.35
    assert mean["ArIII7136"] == mean["SIII9069"]  # their ratio is that of H II regions
    assert scatter["Halpha"] == 0.1 and scatter["OI6300"] == 0.2


def test_sulphur_is_as_strong_as_in_nebulae_that_have_the_other_lines(data):
    """[S III] 9069 over H-alpha of H II regions of NGC 628 (Groves et al. 2023, MNRAS 520, 4902).

    Ionisation and O/H are those of the grid that fit [O III], [N II] and [S II] best.
    """
    nebulae = Table.read(data / "lines/phangs_ngc628/ngc628_nebulae.fits")
    good = np.asarray(nebulae["SIII9068_FLUX"] > 15 * nebulae["SIII9068_FLUX_ERR"])
    good &= np.asarray(nebulae["BPT_NII"]) == 0
    flux = {n: np.asarray(nebulae[f"{n}_FLUX_CORR"], float)[good]
            for n in ("HB4861", "OIII5006", "HA6562", "NII6583", "SII6716", "SII6730", "SIII9068")}
    table = nebula.load_nebula().ratios_to("Halpha")
    number = {n: i for i, n in enumerate(table.names)}
    log_u, oh = np.linspace(-4, -2, 41), np.linspace(8.06, 9.3, 63)
    models = RegularGridInterpolator((table.log_u, table.oh), table.log_flux[:, 2])
    models = models(np.stack(np.meshgrid(log_u, oh), -1)).reshape(-1, len(number))
    models = {n: 10 ** models[:, number[n]] for n in
              ("Hbeta", "OIII5007", "NII6583", "SII6716", "SII6731", "SIII9069")}  # fmt: skip
    sulphur = models["SII6716"] + models["SII6731"]
    theirs = np.log10([models["OIII5007"] / models["Hbeta"], models["NII6583"], sulphur])
    halpha, sulphur = flux["HA6562"], flux["SII6716"] + flux["SII6730"]
    mine = np.log10([flux["OIII5006"] / flux["HB4861"], flux["NII6583"] / halpha, sulphur / halpha])
    weight = 1 / np.array([0.1, 0.15, 0.15])[:, None, None]
    best = (((mine[:, :, None] - theirs[:, None]) * weight) ** 2).sum(0).argmin(1)
    excess = np.log10(flux["SIII9068"] / halpha / models["SIII9069"][best])
    mean = departures.multiplets(table)[1][number["SIII9069"]]
    assert len(excess) > 300
    np.testing.assert_allclose(np.median(excess), mean, atol=0.1)


def test_sodium_of_a_typical_galaxy_is_that_of_disks_without_outflow():
    """Less than 0.6 angstrom of interstellar Na D (Chen et al. 2010)."""
    own = interstellar.LINES[interstellar.LINES[:, 2] == interstellar.SODIUM]
    assert 0.2 < own[:, 1].sum() < 0.6
    assert not (np.abs(interstellar.LINES[:, 0] - 8544.4) < 150).any()  # the stars have Ca II
