"""Rollouts: policies act in the simulator."""
