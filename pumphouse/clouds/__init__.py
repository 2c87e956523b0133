"""A named cloud of clouds.yaml: connection, errors, limits, capabilities and shared waiting.

* ``http``: the connection pool, time-outs and the settings of all of it.
* ``throttle``: requests in flight and requests per second, per service.
* ``failures``: what a service answered, as one error of the tree.
* ``call``: one request as its caller gives it.
* ``sender``: sends it, again where a repeat is safe.
* ``paging``: where the next page is.
* ``cloud``: the calls that resource types make.
* ``image_data``: bytes out of one Glance and into another.
* ``factory``: clouds.yaml -> Cloud.
* ``waiting``: many waits, one listing.
* ``capabilities``: what a cloud and the operator's account can do.
* ``keystone_db``: password hashes, which no API reads or sets.
"""

from pumphouse.clouds.cloud import Cloud
from pumphouse.clouds.factory import Clouds
from pumphouse.clouds.http import Settings

__all__ = ["Cloud", "Clouds", "Settings"]
