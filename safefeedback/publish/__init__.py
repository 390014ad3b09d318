"""Publishing to the Hub as versions, and fetching them."""
