"""Where a graph's boxes are drawn."""

from __future__ import annotations

import random
from itertools import pairwise

import networkx as nx
import pytest

from pumphouse.api.dashboard.layout import HEIGHT, WIDTH, lay_out


def made_up(size, seed=1):
    """A graph without circles, of generations of very different sizes."""
    dice = random.Random(seed)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(size))
    for node in range(max(1, size // 20), size):
        graph.add_edges_from((dice.randrange(max(1, node // 2)), node) for _ in range(3))
    return graph


def test_nothing_needs_no_room():
    found = lay_out(nx.DiGraph(), [])
    assert (found.places, found.width, found.height) == ({}, 0, 0)


def test_what_is_needed_stands_to_the_left():
    graph = made_up(200)
    places = lay_out(graph, list(graph)).places
    assert all(places[need][0] + WIDTH < places[node][0] for need, node in graph.edges)


@pytest.mark.parametrize("size", [1, 7, 60, 2000])
def test_no_two_boxes_overlap_and_all_are_inside(size):
    graph = made_up(size)
    found = lay_out(graph, list(graph))
    assert len(found.places) == size
    assert all(0 <= x <= found.width - WIDTH for x, _ in found.places.values())
    assert all(0 <= y <= found.height - HEIGHT for _, y in found.places.values())
    by_column = {}
    for x, y in found.places.values():
        by_column.setdefault(x, []).append(y)
    for column in by_column.values():
        column.sort()
        assert all(one + HEIGHT < other for one, other in pairwise(column))
    columns = sorted(by_column)
    assert all(one + WIDTH < other for one, other in pairwise(columns))


@pytest.mark.parametrize("size", [60, 500, 2000])
def test_the_whole_has_about_the_shape_of_a_screen(size):
    graph = made_up(size)
    found = lay_out(graph, list(graph))
    assert 1.1 < found.width / found.height < 2.6


def test_a_thousand_beside_each_other_are_no_tower():
    graph = nx.DiGraph()
    graph.add_nodes_from(range(1000))
    found = lay_out(graph, list(graph))
    assert 1.1 < found.width / found.height < 2.6


def test_neighbours_come_near_each_other():
    graph = nx.DiGraph((f"a{number}", f"b{19 - number}") for number in range(20))
    places = lay_out(graph, sorted(graph)).places
    crossings = sum(
        1
        for number in range(20)
        for other in range(number)
        if (places[f"a{number}"][1] - places[f"a{other}"][1])
        * (places[f"b{19 - number}"][1] - places[f"b{19 - other}"][1])
        < 0
    )
    assert crossings == 0


def test_the_same_graph_is_drawn_the_same():
    one, other = (lay_out(made_up(300), list(range(300))) for _ in range(2))
    assert one == other
