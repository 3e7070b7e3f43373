"""Run one benchmark: ``python -m benchmarks NAME [--option value] [-o out.json]``.

A benchmark is a module of this package with a function ``run`` from keyword options to a
dictionary of results; this file adds who, where, when and how long.
"""

import argparse
import importlib
import os
import sys

from benchmarks import harness

# Name -> cores it is defined on; 0 is all there are.
BENCHMARKS = {
    "real_sdss": 0,
    "real_vandels": 0,
    "real_classes": 0,
    "real_prism": 0,
    "adversarial": 0,
    "blends": 0,
    "survey_desi": 0,
    "sky": 0,
    "sky_fit": 0,
    "stars": 1,
    "aperture": 0,
    "bagpipes_peer": 0,
    "calibration": 0,
    "class_calibration": 0,
    "toy_spectra": 1,
    "doors": 1,
    "judged": 0,
    "recalibrate": 0,
    "retrain": 1,
    "objects": 1,
    "in_part": 0,
    "misfit": 0,
    "refine": 0,
    "throughput": 0,
    "scale": 0,
    "moons": 0,
    "moons_reference": 1,
    "learned": 0,
    "figures": 0,
    "notebooks": 0,
    "cloudy_inverse": 0,
    "real_nebulae": 0,
    "mixtures": 1,
    "clouds": 1,
    "diffuse_gas": 1,
    "shift_toy": 1,
    "shift_cost": 1,
    "shift_real": 0,
    "shift_ages": 0,
    "shift_photometry": 0,
    "nebula_classes": 1,
    "nebula_evidence": 1,
    "maps": 0,
    "measured_lines": 1,
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that the command line names; returns the exit status."""
    first = argparse.ArgumentParser(prog="python -m benchmarks", add_help=False)
    first.add_argument("name", choices=BENCHMARKS, help="the benchmark")
    first.add_argument("-o", "--output", default="", help="JSON file for the results")
    first.add_argument("--cores", type=int, default=-1, help="processor cores to use; 0: all")
    if not arguments or arguments[0] in ("-h", "--help"):
        first.print_help()
        return 0
    known, _ = first.parse_known_args(arguments)
    use_cores(BENCHMARKS[known.name] if known.cores < 0 else known.cores)
    module = importlib.import_module(f"benchmarks.{known.name}")
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {known.name}", description=module.__doc__, parents=[first],
        formatter_class=argparse.RawDescriptionHelpFormatter, add_help=True,
    )  # fmt: skip
    harness.add_options(parser, module.run)
    options = vars(parser.parse_args(arguments))
    for name in ("name", "output", "cores"):
        del options[name]
    date = harness.now()
    results, clocks = harness.measured(module.run, options)
    header = {
        "benchmark": known.name,
        "command": "python -m benchmarks " + " ".join(arguments),
        "date": date,
        "options": options,
        **clocks,
        "machine": harness.machine(),
    }
    print(harness.table(results))
    print("", *harness.columns({"": header}), sep="\n")
    if known.output:
        harness.write_json(known.output, header | {"results": results})
    return 0


def use_cores(count: int) -> None:
    """Restrict this process to some cores; must come before JAX starts its threads."""
    if count > 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
