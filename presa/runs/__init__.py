"""A run's folder: its records, checkpoints, evaluation, card and plots."""
