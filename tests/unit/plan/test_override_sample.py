"""The sample of an override file."""

from importlib.resources import as_file, files

from pumphouse.plan import overrides
from pumphouse.registry import Registry


def test_the_sample_is_an_override_file():
    with as_file(files("pumphouse").joinpath("samples", "overrides.yaml.sample")) as path:
        loaded = overrides.load(path, Registry.load())
    assert loaded.names["projects"] == {"shop": "shop-production"}
    assert [rule.type for rule in loaded.rules] == ["network", "subnet", "server", "volume", "volume"]
    assert [str(check.kind) for check in loaded.checks] == ["tcp", "http", "command"]
