"""Running flows: persistence, the shared executor, resumable engines and the order between flows."""
