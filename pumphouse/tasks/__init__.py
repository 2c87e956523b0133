"""The resource types, one module each. The registry loads them by their entry points; nobody imports them."""
