"""weighted-bc: behaviour cloning of whole episodes, weighted by models fitted to feedback on segments."""
