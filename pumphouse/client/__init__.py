"""A client of the HTTP API, for scripts.

::

    from pumphouse.client import Client

    with Client("http://127.0.0.1:8775", token="...") as api:
        migration = api.migrate("tenant", "shop")
        for event in api.follow(migration.id):
            print(event.at, event.kind, event.payload)
        print(api.migration(migration.id).state, api.report(migration.id).verified)

Answers are the API's own documents. What the server refuses is raised as the error of the tree that it is.
"""

from pumphouse.client.client import Client

__all__ = ["Client"]
