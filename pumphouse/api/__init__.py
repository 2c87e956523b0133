"""The HTTP API: a view parses, calls one function of the service, and renders."""
