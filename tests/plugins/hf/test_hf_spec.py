"""What of each extractor enters the SPEC, value for value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ducho_hf import (
    SentenceExtractor,
    SentenceOptions,
    TextExtractor,
    TextOptions,
    VisionExtractor,
    VisionOptions,
)

from ducho_core.options import spec_options

GOLDEN = Path(__file__).with_name("golden.json")
# Of weights drawn here, and of files as this version of the library writes them.
DIGESTS = ("weights_sha256", "config_sha256", "tokenizer_sha256", "code_sha256")

CASES = {
    "text": (TextExtractor, TextOptions, "bert", {"layers": (-1, 1), "pooling": ("mean", "cls")}),
    "sentence": (SentenceExtractor, SentenceOptions, "minilm", {"truncate_dim": 128}),
    "vision": (VisionExtractor, VisionOptions, "vit", {"pooling": ("pooler",), "resize": (40,)}),
    "vision of two towers": (VisionExtractor, VisionOptions, "clip", {}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_spec_is_the_golden_one(context, request, name):
    extractor, options, fixture, chosen = CASES[name]
    folder = request.getfixturevalue(fixture)
    modality = "image" if extractor is VisionExtractor else "text"
    one = extractor.resolve(options(model=str(folder), **chosen), context(modality=modality))
    identity = dict(one.identity)
    if fixture != "minilm":  # that is in a wheel, and always the same
        for digest in DIGESTS:
            assert len(identity.pop(digest, "0" * 64)) == 64
    found = {
        "label": one.label,
        "identity": identity,
        "options": spec_options(one.options),
        "precision": one.precision,
        "outputs": [[output.name, output.dim] for output in one.outputs],
    }
    assert json.loads(json.dumps(found)) == json.loads(GOLDEN.read_text())[name]
    assert str(folder.parent) not in json.dumps(found)
