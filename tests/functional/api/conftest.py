"""The API on the demonstration's clouds: in this process, or served by one of its own."""

from serving import client, config_file, people, serve, service, wait_for  # noqa: F401 -- fixtures
