"""Proves what arrived: compares both sides again, field by field."""
