"""What the conformance kit sees of torch: networks that resolve builds, or close leaves alive."""

from __future__ import annotations

import torch
from torch import nn

from ducho_core.testing import life_checks, resolve_checks


class Thing:
    """Stands for an extractor."""

    def __init__(self) -> None:
        self.held = {"model": nn.Sequential(nn.Linear(2, 2), nn.ReLU())}


def test_a_network_that_is_built_is_seen():
    built: list[str] = []
    with resolve_checks._watched(Thing, built):
        nn.Linear(2, 2)
    assert built == ["a torch Linear", "a torch Linear"]
    nn.Linear(2, 2)
    assert len(built) == 2


def test_an_extractor_that_is_built_is_seen():
    built: list[str] = []
    with resolve_checks._watched(Thing, built):
        Thing()
    assert built[0] == "a Thing"


def test_modules_without_weights_and_networks_without_memory_are_none():
    built: list[str] = []
    with resolve_checks._watched(Thing, built):
        nn.ReLU()
        with torch.device("meta"):
            nn.Linear(2, 2)
    assert built == []


def test_a_network_is_found_wherever_it_is_held():
    thing = Thing()
    assert list(life_checks._heavy(thing)) == [thing.held["model"]]
    thing.held.clear()
    assert list(life_checks._heavy(thing)) == []
