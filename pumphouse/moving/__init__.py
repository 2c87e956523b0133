"""The steps of the types that move data or a workload: servers, volumes, and the bytes of both."""
