"""The dataset as a folder: written, read, described, given more labels, exported."""
