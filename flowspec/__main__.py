"""`python -m flowspec`: the command line without the script."""

import sys

from flowspec.cli import main

if __name__ == "__main__":
    sys.exit(main())
