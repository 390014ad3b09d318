"""Verifies a dataset: recomputes hashes, labels and card, and with the recordings at hand also every window."""
