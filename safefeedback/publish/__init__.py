"""What goes up to the Hub as a version, and comes down again."""
