"""`flowspec plot`: a figure per spectrum or row of a line catalogue, to judge its posterior by."""

from argparse import Namespace

from flowspec.cli.figures import Gallery, is_file
from flowspec.cli.inputs import check_inputs, observations, rows_bar
from flowspec.cli.outputs import check_file, check_folder, make_parents
from flowspec.cli.predict import options_of
from flowspec.posterior.load import load
from flowspec.posterior.summary import summarized


def run(args: Namespace) -> None:
    """Draw the figures.

    Raises:
        ValueError: If no row has usable data, an argument is wrong, or there are several rows for
            one file.
        OSError: If a figure cannot be written.
    """
    taken = [*check_inputs(args.spectra), args.model]
    if is_file(args.output):
        check_file(args.output, inputs=taken)
    else:
        check_folder(args.output)
    posterior = load(args.model)
    options = options_of(args, posterior)
    gallery = Gallery(posterior, args.model, args.top, args.parameters)
    rows = 0
    with rows_bar(args, posterior.model.frame) as bar:
        for obs in observations(args, posterior.model.frame):
            gallery.offer(obs, *summarized(posterior, obs, **options, first=rows), args.dereddened)
            rows += len(obs)
            bar.update(len(obs))
    if is_file(args.output):
        make_parents([args.output])
    for path in gallery.write(args.output, progress=not args.quiet):
        print(path)
