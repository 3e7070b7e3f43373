"""`flowspec plot`: a figure per spectrum or row of a line catalogue, to judge its posterior by."""

from argparse import Namespace

from flowspec.cli.auto import answering
from flowspec.cli.figures import Galleries, is_file
from flowspec.cli.inputs import check_inputs, rows_bar
from flowspec.cli.outputs import check_file, check_folder, make_parents


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
    by = answering(args)
    galleries = Galleries(by, args.top, args.parameters)
    with rows_bar(args, by.frame) as bar:
        for table, answered in by.blocks():
            for one in answered:
                galleries.offer(one, args.dereddened)
            bar.update(len(table))
    if is_file(args.output):
        make_parents([args.output])
    for path in galleries.write(args.output, progress=not args.quiet):
        print(path)
