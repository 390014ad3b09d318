"""The training loop: batches are drawn, and parameters fitted, for one run or several side by side."""
