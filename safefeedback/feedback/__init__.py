"""Episodes -> labelled pairs: samplers, teachers, annotators, noise and filters."""
