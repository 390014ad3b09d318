"""Parameters of networks, and functions of them."""
