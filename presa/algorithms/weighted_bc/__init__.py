"""weighted-bc: cloning of whole episodes, weighted by what feedback on segments says of them."""
