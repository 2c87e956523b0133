"""Which way is chosen."""

from __future__ import annotations

import pytest

from pumphouse import errors
from pumphouse.moving.movers import Between, Offers, choose, direct_url, movers, named, region_of

ALL = frozenset({"glance-direct", "glance-download", "web-download"})
HERE = {"": "http://one:9292", "RegionOne": "http://one:9292"}
THERE = {"": "http://two:9292", "RegionTwo": "http://two:9292", "RegionOne": "http://one:9292"}


@pytest.mark.parametrize(
    ("methods", "addresses", "is_open", "name"),
    [
        (ALL, THERE, True, "glance-download"),
        (ALL, {"": "http://two:9292"}, True, "web-download"),
        (ALL, {"": "http://two:9292"}, False, "glance-stream"),
        (ALL, {}, False, "glance-stream"),
        (frozenset({"web-download"}), THERE, True, "web-download"),
        (frozenset(), THERE, True, "glance-stream"),
    ],
)
def test_the_best_way_that_both_ends_can_do_is_chosen(methods, addresses, is_open, name):
    destination = Offers(methods=methods, addresses=addresses)
    between = Between(source=Offers(addresses=HERE), destination=destination, is_open=is_open)
    assert choose(between).name == name
    unfit = {one.name: one.unfit(between) for one in movers()}
    assert unfit[name] == ""
    assert all(unfit[one.name] for one in movers() if one.rank < named(name).rank)


def test_a_cloud_is_no_region_of_itself():
    assert region_of(HERE, HERE) == ""
    assert region_of(HERE, THERE) == "RegionOne"
    assert region_of({}, {}) == ""


def test_one_that_is_not_installed_any_longer_gives_way_to_the_one_that_always_is():
    assert named("carrier-pigeon").name == "glance-stream"


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ({"direct_url": "https://store.example/i"}, "https://store.example/i"),
        ({"direct_url": "rbd://a/b"}, ""),
        ({"direct_url": "rbd://a", "locations": [{"url": "file:///x"}, {"url": "http://s/i"}]}, "http://s/i"),
        ({"direct_url": "http://user:password@store.example/i"}, ""),
        ({"locations": None}, ""),
        ({}, ""),
    ],
)
def test_only_an_address_that_is_open_to_all_is_told(image, url):
    assert direct_url(image) == url


def test_an_installation_without_any_says_what_to_do(monkeypatch):
    monkeypatch.setattr("pumphouse.moving.movers.movers", lambda: ())
    with pytest.raises(errors.BadConfig) as caught:
        choose(Between(source=Offers(), destination=Offers(), is_open=True))
    assert caught.value.next_step == "Install Pumphouse again."
