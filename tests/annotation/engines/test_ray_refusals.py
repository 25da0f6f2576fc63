"""Ray clusters that cannot be joined: nothing listens, or a token is missing or wrong. No cluster is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from stub_work import Stub

from ava_detect.annotation.engines.ray_engine import RayEngine
from ava_detect.errors import ConfigError

ray = pytest.importorskip("ray", reason="Ray is not installed (the extra [ray])")


@pytest.fixture
def refused_with(monkeypatch, tmp_path):
    """The message where ``ray.init`` raises an error; this process has no token."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def message(error: Exception, address: str | None) -> str:
        def refuse(**_):
            raise error

        monkeypatch.setattr(ray, "init", refuse)
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
        with pytest.raises(ConfigError) as refused:
            list(RayEngine(address=address).run(Stub(Path()), ["item"]))
        return str(refused.value)

    return message


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_address_where_nothing_listens(refused_with):
    message = refused_with(ConnectionError("Failed to connect to Ray cluster at 127.0.0.1:1"), "127.0.0.1:1")
    assert message.startswith("no Ray cluster answers at 127.0.0.1:1 (Failed to connect")


def test_a_node_of_its_own_that_does_not_start(refused_with):
    message = refused_with(Exception("The current node timed out during startup."), None)
    assert message.startswith(
        "Ray did not start on this machine (The current node timed out during startup.); mostly it"
    )


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "auto", None])
def test_a_cluster_that_answers_and_wants_a_token(refused_with, port, address):
    """Ray raises the same error as where nothing listens, with the address that it tried."""
    address = address and address.format(port=port)
    message = refused_with(ConnectionError(f"Failed to connect to Ray cluster at 127.0.0.1:{port}"), address)
    assert "can be reached and does not accept this process" in message
    assert "there is none here; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in message


@pytest.mark.parametrize(
    ("variables", "what"),
    [
        ({"RAY_AUTH_TOKEN": "abc"}, r"the one here (RAY_AUTH_TOKEN) is not the cluster's"),
        ({"RAY_AUTH_TOKEN": "abc", "RAY_AUTH_MODE": "disabled"}, "RAY_AUTH_MODE is not token here"),
    ],
)
def test_a_token_that_is_not_the_clusters(refused_with, port, monkeypatch, variables, what):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    message = refused_with(ConnectionError("Failed to connect"), f"127.0.0.1:{port}")
    assert what in message
    assert "abc" not in message


def test_a_mode_that_wants_a_token_where_there_is_none(refused_with):
    if not hasattr(ray.exceptions, "AuthenticationError"):
        pytest.skip("this Ray knows no tokens")
    message = refused_with(ray.exceptions.AuthenticationError("no authentication token was found"), "h:1")
    assert message.startswith("the Ray cluster at h:1 wants a token, and there is none here; set RAY_AUTH_MODE=token")
