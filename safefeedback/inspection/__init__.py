"""`safefeedback inspect`: the numbers that decide whether training can work, of a dataset or of recordings."""
