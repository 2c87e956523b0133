"""The movers that Glance offers: through this process, or by an import that the destination does itself."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.moving.movers import STREAM, Between, CannotMove, Job, Mover, direct_url, region_of
from pumphouse.steps import once
from pumphouse.transfer import Transfer, copy_image_data, prove, spoilt


class Stream(Mover):
    """Read here and sent on, block by block. Always possible."""

    name = STREAM
    rank = 90
    passes_here = True

    def unfit(self, between: Between) -> str:  # noqa: ARG002 -- it never is
        return ""

    def move(self, job: Job) -> Transfer:
        return copy_image_data(
            job.source,
            str(job.image["id"]),
            job.destination,
            job.there,
            size=job.size,
            progress=job.progress,
            lane=job.lane,
        )


class Import(Mover):
    """An import that the destination's image service does by itself. No byte passes through this process."""

    method: ClassVar[str]

    def unfit(self, between: Between) -> str:
        if self.method not in between.destination.methods:
            return f"the destination's image service does not offer the import method {self.method}"
        return self.lacks(between)

    @abstractmethod
    def lacks(self, between: Between) -> str:
        """What else is missing; "" if nothing is."""

    @abstractmethod
    def request(self, job: Job) -> dict[str, Any]:
        """What the method must be told. Raises CannotMove."""

    def move(self, job: Job) -> Transfer:
        start = time.monotonic()
        told = {"name": self.method, **self.request(job)}
        job.progress(0, job.size)
        self._ask(job, told)
        self._wait(job, start)
        job.progress(job.size, job.size)
        digest = prove(job.source, job.image, job.destination, job.there, "")
        return Transfer(bytes=job.size, seconds=time.monotonic() - start, tries=1, digest=digest)

    def _ask(self, job: Job, told: Mapping[str, Any]) -> None:
        """Have it begun. After a lost answer the image tells whether it has."""

        def ask() -> bool:
            job.destination.post(Service.IMAGE, f"/images/{job.there}/import", {"method": told})
            return True

        def look() -> bool | None:
            image = job.destination.get(Service.IMAGE, f"/images/{job.there}")
            # The service locks the image for the task before it answers, and the task waits for its turn.
            return True if image["status"] != "queued" or image.get("os_glance_import_task") else None

        try:
            once(ask, look)
        except errors.Unsure:
            if look() is None:
                raise
        except errors.REFUSALS as refused:
            raise CannotMove(f"{self.method} was refused: {refused.message}") from refused

    def _wait(self, job: Job, start: float) -> None:
        """Until the image is active."""
        begun = False
        while True:
            image = job.destination.get(Service.IMAGE, f"/images/{job.there}")
            status = str(image["status"])
            failed = image.get("os_glance_failed_import") or (begun and status == "queued")
            late = time.monotonic() - start > job.timeout
            if status == "active":
                return
            if status == "queued" and (failed or late):
                raise CannotMove(f"the destination could not import it by {self.method}")
            if status not in {"queued", "importing", "saving", "uploading"} or late:
                raise spoilt(job.destination, job.there, f"is {status} after {self.method}")
            begun = begun or status != "queued"
            time.sleep(min(job.interval, 1.0))


class GlanceDownload(Import):
    """From the image service of another region of the same Keystone (Glance since 2023.1)."""

    name = method = "glance-download"
    rank = 10

    def lacks(self, between: Between) -> str:
        known = region_of(between.source.addresses, between.destination.addresses)
        return "" if known else "the destination's catalogue does not have the source's image service"

    def request(self, job: Job) -> dict[str, Any]:
        region = region_of(job.source.addresses(Service.IMAGE), job.destination.addresses(Service.IMAGE))
        if not region:
            raise CannotMove("the destination's catalogue no longer has the source's image service")
        return {"glance_region": region, "glance_image_id": str(job.image["id"])}


class WebDownload(Import):
    """From where the source keeps the image, if that is open to all over HTTP."""

    name = method = "web-download"
    rank = 20

    def lacks(self, between: Between) -> str:
        return "" if between.is_open else "the source tells no address of its data that is open to all"

    def request(self, job: Job) -> dict[str, Any]:
        url = direct_url(job.image)
        if not url:
            raise CannotMove("the source no longer tells where its data can be had")
        return {"uri": url}
