"""Reads a cloud in bulk into an :class:`~pumphouse.model.Inventory`, and finds in it what a scope names."""
