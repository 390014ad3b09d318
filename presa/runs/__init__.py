"""Training runs: their folders, records, checkpoints, evaluations, cards and plots."""
