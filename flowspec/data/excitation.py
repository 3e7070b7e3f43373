"""What divides diagrams of excitation: ratios of lines that tell what ionises the gas.

Baldwin, Phillips & Terlevich (1981, PASP 93, 5); Veilleux & Osterbrock (1987, ApJS 63, 295). Lines
of each ratio are neighbours: dust hardly moves a point.
"""

ORDINATE = ("[OIII]5007", "Hbeta")
# Numbers of ``y = a / (x - b) + c`` for x below b, log10 of `ORDINATE` by log10 of a line over
# H-alpha. The most that starbursts reach: Kewley et al. (2001, ApJ 556, 121), equations 5 to 7.
KEWLEY = {
    "[NII]6584": (0.61, 0.47, 1.19),
    "[SII]6717,6731": (0.72, 0.32, 1.30),
    "[OI]6300": (0.73, -0.59, 1.33),
}
KAUFFMANN = (0.61, 0.05, 1.30)  # of [N II] (Kauffmann et al. 2003, MNRAS 346, 1055, equation 1)
BOUNDARIES = {  # of each line over H-alpha: name to its numbers
    line: {"Kewley+01": numbers} | ({"Kauffmann+03": KAUFFMANN} if line == "[NII]6584" else {})
    for line, numbers in KEWLEY.items()
}
