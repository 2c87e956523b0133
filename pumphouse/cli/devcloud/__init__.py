"""``pumphouse devcloud``: the embedded clouds, for trying things out."""
