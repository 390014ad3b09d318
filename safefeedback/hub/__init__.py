"""The Hugging Face Hub: a client that retries, and the names of places on it."""
