"""No network, one thread."""

from __future__ import annotations

import socket

import pytest
import torch
from ducho_torch import ensure_torchvision

ensure_torchvision()


@pytest.fixture(scope="session", autouse=True)
def no_network():
    """Whatever opens a connection fails the test."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("a test opened a network connection")

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", refuse)
    patch.setattr(socket, "getaddrinfo", refuse)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small gain little from more, and lose much where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
