"""The training loop: draws batches and fits parameters, for one run or several side by side."""
