"""Judge redshifts that come with a probability of being right: calibration, purity, completeness.

Functions of arrays; a row is one redshift, `right` says whether it is (to within
`flowspec.posterior.redshift.LIMIT`, say). A *probability* of being right may stand there as well:
with the rows' own it gives what is to be expected of them if they are calibrated.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

Right = Bool[np.ndarray, " rows"] | Num[np.ndarray, " rows"]


class Reliability(NamedTuple):
    """A reliability diagram: points on the diagonal are calibrated.

    Attributes:
        probability: Mean probability in each bin.
        share: Share of its rows that are right.
        low: Lower end of the 68 % Wilson interval of the share.
        high: Its upper end.
        n: Rows in it.
    """

    probability: Float[np.ndarray, " bins"]
    share: Float[np.ndarray, " bins"]
    low: Float[np.ndarray, " bins"]
    high: Float[np.ndarray, " bins"]
    n: Num[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """Mean distance from the diagonal, the expected calibration error.

        Of Naeini et al. (2015, AAAI 29, 2901). It is not 0 for rows that are calibrated but few:
        on average ``0.8 sqrt(p (1 - p) / n)`` in a bin of n.
        """
        return float(np.average(np.abs(self.probability - self.share), weights=self.n))


def reliability(
    probability: Float[np.ndarray, " rows"],
    right: Right,
    bins: int | Float[np.ndarray, " edges"] = 20,
) -> Reliability:
    """Share of right rows against their probability, in bins.

    Args:
        probability: That each row is right.
        right: Whether it is.
        bins: Number of bins of as many rows each, or edges of bins, of which empty ones are left
            out. A figure wants edges, because most rows of a good model are all but certain.

    Raises:
        ValueError: If there is no row.
    """
    if len(probability) == 0:
        raise ValueError("expected at least one row; got none")
    order = np.argsort(probability, kind="stable")
    cuts = bins if np.isscalar(bins) else np.searchsorted(probability[order], bins[1:-1])
    parts = [part for part in np.array_split(order, cuts) if len(part)]
    n = np.array([len(part) for part in parts])
    mean, share = (np.array([x[part].mean() for part in parts]) for x in (probability, right))
    return Reliability(mean, share, *wilson(share, n), n)


def wilson(
    share: Float[np.ndarray, " *shape"], n: Num[np.ndarray, " *shape"]
) -> tuple[Float[np.ndarray, " *shape"], Float[np.ndarray, " *shape"]]:
    """68 % interval of the probability behind a share of `n` (Wilson 1927, JASA 22, 209)."""
    middle = (share + 0.5 / n) / (1 + 1 / n)  # for one standard deviation
    arm = np.sqrt(share * (1 - share) / n + 0.25 / n**2) / (1 + 1 / n)
    return middle - arm, middle + arm


class PurityCompleteness(NamedTuple):
    """What rows of at least a probability are like, by decreasing threshold.

    Attributes:
        threshold: On the probability; every value that occurs.
        kept: Share of all rows that have it.
        purity: Share of right rows among those.
        completeness: Share of those among the right rows.
    """

    threshold: Float[np.ndarray, " thresholds"]
    kept: Float[np.ndarray, " thresholds"]
    purity: Float[np.ndarray, " thresholds"]
    completeness: Float[np.ndarray, " thresholds"]

    def kept_at(self, purity: float) -> float:
        """Largest share of rows that can be kept at a purity; 0 if none can."""
        return float(self.kept[self.purity >= purity].max(initial=0))

    def removal_ratio(self, purity: float) -> float:
        """Share of rows removed for a purity over the least possible, ``1 - accuracy / purity``.

        That would be to remove wrong rows only; NaN where nothing has to be removed.
        """
        least = 1 - self.purity[-1] / purity
        return (1 - self.kept_at(purity)) / least if least > 0 else float("nan")


def purity_completeness(
    probability: Float[np.ndarray, " rows"], right: Right
) -> PurityCompleteness:
    """Purity and completeness of the rows above each threshold.

    Args:
        probability: What rows are ranked by.
        right: Whether each is right.

    Raises:
        ValueError: If there is no row.
    """
    if len(probability) == 0:
        raise ValueError("expected at least one row; got none")
    order = np.argsort(-probability, kind="stable")
    ranked, found = probability[order], np.cumsum(right[order], dtype=float)
    last = np.append(ranked[1:] < ranked[:-1], True)  # a threshold keeps all of a tie or none
    count = np.arange(1, len(order) + 1)[last]
    total = found[-1] or np.nan  # without a right row there is no completeness
    return PurityCompleteness(
        ranked[last], count / len(order), found[last] / count, found[last] / total
    )
