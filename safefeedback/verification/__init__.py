"""Whether a dataset is what it says: files, content, labels and card made once more, and with the recordings every window."""
