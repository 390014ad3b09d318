"""Policies act in the simulator."""
