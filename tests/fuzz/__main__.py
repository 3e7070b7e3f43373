"""Read damaged files by the thousand: ``python -m tests.fuzz --mutants 20000``.

A process of its own reads them, with limits on memory and time, and is replaced when it dies.
Prints every crash with the number that makes it again (``--first N --mutants 1``), and the count.
"""

import argparse
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SECONDS, GIGABYTES = 20, 4


def main() -> int:
    """Read mutants; the exit code is 1 where one is a crash."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--mutants", type=int, default=20000)
    words.add_argument("--first", type=int, default=0)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--only", default="", help="originals whose name has this in it")
    words.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.worker:
        work(given)
        return 0
    counts: Counter[str] = Counter()
    for number, found in results(given):
        counts[found.partition(":")[0] if found in ("read", "refused") else "crash"] += 1
        if found not in ("read", "refused"):
            print(f"{number} {found}", flush=True)
        if counts.total() % 1000 == 0:
            print(f"{counts.total()} of {given.mutants}", file=sys.stderr, flush=True)
    print(f"{given.mutants} mutants: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    return int(counts["crash"] > 0)


def results(given: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """Number and outcome of each mutant, of as many processes as it takes."""
    number, last = given.first, given.first + given.mutants
    while number < last:
        command = [sys.executable, "-m", "tests.fuzz", "--worker", "--first", str(number),
                   "--mutants", str(last - number), "--seed", str(given.seed),
                   "--only", given.only]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            for line in worker.stdout:
                yield number, line.rstrip("\n")
                number += 1
        if worker.returncode > 0:
            raise RuntimeError("expected a process that reads mutants; got one that failed itself")
        if worker.returncode:
            yield number, f"ended by {signal.Signals(-worker.returncode).name}"
            number += 1


def work(given: argparse.Namespace) -> None:
    """Read mutants one by one, a line for each."""
    from tests.fuzz.mutants import mutant  # here: the parent needs none of what these load
    from tests.fuzz.originals import originals
    from tests.fuzz.outcome import outcome

    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES * 2**30,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = {n: f for n, f in originals().items() if given.only in n}
    names = list(files)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.first, given.first + given.mutants):
            rng = np.random.default_rng([given.seed, number])
            name = names[number % len(names)]
            kind, whole = files[name]
            path = Path(folder) / name
            path.write_bytes(mutant(whole, rng))
            signal.alarm(SECONDS)  # which ends the process, also where it is in a loop of C
            found = outcome(kind, path, whole)
            signal.alarm(0)
            crash = "" if found in ("read", "refused") else f"{name} "
            print(crash + " ".join(found.split())[:300], flush=True)


if __name__ == "__main__":
    sys.exit(main())
