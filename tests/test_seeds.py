"""Seeds of any size are used whole, and what is none is refused."""

import jax.random as jr
import numpy as np
import pytest

from flowspec.cli.arguments import parser
from flowspec.data.seeds import key_of


def test_small_seeds_are_those_of_jax_and_no_two_large_ones_are_one():
    """JAX itself makes one key of 5, 2^32 + 5 and 2^64 + 5."""
    for seed in (0, 5, np.int64(5), 2**32 - 1):
        np.testing.assert_array_equal(jr.key_data(key_of(seed)), jr.key_data(jr.key(int(seed))))
    seeds = [5, 2**32 + 5, 2**33 + 5, 2**64 + 5, 2**100 + 5, 2**64 - 1, 2**32]
    keys = {tuple(np.asarray(jr.key_data(key_of(seed))).tolist()) for seed in seeds}
    assert len(keys) == len(seeds)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None])
def test_no_other_seeds(seed):
    with pytest.raises(ValueError, match="expected a whole number >= 0 as the seed; got"):
        key_of(seed)


def test_the_command_line_takes_64_bits(capsys):
    words = ["predict", "x.fits", "--model", "sdss", "-o", "x.ecsv", "--seed"]
    assert parser().parse_args([*words, str(2**64 - 1)]).seed == 2**64 - 1
    for text in (str(2**64), "-1", "1" * 5000):
        with pytest.raises(SystemExit):
            parser().parse_args([*words, text])
        assert capsys.readouterr().err.count("\n") == 1
