from __future__ import annotations

import socket

import pytest
import yaml

from pumphouse import errors
from pumphouse.clouds import Clouds

from .conftest import QUICK, Reply, entry


def write(path, clouds):
    path.write_text(yaml.safe_dump({"clouds": clouds}))
    return Clouds(settings=QUICK, files=[str(path)])


def one_line(error):
    assert "\n" not in str(error)
    assert error.next_step
    return str(error)


def test_names_are_those_of_clouds_yaml(tmp_path, server):
    clouds = write(tmp_path / "clouds.yaml", {"source": entry(server), "destination": entry(server)})
    assert clouds.names() == ["destination", "source"]


def test_clouds_yaml_is_found_as_every_tool_finds_it(clouds_yaml, monkeypatch):
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds_yaml))
    assert "here" in Clouds().names()


def test_an_unknown_cloud_names_the_known_ones_and_the_file(clouds_yaml):
    with pytest.raises(errors.UnknownCloud) as caught:
        Clouds(files=[str(clouds_yaml)]).open("elsewhere")
    text = one_line(caught.value)
    assert "'elsewhere'" in text
    assert "here" in caught.value.next_step
    assert str(clouds_yaml) in caught.value.next_step


def test_no_clouds_yaml_at_all(tmp_path, monkeypatch):
    for name in ("OS_CLIENT_CONFIG_FILE", "OS_AUTH_URL", "OS_USERNAME", "OS_CLOUD"):
        monkeypatch.delenv(name, raising=False)
    missing = str(tmp_path / "clouds.yaml")
    with pytest.raises(errors.UnknownCloud) as caught:
        Clouds(files=[missing]).open("source")
    assert missing in one_line(caught.value)


def test_wrong_credentials(clouds_yaml, server):
    answer = Reply(
        401, {"error": {"code": 401, "message": "The request you have made requires authentication."}}
    )
    server.on("POST", "/identity/v3/auth/tokens", answer)
    with pytest.raises(errors.Unauthorized) as caught:
        Clouds(settings=QUICK, files=[str(clouds_yaml)]).open("here")
    text = one_line(caught.value)
    assert "clouds.yaml" in text
    assert "hush-hush" not in text
    assert len(server.asked("POST", "/identity/v3/auth/tokens")) == 1


def test_an_identity_service_that_is_down(tmp_path, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    down = entry(server)
    down["auth"]["auth_url"] = f"http://127.0.0.1:{port}/v3"
    with pytest.raises(errors.Unavailable) as caught:
        write(tmp_path / "clouds.yaml", {"here": down}).open("here")
    text = one_line(caught.value)
    assert "refused" in text
    assert "cloud here" in text


def test_a_host_that_speaks_no_tls(tmp_path, server):
    secure = entry(server)
    secure["auth"]["auth_url"] = server.url.replace("http:", "https:") + "/identity/v3"
    with pytest.raises(errors.Unavailable) as caught:
        write(tmp_path / "clouds.yaml", {"here": secure}).open("here")
    assert "cacert" in one_line(caught.value)


def test_an_entry_without_credentials(tmp_path):
    with pytest.raises(errors.BadConfig) as caught:
        write(tmp_path / "clouds.yaml", {"here": {"auth": {"auth_url": "http://127.0.0.1:1/v3"}}}).open(
            "here"
        )
    one_line(caught.value)


def test_a_file_that_is_not_yaml(tmp_path):
    path = tmp_path / "clouds.yaml"
    path.write_text("clouds:\n  - [")
    with pytest.raises(errors.BadConfig, match="not YAML") as caught:
        Clouds(files=[str(path)]).names()
    one_line(caught.value)


@pytest.mark.parametrize("text", ["[]", "clouds: [a, b]", "just text", "clouds:\n  here: {}\n"])
def test_a_file_without_usable_clouds(tmp_path, text):
    path = tmp_path / "clouds.yaml"
    path.write_text(text)
    with pytest.raises(errors.BadConfig) as caught:
        Clouds(settings=QUICK, files=[str(path)]).open("here")
    one_line(caught.value)


def test_two_names_of_one_cloud_are_the_same_and_two_clouds_are_not(tmp_path, server):
    clouds = write(tmp_path / "clouds.yaml", {"a": entry(server), "b": entry(server, interface="public")})
    a, b = clouds.open("a"), clouds.open("b")
    assert a.identity_of() == b.identity_of()
    server.services = {"identity": "/identity/v3", "compute": "/compute/v2.1"}
    assert a.within("p9").identity_of() == a.identity_of()
    a.close()
    b.close()


def test_another_region_is_another_cloud(tmp_path, server):
    clouds = write(
        tmp_path / "clouds.yaml", {"a": entry(server), "b": entry(server) | {"region_name": "Two"}}
    )
    a, b = clouds.open("a"), clouds.open("b")
    assert a.identity_of() != b.identity_of()
    a.close()
    b.close()
