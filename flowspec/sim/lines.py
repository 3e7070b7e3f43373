"""Rest-frame lines by which galaxies are given a redshift, in emission or absorption."""

# Name -> vacuum wavelength in angstrom; names of emission lines are those of `load_nebula`.
# Emission lines: NebulaBayes; absorption by gas: see `interstellar.LINES`; by stars: NIST air
# wavelengths in vacuum. "G" is the head of the CH band.
LINES = {
    "Lyalpha": 1215.67, "CIV1549": 1549.48, "HeII1640": 1640.42, "CIII1909": 1908.7,
    "FeII2344": 2344.21, "FeII2383": 2382.77, "FeII2587": 2586.65, "FeII2600": 2600.17,
    "MgII2796": 2796.35, "MgII2804": 2803.53, "MgI2853": 2852.96,
    "OII3726": 3727.09, "OII3729": 3729.88, "H9": 3836.49, "NeIII3869": 3869.86, "H8": 3890.17,
    "CaK": 3934.78, "CaH": 3969.59, "Hdelta": 4102.89, "G": 4305.61, "Hgamma": 4341.68,
    "Hbeta": 4862.68, "OIII4959": 4960.30, "OIII5007": 5008.24, "Mgb": 5176.63,
    "HeI5876": 5877.25, "NaD": 5893.57, "OI6300": 6302.05, "NII6548": 6549.86,
    "Halpha": 6564.61, "NII6583": 6585.27, "SII6716": 6718.29, "SII6731": 6732.67,
    "ArIII7136": 7137.77, "CaT8498": 8500.36, "CaT8542": 8544.44, "CaT8662": 8664.52,
    "SIII9069": 9071.1, "SIII9531": 9533.2, "Padelta": 10052.16, "HeI10830": 10833.17,
    "Pagamma": 10941.1,
}  # fmt: skip
