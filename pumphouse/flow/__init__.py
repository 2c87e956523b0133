"""Compiles a plan into TaskFlow flows: units, the order between them, and each unit's tasks."""
