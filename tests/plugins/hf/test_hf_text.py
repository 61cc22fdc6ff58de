"""``hf/text`` against Transformers called directly."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
import torch
import transformers
from ducho_hf.options import TextOptions
from ducho_hf.text import TextExtractor

from ducho_core import ItemError, RunOptions, UsageError

RUN = RunOptions(device="cpu")


def loaded(context, precision="exact", **options):
    return TextExtractor.load(
        TextExtractor.resolve(TextOptions(**options), context(precision)), RUN
    )


def items(texts):
    return [{"text": text} for text in texts]


def reference(folder, texts, *, side="right", model=None):
    """Tokens and outputs of the library itself, one padded batch."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.padding_side = side
    model = model or transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    batch = {name: batch[name] for name in batch if name != "token_type_ids"}
    with torch.inference_mode():
        output = model.eval()(**batch, output_hidden_states=True)
    return batch["attention_mask"].unsqueeze(-1).float(), output


def mean(states, mask):
    return ((states * mask).sum(1) / mask.sum(1)).numpy()


def test_mean_pooling_of_real_weights(context, minilm, texts, vectors, relative):
    mask, output = reference(minilm, texts)
    expected = mean(output.last_hidden_state, mask)
    extractor = loaded(context, model=str(minilm))
    assert relative(vectors(extractor, items(texts))["mean"], expected) <= 1e-5

    spread = relative(_one_by_one(minilm, texts), expected)
    ours = max(
        relative(vectors(extractor, items(texts), size=size, order=order)["mean"], expected)
        for size, order in ((1, None), (7, range(len(texts))[::-1]))
    )
    print(f"largest relative difference: ours {ours:.2e}, the library's own {spread:.2e}")
    assert ours <= 2 * spread


def _one_by_one(folder, texts):
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    found = [reference(folder, [text], model=model) for text in texts]
    return np.concatenate([mean(output.last_hidden_state, mask) for mask, output in found])


def test_every_pooling(context, bert, texts, vectors, relative):
    mask, output = reference(bert, texts)
    states = output.last_hidden_state
    last = mask.squeeze(-1).sum(1).long() - 1
    expected = {
        "mean": mean(states, mask),
        "cls": states[:, 0].numpy(),
        "max": torch.where(mask == 1, states, -torch.inf).amax(1).numpy(),
        "last": states[torch.arange(len(texts)), last].numpy(),
        "pooler": output.pooler_output.numpy(),
    }
    extractor = loaded(context, model=str(bert), pooling=tuple(expected))
    found = vectors(extractor, items(texts))
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert relative(found[name], values) <= 1e-5, name


def test_layers_are_transformers_hidden_states(context, bert, texts, vectors, relative):
    mask, output = reference(bert, texts)
    extractor = loaded(context, model=str(bert), layers=(-1, 0, 2), pooling=("mean", "cls"))
    found = vectors(extractor, items(texts))
    assert [one.name for one in extractor.outputs] == [
        "layer0_mean",
        "layer0_cls",
        "layer2_mean",
        "layer2_cls",
        "layer4_mean",
        "layer4_cls",
    ]
    for layer in (0, 2, 4):
        states = output.hidden_states[layer]
        assert relative(found[f"layer{layer}_mean"], mean(states, mask)) <= 1e-5
        assert relative(found[f"layer{layer}_cls"], states[:, 0].numpy()) <= 1e-5


def test_nothing_past_the_deepest_layer_is_computed(context, bert, texts, vectors, relative):
    mask, output = reference(bert, texts)
    extractor = loaded(context, model=str(bert), layers=(0, 1, -3))
    calls = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _inputs: calls.append(type(module).__name__)
    )
    try:
        found = vectors(extractor, items(texts))
    finally:
        handle.remove()
    assert calls.count("BertLayer") == 2
    assert "BertPooler" not in calls
    for layer in (0, 1, 2):
        expected = mean(output.hidden_states[layer], mask)
        assert relative(found[f"layer{layer}_mean"], expected) <= 1e-5


@pytest.mark.parametrize("folder", ["bert", "gpt", "t5"])
def test_a_text_does_not_depend_on_the_texts_beside_it(
    context, request, folder, texts, vectors, relative
):
    path = request.getfixturevalue(folder)
    extractor = loaded(context, model=str(path), pooling=("mean", "last", "max"))
    together, alone = (vectors(extractor, items(texts), size=size) for size in (40, 1))
    for name, values in together.items():
        assert relative(values, alone[name]) <= 1e-5, name


def test_the_last_token_of_a_decoder(context, gpt, texts, vectors, relative):
    model = transformers.AutoModel.from_pretrained(gpt, dtype=torch.float32)
    expected = np.concatenate(
        [reference(gpt, [text], model=model)[1].last_hidden_state[:, -1].numpy() for text in texts]
    )
    extractor = loaded(context, model=str(gpt), pooling=("last",))
    assert relative(vectors(extractor, items(texts))["last"], expected) <= 1e-5


def test_of_an_encoder_decoder_the_encoder(context, t5, texts, vectors, relative):
    encoder = transformers.T5EncoderModel.from_pretrained(t5, dtype=torch.float32)
    mask, output = reference(t5, texts, model=encoder)
    extractor = loaded(context, model=str(t5))
    assert (
        relative(vectors(extractor, items(texts))["mean"], mean(output.last_hidden_state, mask))
        <= 1e-5
    )


def test_of_clip_the_text_tower(context, clip, texts, vectors, relative):
    tower = transformers.CLIPTextModel.from_pretrained(clip, dtype=torch.float32)
    _, output = reference(clip, texts, model=tower)
    extractor = loaded(context, model=str(clip), pooling=("pooler",))
    assert (
        relative(vectors(extractor, items(texts))["pooler"], output.pooler_output.numpy()) <= 1e-5
    )


def test_another_tokenizer(context, bert, make_tokenizer, tmp_path):
    make_tokenizer(64, specials=False).save_pretrained(tmp_path / "plain")
    options = {"model": str(bert), "tokenizer": str(tmp_path / "plain")}
    (sample,) = loaded(context, **options).prepare_many(items(["red shoe"]))
    assert len(sample.data.ids) == 2
    with_own = TextExtractor.resolve(TextOptions(model=str(bert)), context()).identity
    with_other = TextExtractor.resolve(TextOptions(**options), context()).identity
    assert with_own["tokenizer_sha256"] != with_other["tokenizer_sha256"]
    assert with_other["tokenizer"] == {"model": "plain"}


def test_long_texts_are_cut_and_counted(context, bert):
    extractor = loaded(context, model=str(bert))
    long, short = extractor.prepare_many(items(["shoe " * 300, "shoe"]))
    assert (long.notes, extractor.size(long)) == (("truncated",), 64)
    assert (short.notes, extractor.size(short)) == ((), 3)


def test_a_text_without_tokens_fails_alone(context, gpt):
    extractor = loaded(context, model=str(gpt))
    with pytest.raises(ItemError) as caught:
        extractor.prepare_many(items(["shoe", "  ", "lamp"]))
    assert (caught.value.index, caught.value.code) == (1, "no_tokens")


def test_resolved_pickles_and_agrees_with_load(context, bert):
    options = TextOptions(model=str(bert), layers=(-2,), pooling=("mean", "max"))
    resolved = pickle.loads(pickle.dumps(TextExtractor.resolve(options, context())))
    assert TextExtractor.load(resolved, RUN).outputs == resolved.outputs


def test_native_is_the_checkpoints_own_dtype(context, bert, tmp_path, texts, vectors):
    model = transformers.AutoModel.from_pretrained(bert).to(torch.bfloat16)
    model.save_pretrained(tmp_path / "half")
    transformers.AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path / "half")
    options = TextOptions(model=str(tmp_path / "half"))
    resolved = TextExtractor.resolve(options, context("native"))
    assert resolved.precision["compute_dtype"] == "bfloat16"
    half = vectors(TextExtractor.load(resolved, RUN), items(texts))["mean"]
    exact = vectors(loaded(context, model=str(bert)), items(texts))["mean"]
    cosine = (half * exact).sum(1) / np.linalg.norm(half, axis=1) / np.linalg.norm(exact, axis=1)
    assert 0.999 <= cosine.min() < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": (5,)}, "hidden states 0 to 4"),
        ({"layers": (-6,)}, "there is no -6"),
        ({"layers": (1,), "pooling": ("pooler",)}, "final output only"),
        ({"max_length": 65}, "positions for 64 tokens"),
        ({"tokenizer_revision": "main"}, "together with tokenizer"),
    ],
)
def test_options_that_cannot_be_honoured(context, bert, options, message):
    with pytest.raises(UsageError, match=message):
        TextExtractor.resolve(TextOptions(model=str(bert), **options), context())


def test_a_pooler_that_the_checkpoint_lacks_is_refused(context, bert, make_tokenizer, tmp_path):
    config = transformers.AutoConfig.from_pretrained(bert)
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "bare")
    make_tokenizer().save_pretrained(tmp_path / "bare")
    assert loaded(context, model=str(tmp_path / "bare")).outputs[0].dim == 32
    with pytest.raises(UsageError, match="without its pooler"):
        loaded(context, model=str(tmp_path / "bare"), pooling=("pooler",))


def test_a_checkpoint_that_lacks_layers_is_refused(context, bert, tmp_path):
    shallow = transformers.AutoConfig.from_pretrained(bert)
    shallow.num_hidden_layers = 2
    transformers.BertModel(shallow).save_pretrained(tmp_path / "cut")
    transformers.AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path / "cut")
    transformers.AutoConfig.from_pretrained(bert).save_pretrained(tmp_path / "cut")
    with pytest.raises(UsageError, match=r"lacks 32 weights .*encoder\.layer\.2"):
        loaded(context, model=str(tmp_path / "cut"))


TINY = {"vocab_size": 48, "intermediate_size": 32, "d_inner": 32, "max_position_embeddings": 64}
UNMASKED = {
    "FNet": {"hidden_size": 16, "num_hidden_layers": 2},
    "Funnel": {"d_model": 16, "n_head": 2, "d_head": 8, "block_sizes": [1, 1]},
}


@pytest.mark.parametrize("kind", UNMASKED)
def test_texts_of_a_model_that_masks_no_padding_are_those_of_each_alone(
    context, make_tokenizer, tmp_path, texts, vectors, relative, kind
):
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**TINY, **UNMASKED[kind])
    model = getattr(transformers, f"{kind}Model")(config).eval()
    model.save_pretrained(tmp_path)
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    extractor = loaded(context, model=str(tmp_path))
    assert extractor.circumstances == {"texts_at_once": "of one length"}
    taken = set(inspect.signature(model.forward).parameters)
    expected = []
    for text in texts:
        batch = tokenizer(text, return_tensors="pt", truncation=True)
        with torch.inference_mode():
            states = model(**{name: one for name, one in batch.items() if name in taken})[0]
        expected.append(states[0].mean(0).numpy())
    found = vectors(extractor, items(texts))["mean"]
    assert relative(found, np.stack(expected)) <= 1e-5


@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_texts_of_other_models_share_passes(context, bert, precision):
    extractor = loaded(context, precision, model=str(bert))
    assert extractor.circumstances == {"texts_at_once": "of any length"}
