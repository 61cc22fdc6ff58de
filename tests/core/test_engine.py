"""What engines of a plugin's own rest on."""

from __future__ import annotations

import pickle

from ducho_core import ChunkResult, Engine, LocalEngine
from ducho_core.extraction.job import Seconds


def test_what_became_of_a_chunk_can_be_sent_between_processes():
    result = ChunkResult(plan=0, index=7, stored=3)
    result.seconds.add({"prepare": 1.5})
    result.failed["decode_error"] += 2
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert isinstance(again.seconds, Seconds)
    again.seconds["extract"] += 1.0
    assert dict(again.seconds) == {"prepare": 1.5, "extract": 1.0}


def test_the_local_engine_is_an_engine():
    assert issubclass(LocalEngine, Engine)
