"""Annotation by people: they label pairs in a browser, and their answers become a label set. Serving needs the extra
`annotate`."""
