"""Where models come from, what identifies them, what is refused."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time

import huggingface_hub.constants
import pytest
import torch
import transformers
from ducho_hf.files import needed_files
from ducho_hf.options import SentenceOptions, TextOptions, VisionOptions
from ducho_hf.sentence import SentenceExtractor
from ducho_hf.text import TextExtractor
from ducho_hf.vision import VisionExtractor

from ducho_core import RunOptions, UsageError

RUN = RunOptions(device="cpu")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def resolve(context, **options):
    return TextExtractor.resolve(TextOptions(**options), context())


@pytest.fixture
def hub_cache(tmp_path, monkeypatch, bert):
    """A hub cache that holds the tiny BERT as ``shop/tiny-bert``."""
    repository = tmp_path / "hub" / "models--shop--tiny-bert"
    shutil.copytree(bert, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return repository


@pytest.mark.parametrize(
    ("extractor", "options"),
    [
        (SentenceExtractor, SentenceOptions()),
        (TextExtractor, TextOptions()),
        (VisionExtractor, VisionOptions()),
    ],
)
def test_without_a_model_three_good_ones_are_named_with_sizes(context, extractor, options):
    with pytest.raises(UsageError) as caught:
        extractor.resolve(options, context())
    lines = str(caught.value).splitlines()
    assert len([line for line in lines if "--model" in line and " MB" in line]) == 3


def test_a_mistyped_folder_names_its_neighbour(context, bert):
    with pytest.raises(UsageError, match=r"no folder '.*berrt'; did you mean the folder '.*bert'"):
        resolve(context, model=str(bert.parent / "berrt"))


def test_a_file_and_a_folder_without_a_model(context, bert, tmp_path):
    with pytest.raises(UsageError, match="is a file; give the folder"):
        resolve(context, model=str(bert / "model.safetensors"))
    with pytest.raises(UsageError, match="holds no model"):
        resolve(context, model=str(tmp_path))


def test_a_model_of_the_hub_that_is_not_here_fails_at_once(context):
    began = time.perf_counter()
    with pytest.raises(UsageError, match=r"'nobody/nothing' .*hf download nobody/nothing"):
        resolve(context, model="nobody/nothing")
    assert time.perf_counter() - began < 2


def test_an_impossible_model_id(context):
    with pytest.raises(UsageError, match="neither a folder here nor a model id"):
        resolve(context, model="what is this?")


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_cached_model_is_known_by_its_commit(context, hub_cache, revision):
    resolved = resolve(context, model="shop/tiny-bert", revision=revision)
    assert resolved.identity["model"] == "shop/tiny-bert"
    assert resolved.identity["commit"] == COMMIT
    assert (resolved.label, resolved.options.revision) == ("tiny-bert", COMMIT)
    assert TextExtractor.load(resolved, RUN).outputs[0].dim == 32


def test_a_cached_model_whose_weights_are_missing_is_not_taken(context, hub_cache):
    (hub_cache / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="not in the hub's cache"):
        resolve(context, model="shop/tiny-bert")


def test_code_of_a_model_needs_a_commit(context, hub_cache, bert):
    for options in (
        {"model": "shop/tiny-bert"},
        {"model": "shop/tiny-bert", "revision": "main"},
        {"model": str(bert)},
    ):
        with pytest.raises(UsageError, match="40-digit commit"):
            resolve(context, trust_remote_code=True, **options)
    pinned = resolve(context, model="shop/tiny-bert", revision=COMMIT, trust_remote_code=True)
    assert "code_sha256" in pinned.identity


def test_code_from_another_repository_is_refused(context, hub_cache):
    settings = hub_cache / "snapshots" / COMMIT / "config.json"
    content = json.loads(settings.read_text())
    content["auto_map"] = {"AutoModel": "someone/else--modeling.Model"}
    settings.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="another repository"):
        resolve(context, model="shop/tiny-bert", revision=COMMIT, trust_remote_code=True)


def test_a_local_model_is_known_by_its_files_and_never_by_its_path(context, bert, tmp_path):
    copy = tmp_path / "elsewhere" / "bert"
    shutil.copytree(bert, copy)
    one, other = (resolve(context, model=str(folder)) for folder in (bert, copy))
    assert one.identity == other.identity
    assert one.options == other.options
    assert str(tmp_path) not in repr((other.identity, other.options))
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = resolve(context, model=str(copy)).identity
    assert changed["weights_sha256"] != one.identity["weights_sha256"]


def test_a_folder_with_a_revision_is_refused(context, bert):
    with pytest.raises(UsageError, match="revision has no meaning"):
        resolve(context, model=str(bert), revision="main")


def test_an_adapter_alone_is_refused(context, bert, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(bert, folder)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="merge it into its base model"):
        resolve(context, model=str(folder))


def test_pickled_weights_are_read_without_running_them(context, bert, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(bert, folder)
    weights = transformers.AutoModel.from_pretrained(bert, dtype=torch.float32).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    resolved = resolve(context, model=str(folder))
    assert TextExtractor.load(resolved, RUN).outputs[0].dim == 32


class Payload:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("extractor", [TextExtractor, SentenceExtractor])
def test_a_pickle_that_would_run_code_is_refused(context, bert, tmp_path, extractor):
    folder = tmp_path / "evil"
    shutil.copytree(bert, folder)
    (folder / "model.safetensors").unlink()
    place = tmp_path / "it ran"
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"weight": Payload(str(place))}, file, protocol=2)
    options = (TextOptions if extractor is TextExtractor else SentenceOptions)(model=str(folder))
    with pytest.raises(UsageError, match="safetensors"):
        extractor.load(extractor.resolve(options, context()), RUN)
    assert not place.exists()


def test_only_one_format_of_weights_is_fetched():
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    names = [
        *shards,
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "tf_model.h5",
        "flax_model.msgpack",
        "config.json",
        "tokenizer.json",
        "modules.json",
        "modeling_own.py",
        "README.md",
        "1_Pooling/config.json",
        "2_Dense/pytorch_model.bin",
        "2_Dense/config.json",
        "onnx/model.onnx",
        "openvino/openvino_model.xml",
    ]
    expected = {
        *shards,
        "model.safetensors.index.json",
        "config.json",
        "tokenizer.json",
        "modules.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/pytorch_model.bin",
    }
    assert set(needed_files(names)) == expected
    assert set(needed_files(names, code=True)) == {*expected, "modeling_own.py"}


def test_the_light_modules_import_nothing_heavy():
    script = (
        "import sys, ducho_hf.plugin, ducho_hf.options;"
        "ducho_hf.plugin.ducho_extractors();"
        "heavy = {'numpy', 'torch', 'transformers', 'sentence_transformers', 'pyarrow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
