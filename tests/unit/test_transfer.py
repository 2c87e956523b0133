"""Two small Glances over HTTP, with the faults that corrupt images."""

from __future__ import annotations

import hashlib
import os

import pytest
import yaml

from pumphouse import errors, transfer
from pumphouse.clouds import Clouds
from pumphouse.transfer import SpoiltImage, compare_image_data, copy_image_data

from .clouds.conftest import QUICK, Reply, Scripted, entry

DATA = os.urandom(5 * 1024 * 1024 + 17)
FILE = "/image/v2/images/i/file"


class Glance:
    """One image ``i`` on a scripted server."""

    def __init__(self, server, *, data=None, algorithm="sha512", checksum=True):
        self.server = server
        self.data = data
        self.algorithm = algorithm
        self.checksum = checksum
        self.status = "active" if data is not None else "queued"
        self.after_half_a_body = "queued"
        self.before_put = []
        self.after_put = []
        server.on("GET", "/image/v2/images/i", self.show)
        server.on("GET", FILE, self.read)
        server.on("PUT", FILE, self.write)

    def show(self, request):
        if self.status == "gone":
            return Reply(404, {})
        body = {"id": "i", "status": self.status, "size": None, "checksum": None}
        if self.status == "active":
            body["size"] = len(self.data)
            if self.checksum:
                body["checksum"] = hashlib.md5(self.data).hexdigest()
            if self.algorithm:
                body["os_hash_algo"] = self.algorithm
                body["os_hash_value"] = hashlib.new(self.algorithm, self.data).hexdigest()
        return Reply(body=body)

    def read(self, request):
        return Reply(200, self.data, {"Content-Type": "application/octet-stream"})

    def write(self, request):
        if self.before_put:
            return self.before_put.pop(0)
        if self.status != "queued":
            return Reply(409, b"<html><body><h1>409</h1>Only a queued image takes data</body></html>")
        if len(request.body) < int(request.headers["content-length"]):
            self.status = self.after_half_a_body
            return Reply(400, {})
        self.data, self.status = request.body, "active"
        return self.after_put.pop(0) if self.after_put else Reply(204)

    @property
    def puts(self):
        return self.server.asked("PUT", FILE)


class Pair:
    def __init__(self, tmp_path, left, right):
        path = tmp_path / "clouds.yaml"
        path.write_text(yaml.safe_dump({"clouds": {"left": entry(left), "right": entry(right)}}))
        clouds = Clouds(settings=QUICK, files=[str(path)])
        self.servers = left, right
        self.left, self.right = clouds.open("left"), clouds.open("right")
        self.source, self.destination = Glance(left, data=DATA), Glance(right)

    def copy(self, **options):
        return copy_image_data(self.left, "i", self.right, "i", size=len(DATA), **options)


@pytest.fixture
def pair(tmp_path, monkeypatch):
    monkeypatch.delenv("OS_CLIENT_CONFIG_FILE", raising=False)
    monkeypatch.setattr(transfer, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(transfer, "_SETTLE_SECONDS", 0.05)
    left, right = Scripted(), Scripted()
    made = Pair(tmp_path, left, right)
    yield made
    for each in (made.left, made.right, left, right):
        each.close()


def test_the_bytes_arrive_with_one_put_and_their_hash_is_compared(pair):
    seen = []
    moved = pair.copy(progress=lambda done, size: seen.append((done, size)))
    assert pair.destination.data == DATA
    assert (moved.bytes, moved.tries) == (len(DATA), 1)
    assert moved.digest == f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    assert len(pair.destination.puts) == 1
    assert seen == sorted(seen)
    assert seen[-1] == (len(DATA), len(DATA))
    headers = pair.destination.puts[0].headers
    assert headers["content-length"] == str(len(DATA))
    assert "transfer-encoding" not in headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-auth-token"] == pair.servers[1].tokens[-1]


@pytest.mark.faults
@pytest.mark.parametrize("fault", [Reply(503, {}), Reply(401, {}), Reply(drop=True), Reply(500, {})])
def test_each_try_sends_the_whole_body(pair, fault):
    pair.destination.before_put = [fault]
    moved = pair.copy()
    assert moved.tries == 2
    assert [len(put.body) for put in pair.destination.puts] == [len(DATA)] * 2
    assert pair.destination.data == DATA
    assert len(pair.servers[0].asked("GET", FILE)) == 2


@pytest.mark.faults
def test_a_redirect_is_not_followed(pair):
    pair.destination.before_put = [Reply(307, {}, {"Location": f"{pair.servers[1].url}{FILE}"})] * 9
    with pytest.raises(errors.CloudError):
        pair.copy()
    assert pair.destination.status == "queued"


@pytest.mark.faults
def test_a_lost_answer_is_not_a_lost_image(pair):
    pair.destination.after_put = [Reply(drop=True)]
    assert pair.copy().tries == 1
    assert len(pair.destination.puts) == 1


@pytest.mark.faults
def test_a_source_that_breaks_off_never_makes_an_active_image(pair):
    pair.servers[0].on("GET", FILE, Reply(200, DATA, cut=3_000_000))
    with pytest.raises(errors.Unavailable) as caught:
        pair.copy()
    assert caught.value.cloud == "left"
    assert pair.destination.status == "queued"
    assert len(pair.servers[0].asked("GET", FILE)) == transfer.TRIES


@pytest.mark.faults
def test_a_source_that_breaks_off_once(pair):
    pair.servers[0].on("GET", FILE, Reply(200, DATA, cut=3_000_000), pair.source.read)
    assert pair.copy().tries == 2
    assert pair.destination.data == DATA


@pytest.mark.parametrize("status", ["killed", "saving", "gone", "deactivated"])
def test_an_image_that_takes_no_data_is_reported_before_any_is_sent(pair, status):
    pair.destination.status = status
    with pytest.raises(SpoiltImage, match=status):
        pair.copy()
    assert pair.destination.puts == []


@pytest.mark.faults
@pytest.mark.parametrize("status", ["killed", "saving", "gone"])
def test_an_image_that_half_a_body_has_spoilt_is_reported(pair, status):
    pair.destination.after_half_a_body = status
    pair.servers[0].on("GET", FILE, Reply(200, DATA, cut=3_000_000))
    with pytest.raises(SpoiltImage, match=status) as caught:
        pair.copy()
    assert caught.value.cloud == "right"
    assert "create it again" in caught.value.next_step


@pytest.mark.parametrize("stump", [DATA[:1000], DATA[:-1] + b"x", b""])
def test_an_active_image_with_other_bytes_is_reported(pair, stump):
    pair.destination.data, pair.destination.status = stump, "active"
    with pytest.raises(SpoiltImage, match="other data"):
        pair.copy()


def test_data_that_are_there_already_are_proved_and_kept(pair):
    pair.copy()
    again = pair.copy()
    assert (again.bytes, again.tries) == (0, 0)
    assert again.digest == f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    assert len(pair.destination.puts) == 1


def test_a_destination_that_refuses_the_content_says_so(pair):
    pair.destination.before_put = [Reply(415, b"<html><body>does not look like raw</body></html>")] * 3
    with pytest.raises(errors.BadRequest, match="does not look like raw"):
        pair.copy()
    assert len(pair.destination.puts) == 1


@pytest.mark.parametrize("theirs", ["sha512", "sha256", None])
def test_a_source_without_a_hash_is_hashed_on_the_way_or_again(pair, theirs):
    pair.source.algorithm, pair.source.checksum = None, False
    pair.destination.algorithm = theirs
    moved = pair.copy()
    assert moved.digest == f"{theirs or 'md5'}:{hashlib.new(theirs or 'md5', DATA).hexdigest()}"
    assert len(pair.servers[0].asked("GET", FILE)) == (1 if theirs == "sha512" else 2)


def test_other_algorithms_fall_back_to_the_checksum(pair):
    pair.destination.algorithm = "sha256"
    assert pair.copy().digest.startswith("md5:")
    assert len(pair.servers[0].asked("GET", FILE)) == 1


def test_the_source_has_changed_since_it_was_planned(pair):
    pair.source.data = DATA + b"more"
    with pytest.raises(errors.VerificationFailed, match="bytes"):
        pair.copy()
    assert pair.destination.puts == []


def test_an_image_without_data_is_an_error(pair):
    pair.source.status = "queued"
    pair.servers[0].on("GET", FILE, Reply(204))
    with pytest.raises(errors.Conflict, match="no data"):
        pair.copy()


def test_an_empty_image_is_moved_too(pair):
    pair.source.data = b""
    moved = copy_image_data(pair.left, "i", pair.right, "i", size=0)
    assert (moved.bytes, pair.destination.data) == (0, b"")


@pytest.mark.parametrize(
    ("ours", "theirs", "same", "by"),
    [
        ({"size": 1}, {"size": 2}, False, "size"),
        (
            {"size": 1, "os_hash_algo": "sha512", "os_hash_value": "a", "checksum": "m"},
            {"size": 1, "os_hash_algo": "sha512", "os_hash_value": "b", "checksum": "m"},
            False,
            "sha512",
        ),
        (
            {"size": 1, "os_hash_algo": "sha256", "os_hash_value": "a", "checksum": "m"},
            {"size": 1, "os_hash_algo": "sha512", "os_hash_value": "b", "checksum": "m"},
            True,
            "checksum",
        ),
        ({"size": 1, "checksum": "m"}, {"size": 1, "checksum": None}, None, "size"),
        ({"size": 1}, {"size": 1}, None, "size"),
    ],
)
def test_what_is_compared(ours, theirs, same, by):
    found = compare_image_data(ours, theirs)
    assert (found.same, found.by) == (same, by)
