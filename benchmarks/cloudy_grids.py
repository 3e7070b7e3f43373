"""What the shipped models of lines were trained on: the grids, and how wrong they may be."""

import flowspec as fs
from benchmarks import harness
from flowspec.sim.nebula.grid import mappings

GRIDS = "grids/hcm_cloudy17/optical/C17_{}.dat.gz"
FILES = {
    "HII-POPSTAR": "POPSTAR_1myr", "HII-BPASS": "BPASS_IMF135_mup300_1myr",
    "AGN-0.8": "AGN_alpha08_efrac02_CNfix", "AGN-1.2": "AGN_alpha12_efrac02_CNfix",
    "AGN-1.6": "AGN_alpha16_efrac02_CNfix", "AGN-2.0": "AGN_alpha20_efrac02_CNfix",
    "ADAF": "ADAF_efrac02_CNfix", "PAGB-50kK": "PAGB_T50kk_efrac02_CNfix",
    "PAGB-100kK": "PAGB_T100kk_efrac02_CNfix", "PAGB-150kK": "PAGB_T150kk_efrac02_CNfix",
}  # fmt: skip
ERROR = 0.25  # of the fluxes of `cloudy`: 0.1 dex, as IZI takes it (Blanc et al. 2015)


def simulator(posterior: fs.Posterior) -> fs.NebulaSimulator:
    """Of `nebula` or of `cloudy`, whose grids are read from `FLOWSPEC_TEST_DATA`.

    Raises:
        ValueError: On a model of other sources or parameters.
    """
    if posterior.sources == ("nebula",):
        return fs.NebulaSimulator(mappings(), posterior.lines)
    unknown = set(posterior.sources) - set(FILES)
    if unknown:
        raise ValueError(f"expected sources among {sorted(FILES)}; got {sorted(unknown)}")
    folder = harness.data_folder()
    grids = {s: fs.read_grid(folder / GRIDS.format(FILES[s])) for s in posterior.sources}
    return fs.NebulaSimulator(grids, posterior.lines, error=ERROR)
