"""The first version of the API, one module for each kind of thing that it shows."""
