"""``hf/sentence`` against ``SentenceTransformer.encode``."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from ducho_hf.options import SentenceOptions
from ducho_hf.sentence import SentenceExtractor
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    StaticEmbedding,
)

from ducho_core import RunOptions, UsageError

RUN = RunOptions(device="cpu")


def loaded(context, precision="exact", **options):
    resolved = SentenceExtractor.resolve(SentenceOptions(**options), context(precision))
    return SentenceExtractor.load(resolved, RUN)


def items(texts):
    return [{"text": text} for text in texts]


@pytest.fixture(scope="module")
def library(minilm):
    return SentenceTransformer(str(minilm), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def extractor(minilm, context):
    return loaded(context, model=str(minilm))


@pytest.fixture(scope="module")
def whole(library, texts):
    return library.encode(texts, batch_size=len(texts))


@pytest.fixture
def tiny_sentence(bert, tmp_path):
    """A sentence model on the tiny BERT: prompts, a prompt left out of pooling, two poolings."""
    body = Transformer(str(bert))
    modules = [
        body,
        Pooling(32, ("mean", "cls"), include_prompt=False),
        Dense(64, 16),
        Normalize(),
    ]
    model = SentenceTransformer(
        modules=modules,
        prompts={"query": "a red shoe ", "document": "new brand "},
        default_prompt_name="document",
        device="cpu",
    )
    model.save_pretrained(str(tmp_path / "tiny"))
    return tmp_path / "tiny"


def test_the_same_batch_gives_what_encode_gives(extractor, whole, texts, vectors, relative):
    found = vectors(extractor, items(texts))["embedding"]
    assert found.shape == (len(texts), 384)
    assert found.dtype == np.float32
    assert relative(found, whole) <= 1e-5


def test_other_batches_differ_no_more_than_the_librarys_own_do(
    extractor, library, whole, texts, vectors, relative
):
    spread = max(relative(library.encode(texts, batch_size=size), whole) for size in (1, 7, 32))
    reverse = range(len(texts))[::-1]
    ours = max(
        relative(vectors(extractor, items(texts), size=size, order=order)["embedding"], whole)
        for size, order in ((1, None), (7, None), (7, reverse), (32, reverse))
    )
    print(f"largest relative difference: ours {ours:.2e}, the library's own {spread:.2e}")
    assert ours <= 2 * spread


def test_resolve_tells_what_load_finds(minilm, context):
    resolved = SentenceExtractor.resolve(SentenceOptions(model=str(minilm)), context())
    assert resolved.outputs[0].dim == 384
    again = pickle.loads(pickle.dumps(resolved))
    assert again == resolved
    assert SentenceExtractor.load(again, RUN).outputs == resolved.outputs


def test_long_texts_are_cut_as_the_library_cuts_them_and_counted(
    extractor, library, vectors, relative
):
    texts = ["red shoe " * 400, "red shoe"]
    notes = [sample.notes for sample in extractor.prepare_many(items(texts))]
    assert notes == [("truncated",), ()]
    assert relative(vectors(extractor, items(texts))["embedding"], library.encode(texts)) <= 1e-5


def test_a_text_costs_its_tokens(extractor):
    short, long = extractor.prepare_many(items(["red shoe", "red shoe " * 400]))
    assert (extractor.size(short), extractor.size(long)) == (4, 256)


def test_a_shorter_limit(context, library, minilm, texts, vectors, relative):
    library.max_seq_length = 16
    try:
        expected = library.encode(texts, batch_size=len(texts))
    finally:
        library.max_seq_length = 256
    found = vectors(loaded(context, model=str(minilm), max_seq_length=16), items(texts))
    assert relative(found["embedding"], expected) <= 1e-5


def test_a_limit_beyond_the_models_positions_is_refused(context, minilm):
    with pytest.raises(UsageError, match=r"max_seq_length=600: .* 512 tokens"):
        loaded(context, model=str(minilm), max_seq_length=600)


def test_fast_is_close(context, minilm, whole, texts, vectors):
    found = vectors(loaded(context, "fast", model=str(minilm)), items(texts))["embedding"]
    cosine = (found * whole).sum(1) / np.linalg.norm(found, axis=1)
    assert cosine.min() >= 0.999


@pytest.mark.parametrize(
    ("options", "encode"),
    [
        ({}, {}),
        ({"prompt_name": "query"}, {"prompt_name": "query"}),
        ({"prompt": "small lamp: "}, {"prompt": "small lamp: "}),
        ({"prompt": ""}, {"prompt": ""}),
        ({"truncate_dim": 5}, {"truncate_dim": 5}),
    ],
)
def test_prompts_and_dimensions(context, tiny_sentence, texts, vectors, relative, options, encode):
    library = SentenceTransformer(str(tiny_sentence), device="cpu")
    expected = library.encode(texts, batch_size=len(texts), **encode)
    extractor = loaded(context, model=str(tiny_sentence), **options)
    assert relative(vectors(extractor, items(texts))["embedding"], expected) <= 1e-5
    assert extractor.outputs[0].dim == expected.shape[1]
    resolved = SentenceExtractor.resolve(
        SentenceOptions(model=str(tiny_sentence), **options), context()
    )
    assert resolved.outputs == extractor.outputs


def test_an_unknown_prompt_name_lists_the_known_ones(context, tiny_sentence):
    with pytest.raises(UsageError, match="document, query"):
        loaded(context, model=str(tiny_sentence), prompt_name="passage")


def test_a_plain_transformers_folder_gets_the_librarys_mean_pooling(
    context, bert, texts, vectors, relative
):
    expected = SentenceTransformer(str(bert), device="cpu").encode(texts, batch_size=len(texts))
    found = vectors(loaded(context, model=str(bert)), items(texts))["embedding"]
    assert relative(found, expected) <= 1e-5


def test_static_embeddings_do_their_own_preprocessing(
    context, make_tokenizer, tmp_path, texts, vectors, relative
):
    torch.manual_seed(0)
    static = StaticEmbedding(make_tokenizer(specials=False), embedding_dim=12)
    model = SentenceTransformer(modules=[static], device="cpu")
    model.save_pretrained(str(tmp_path / "static"))
    found = vectors(loaded(context, model=str(tmp_path / "static")), items(texts), size=7)
    assert relative(found["embedding"], model.encode(texts)) <= 1e-5


def test_the_text_tower_of_clip(context, clip, texts, vectors, relative):
    library = SentenceTransformer(str(clip), device="cpu")
    extractor = loaded(context, model=str(clip))
    found = vectors(extractor, items(texts))["embedding"]
    assert relative(found, library.encode(texts, batch_size=len(texts))) <= 1e-5
    assert [sample.notes for sample in extractor.prepare_many(items(texts[3:6]))][:2] == [
        ("truncated",),
        ("truncated",),
    ]


def test_a_decoder_with_last_token_pooling(context, gpt, tmp_path, texts, vectors, relative):
    body = Transformer(str(gpt))
    model = SentenceTransformer(modules=[body, Pooling(32, "lasttoken")], device="cpu")
    model.save_pretrained(str(tmp_path / "decoder"))
    found = vectors(loaded(context, model=str(tmp_path / "decoder")), items(texts))["embedding"]
    assert relative(found, model.encode(texts, batch_size=len(texts))) <= 1e-5


def test_threads_get_the_same_tokens(extractor, texts):
    many = items(texts * 5)
    expected = [sample.data.ids.tolist() for sample in extractor.prepare_many(many)]
    with ThreadPoolExecutor(8) as pool:
        slices = [many[start : start + 10] for start in range(0, len(many), 10)] * 3
        found = list(pool.map(extractor.prepare_many, slices))
    tokens = [sample.data.ids.tolist() for one in found for sample in one]
    assert tokens == expected * 3


def test_two_instances_side_by_side(context, bert, extractor, whole, texts, vectors, relative):
    other = loaded(context, model=str(bert))
    many = items(texts)
    alone = vectors(other, many)["embedding"]
    assert relative(vectors(extractor, many)["embedding"], whole) <= 1e-5
    assert np.array_equal(alone, vectors(other, many)["embedding"])


def test_foreign_modules_are_not_run(context, tiny_sentence):
    listed = tiny_sentence / "modules.json"
    listed.write_text(
        listed.read_text().replace(
            "sentence_transformers.sentence_transformer.modules.pooling.Pooling", "evil.Pooling"
        )
    )
    assert "evil" in listed.read_text()
    with pytest.raises(UsageError, match=r"evil\.Pooling"):
        loaded(context, model=str(tiny_sentence))
