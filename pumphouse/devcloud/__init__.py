"""The embedded clouds: small OpenStack-compatible services over HTTP on loopback.

For the demo, tests, fault injection and scale. Standard library and PyYAML only; knows nothing of the rest of
the package.

A cloud::

    cloud = DevCloud("source", directory=path, timings={"build": 0.1})
    cloud.start()    # -> "http://127.0.0.1:43211"; cloud.auth_url is the identity service
    cloud.faults.add("status", method="POST", path="/compute/*/servers", code=503)
    cloud.state()    # the whole state, comparable
    cloud.stop()

A service is one or more modules that route onto a :class:`~pumphouse.devcloud.router.Service` of
``services.py`` and are named in ``services.MODULES``::

    from pumphouse.devcloud.services import VOLUME

    VOLUMES = VOLUME.table("volumes", indexes=("project_id", "name"))  # each cloud's: cloud.table(VOLUMES)

    @VOLUME.setup
    def defaults(cloud): ...                   # what a new cloud has from the start

    @VOLUME.route("POST", "/volumes", status=202)
    def create_volume(cloud, request):         # path parameters come as keyword arguments
        want = request.member("volume")        # 400 when the body has no such object
        row = {"id": cloud.new_id(), "project_id": request.token.project_id, "status": "creating",
               "created_at": cloud.now(), **...}
        cloud.table(VOLUMES).add(row)          # rows are dicts; times are aware datetimes
        cloud.later("volume", lambda: finish(cloud, row["id"]))  # kinds and seconds: cloud.TIMINGS
        return {"volume": view(row)}           # a dict, or a Response; None is 204

    @VOLUME.route("GET", "/volumes/{volume_id}", policy="get")  # role=None|"admin"|..., since=(3, 42)
    def show_volume(cloud, request, volume_id):
        row = cloud.table(VOLUMES).get(volume_id)
        if row is None:
            raise not_found(f"Volume {volume_id} could not be found.")

A handler runs under the cloud's lock, with its JSON body already read and due changes applied. One that
streams (``request.read(size)``) declares ``locked=False`` and wraps what touches tables in
``with cloud.transaction():``. ``paging.page`` lists a table by limit and marker. Bytes live in
``cloud.files`` (``create(kind, id, size=, source=)``, ``path``, ``remove``; kinds ``images``, ``volumes``,
``disks``). Refusals are raised: :mod:`pumphouse.devcloud.errors`. Changed fields that are indexed go through
``table.update(id, field=value)``; others may be set on the row.
"""

from pumphouse.devcloud.cloud import ADMIN_PASSWORD, TIMINGS, DevCloud, clouds_yaml

__all__ = ["ADMIN_PASSWORD", "TIMINGS", "DevCloud", "clouds_yaml"]
