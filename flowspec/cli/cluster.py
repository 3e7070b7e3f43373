"""`flowspec predict --dask`: a folder of results from many workers."""

from argparse import Namespace

from flowspec.cli.auto import is_auto
from flowspec.cli.inputs import check_inputs, reading
from flowspec.cli.outputs import check_folder
from flowspec.cluster.dask import connected
from flowspec.cluster.predict import predict


def run(args: Namespace) -> None:
    """Write the folder.

    Raises:
        ValueError: If an argument is wrong, or of one process alone.
        OSError: If results cannot be written, or there is no scheduler.
    """
    for option in ("samples", "redshift_pdf", "plots"):
        if getattr(args, option):
            raise ValueError(f"expected no --{option.replace('_', '-')} with --dask, which writes "
                             "tables alone")
    if is_auto(args.model):
        raise ValueError(f"expected one model with --dask; got --model {args.model}")
    check_folder(args.output)
    check_inputs(args.spectra)
    with connected(args.dask) as client:
        predict(
            args.spectra, args.model, args.output, client=client, rows=args.rows,
            n=args.num_samples, seed=args.seed, population=args.population, total=args.total,
            dereddened=args.dereddened, suffix=args.suffix, **reading(args),
            progress=not args.quiet,
        )  # fmt: skip
