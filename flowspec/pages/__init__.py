"""Pages to look at observations and their posteriors: one HTML file, without network or server."""

from flowspec.pages.page import view as view
