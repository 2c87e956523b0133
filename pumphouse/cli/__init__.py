"""The command line. A command parses its arguments, calls one function of the service, and renders."""
