"""People answer in a browser, and their answers become a label set. Needs the extra `annotate` to serve."""
