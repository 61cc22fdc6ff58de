"""In every form the numbers are those that the library, called directly, gives."""

from __future__ import annotations

import io
from typing import Any

import custom_kit as kit
import numpy as np
import onnxruntime
import pytest
import timm
import torch
import torchvision
import transformers
from PIL import Image
from safetensors.torch import save_file

from ducho_core import UsageError

SQUEEZED = {"preprocessing": "zscore", "resize": (kit.SIDE,)}


def settings(forms: kit.Forms, name: str) -> dict[str, Any]:
    """How each form of the network is asked for, with an output and a layer."""
    pinned = {
        "module": forms.pickled,
        "torchscript": forms.script,
        "exported": forms.exported,
        "exported one": forms.exported_one,
    }
    layers = ("output",) if name == "torchscript" else ("output", "body")
    if name in pinned:
        return {"model": pinned[name], "pin": kit.sha256(pinned[name]), "layers": layers}
    if name.startswith("onnx"):
        file = forms.onnx_one if name == "onnx one" else forms.onnx
        return {"model": file, "layers": layers}
    file = forms.safetensors if name == "factory" else forms.state
    return {"model": file, "factory": forms.factory, "layers": layers}


def library(forms: kit.Forms, name: str) -> Any:
    """The same file through its own library."""
    if name.startswith("onnx"):
        file = forms.onnx_one if name == "onnx one" else forms.onnx
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return lambda values: torch.from_numpy(session.run(None, {"image": values.numpy()})[0])
    if name == "torchscript":
        return torch.jit.load(forms.script)
    if name.startswith("exported"):
        file = forms.exported_one if name == "exported one" else forms.exported
        return torch.export.load(file).module()
    if name == "module":
        return torch.load(forms.pickled, weights_only=False)
    model = kit.Net()
    model.load_state_dict(torch.load(forms.state, weights_only=True))
    return model.eval()


@pytest.mark.parametrize(
    "name",
    [
        "module",
        "factory",
        "factory state",
        "torchscript",
        "exported",
        "exported one",
        "onnx",
        "onnx one",
    ],
)
def test_each_form_is_its_librarys(
    name: str, forms: kit.Forms, net: Any, files: list[bytes]
) -> None:
    extractor = kit.make(**settings(forms, name), **SQUEEZED)
    values = kit.pixels(files)
    call = library(forms, name)
    one_by_one = name.endswith(" one")
    expected = kit.in_batches(call, values, 1 if one_by_one else len(files))
    ours = kit.features(extractor, files)
    assert ours["output"].dtype == np.float32
    assert kit.distances(ours["output"], expected).max() <= 1e-5
    if "body" in ours:
        with torch.inference_mode():
            body = net.body(net.stem(values)).mean((2, 3)).numpy()
        assert kit.distances(ours["body"], body).max() <= 1e-5
    assert [output.dim for output in extractor.outputs] == [
        array.shape[1] for array in ours.values()
    ]
    for batch in (1, 2):
        theirs = kit.in_batches(call, values.flip(0), 1 if one_by_one else batch)[::-1]
        spread = kit.distances(theirs, expected).max()
        backwards = kit.features(extractor, files[::-1], batch)["output"][::-1]
        assert kit.distances(backwards, ours["output"]).max() <= max(2 * spread, 1e-6)


@pytest.mark.parametrize(
    ("name", "at_once"), [("exported", "any number"), ("exported one", 1), ("onnx one", 1)]
)
def test_images_at_once_are_those_that_the_program_takes(
    name: str, at_once: Any, forms: kit.Forms
) -> None:
    extractor = kit.make(**settings(forms, name), **SQUEEZED)
    assert extractor.circumstances["images_at_once"] == at_once


def test_a_script_that_only_knows_one_image_is_run_one_by_one(
    tmp_path: Any, net: Any, files: list[bytes]
) -> None:
    class Mixing(torch.nn.Module):
        """Right for one image; two at once run into each other."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.net(values) - self.net(values).mean(0) * 0.5

    path = tmp_path / "mixing.pt"
    mixing = Mixing().eval()
    torch.jit.save(torch.jit.trace(mixing, torch.zeros(1, 3, kit.SIDE, kit.SIDE)), path)
    extractor = kit.make(model=path, pin=kit.sha256(path), **SQUEEZED)
    assert extractor.circumstances["images_at_once"] == 1
    expected = kit.in_batches(mixing, kit.pixels(files), 1)
    assert kit.distances(kit.features(extractor, files)["output"], expected).max() <= 1e-5


def test_a_program_for_four_images_is_filled_up(
    tmp_path: Any, net: Any, files: list[bytes]
) -> None:
    path = tmp_path / "four.pt2"
    four = torch.export.export(net, (torch.zeros(4, 3, kit.SIDE, kit.SIDE),))
    torch.export.save(four, path)
    extractor = kit.make(model=path, pin=kit.sha256(path), **SQUEEZED)
    assert extractor.circumstances["images_at_once"] == 4
    expected = kit.in_batches(net, kit.pixels(files), len(files))
    for batch in (1, 3, 5):
        found = kit.features(extractor, files, batch)["output"]
        assert kit.distances(found, expected).max() <= 1e-5


def test_timm_is_timms(tmp_path: Any, files: list[bytes]) -> None:
    model = kit.seeded(lambda: timm.create_model("test_resnet", num_classes=4))
    save_file(model.state_dict(), tmp_path / "fine.safetensors")
    extractor = kit.make(
        model=tmp_path / "fine.safetensors",
        architecture="timm:test_resnet",
        layers=("pooled", "layer2", "fc"),
    )
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config, is_training=False)
    values = torch.stack([transform(Image.open(io.BytesIO(file))) for file in files])
    ours = kit.features(extractor, files)
    with torch.inference_mode():
        pooled = model.forward_head(model.forward_features(values), pre_logits=True).numpy()
        logits = model(values).numpy()
    assert kit.distances(ours["pooled"], pooled).max() <= 1e-5
    assert kit.distances(ours["fc"], logits).max() <= 1e-5
    assert ours["layer2"].shape == (len(files), 48)


@pytest.mark.parametrize(
    ("name", "head", "layer"),
    [("resnet18", "fc", "layer3"), ("shufflenet_v2_x0_5", "fc", "stage3")],
)
def test_torchvision_is_torchvisions(
    tmp_path: Any, name: str, head: str, layer: str, files: list[bytes]
) -> None:
    model = kit.seeded(lambda: torchvision.models.get_model(name, weights=None, num_classes=6))
    torch.save({"state_dict": kit.prefixed(model.state_dict(), "module.")}, tmp_path / "fine.pth")
    extractor = kit.make(
        model=tmp_path / "fine.pth",
        architecture=f"torchvision:{name}",
        layers=("pooled", layer, head),
        input_size=(64,),
    )
    transform = torchvision.transforms.Compose(
        [
            torchvision.transforms.Resize(73),
            torchvision.transforms.CenterCrop(64),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize(kit.MEAN, kit.STD),
        ]
    )
    values = torch.stack([transform(Image.open(io.BytesIO(file))) for file in files])
    ours = kit.features(extractor, files)
    with torch.inference_mode():
        logits = model(values).numpy()
        setattr(model, head, torch.nn.Identity())
        pooled = model(values).numpy()
    assert kit.distances(ours[head], logits).max() <= 1e-5
    assert kit.distances(ours["pooled"], pooled).max() <= 1e-5


def test_a_class_token_is_left_out_of_the_mean(tmp_path: Any) -> None:
    arguments = {
        "image_size": 32,
        "patch_size": 8,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 16,
        "mlp_dim": 32,
    }
    model = kit.seeded(lambda: torchvision.models.VisionTransformer(**arguments))
    torch.nn.init.normal_(model.heads.head.weight)
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    files = [kit.picture(40, 40, 1), kit.picture(32, 32, 2)]
    kept = []
    model.encoder.register_forward_hook(lambda module, args, output: kept.append(output))
    with torch.inference_mode():
        model(kit.pixels(files))
    asked = {
        "model": tmp_path / "vit.safetensors",
        "factory": "torchvision.models:VisionTransformer",
        "arguments": arguments,
        "layers": ("encoder", "pooled"),
    }
    ours = kit.features(kit.make(**asked, **SQUEEZED), files)
    assert kit.distances(ours["encoder"], kept[0][:, 1:].mean(1).numpy()).max() <= 1e-5
    assert kit.distances(ours["pooled"], kept[0][:, 0].numpy()).max() <= 1e-5
    whole = kit.features(kit.make(**asked, **SQUEEZED, prefix_tokens=0), files)
    assert kit.distances(whole["encoder"], kept[0].mean(1).numpy()).max() <= 1e-5


@pytest.mark.parametrize("apart", [False, True])
def test_transformers_texts_are_transformers(tmp_path: Any, bert: Any, apart: bool) -> None:
    asked = {"model": bert}
    whole = transformers.AutoModelForSequenceClassification.from_pretrained(bert).eval()
    if apart:
        torch.save(whole.state_dict(), tmp_path / "fine.bin")
        asked = {"model": tmp_path / "fine.bin", "architecture": f"transformers:{bert}"}
    extractor = kit.make(
        modality="text", **asked, layers=("output", "pooled", "encoder.layer.0"), pooling="avg"
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    batch = tokenizer(kit.TEXTS, return_tensors="pt", padding=True, truncation=True)
    with torch.inference_mode():
        given = whole.bert(**batch, output_hidden_states=True)
    mask = batch["attention_mask"][..., None].float()
    expected = {
        "output": (given.last_hidden_state * mask).sum(1) / mask.sum(1),
        "pooled": given.pooler_output,
        "encoder.layer.0": (given.hidden_states[1] * mask).sum(1) / mask.sum(1),
    }
    ours = kit.features(extractor, kit.TEXTS)
    for name, tensor in expected.items():
        assert kit.distances(ours[name], tensor.numpy()).max() <= 1e-5
    alone = kit.features(extractor, kit.TEXTS, 1)
    assert kit.distances(alone["output"], ours["output"]).max() <= 2e-6


@pytest.mark.parametrize("pooling", ["cls", "last", "max"])
def test_texts_are_pooled_without_their_padding(bert: Any, pooling: str) -> None:
    extractor = kit.make(modality="text", model=bert, pooling=pooling)
    model = transformers.AutoModel.from_pretrained(bert).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    ours = kit.features(extractor, kit.TEXTS)["output"]
    for row, text in enumerate(kit.TEXTS):
        with torch.inference_mode():
            tokens = model(**tokenizer(text, return_tensors="pt", truncation=True))[0][0]
        pooled = {"cls": tokens[0], "last": tokens[-1], "max": tokens.amax(0)}[pooling]
        assert kit.distances(ours[row : row + 1], pooled[None].numpy()).max() <= 1e-5


def test_transformers_images_are_transformers(vit: Any, files: list[bytes]) -> None:
    extractor = kit.make(model=vit, layers=("output", "layers.0"), pooling="cls")
    model = transformers.AutoModel.from_pretrained(vit).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(vit, backend="pil")
    pictures = [Image.open(io.BytesIO(file)) for file in files]
    values = processor(images=pictures, return_tensors="pt")
    with torch.inference_mode():
        given = model(**values, output_hidden_states=True)
    ours = kit.features(extractor, files)
    assert kit.distances(ours["output"], given.last_hidden_state[:, 0].numpy()).max() <= 1e-5
    assert kit.distances(ours["layers.0"], given.hidden_states[1][:, 0].numpy()).max() <= 1e-5


def test_class_tokens_of_transformers_images_are_left_out_of_the_mean(
    vit: Any, files: list[bytes]
) -> None:
    model = transformers.AutoModel.from_pretrained(vit).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(vit, backend="pil")
    pictures = [Image.open(io.BytesIO(file)) for file in files]
    with torch.inference_mode():
        tokens = model(**processor(images=pictures, return_tensors="pt"))[0]
    ours = kit.features(kit.make(model=vit), files)["output"]
    assert kit.distances(ours, tokens[:, 1:].mean(1).numpy()).max() <= 1e-5
    whole = kit.features(kit.make(model=vit, prefix_tokens=0), files)["output"]
    assert kit.distances(whole, tokens.mean(1).numpy()).max() <= 1e-5
    # Before it joins them, the patches are all there is.
    layers = ("embeddings.patch_embeddings", "embeddings.patch_embeddings.projection")
    before = kit.features(kit.make(model=vit, layers=layers), files)
    assert kit.distances(before[layers[0]], before[layers[1]]).max() <= 1e-5


def test_modules_of_an_export_alone_end_the_pass_early(
    forms: kit.Forms, net: Any, files: list[bytes]
) -> None:
    asked = {"model": forms.exported, "pin": kit.sha256(forms.exported), "layers": ("stem",)}
    with torch.inference_mode():
        expected = net.stem(kit.pixels(files)).mean((2, 3)).numpy()
    ours = kit.features(kit.make(**asked, **SQUEEZED), files)["stem"]
    assert kit.distances(ours, expected).max() <= 1e-5


def test_a_pooler_that_is_not_in_the_folder_is_missed(vit: Any) -> None:
    with pytest.raises(UsageError, match="without its pooler it gives no pooled output"):
        kit.make(model=vit, layers=("pooled",))


@pytest.mark.parametrize("size", [8, 16])
def test_a_factory_of_timms_leaves_out_class_tokens_only(
    tmp_path: Any, files: list[bytes], size: int
) -> None:
    arguments = {"img_size": kit.SIDE, "patch_size": size, "embed_dim": 16, "depth": 1}
    arguments |= {"num_heads": 2, "num_classes": 0, "reg_tokens": 2}
    model = kit.seeded(lambda: timm.models.VisionTransformer(**arguments))
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    asked = {"factory": "timm.models:VisionTransformer", "arguments": arguments}
    layers = ("patch_embed", "patch_embed.proj", "norm")
    extractor = kit.make(model=tmp_path / "vit.safetensors", layers=layers, **asked, **SQUEEZED)
    ours = kit.features(extractor, files)
    assert kit.distances(ours["patch_embed"], ours["patch_embed.proj"]).max() <= 1e-5
    with torch.inference_mode():
        tokens = model.forward_features(kit.pixels(files))[:, 3:]
    assert kit.distances(ours["norm"], tokens.mean(1).numpy()).max() <= 1e-5


def test_a_factory_over_texts(tmp_path: Any) -> None:
    (tmp_path / "words.py").write_text(
        "import torch\n\n\n"
        "class Words(torch.nn.Module):\n"
        "    def __init__(self, width):\n"
        "        super().__init__()\n"
        "        self.table = torch.nn.Embedding(16, width)\n\n"
        "    def forward(self, input_ids, attention_mask):\n"
        "        return self.table(input_ids)\n\n\n"
        "def build(width):\n"
        "    return Words(width)\n"
    )
    table = torch.randn(16, 6)
    save_file({"table.weight": table}, tmp_path / "words.safetensors")
    kit.tokenizer().save_pretrained(tmp_path / "tokenizer")
    extractor = kit.make(
        modality="text",
        model=tmp_path / "words.safetensors",
        factory=f"{tmp_path / 'words.py'}:build",
        arguments={"width": 6},
        tokenizer=tmp_path / "tokenizer",
    )
    assert extractor.circumstances["texts_at_once"] == "of any length"
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    ours = kit.features(extractor, kit.TEXTS)["output"]
    for row, text in enumerate(kit.TEXTS):
        ids = tokenizer(text, truncation=True)["input_ids"]
        expected = table[ids].mean(0, keepdim=True).numpy()
        assert kit.distances(ours[row : row + 1], expected).max() <= 1e-5


@pytest.mark.parametrize("mask", ["", ", attention_mask"])
def test_texts_of_a_factory_that_masks_nothing_do_not_depend_on_their_neighbours(
    tmp_path: Any, mask: str
) -> None:
    (tmp_path / "blind.py").write_text(
        "import torch\n\n\n"
        "class Blind(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.table = torch.nn.Embedding(16, 6)\n\n"
        f"    def forward(self, input_ids{mask}):\n"
        "        return self.table(input_ids).mean(1)\n"
    )
    table = torch.randn(16, 6)
    save_file({"table.weight": table}, tmp_path / "blind.safetensors")
    kit.tokenizer().save_pretrained(tmp_path / "tokenizer")
    extractor = kit.make(
        modality="text",
        model=tmp_path / "blind.safetensors",
        factory=f"{tmp_path / 'blind.py'}:Blind",
        tokenizer=tmp_path / "tokenizer",
    )
    assert extractor.circumstances["texts_at_once"] == "of one length"
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    ids = [tokenizer(text, truncation=True)["input_ids"] for text in kit.TEXTS]
    assert len({len(one) for one in ids}) > 1
    expected = torch.stack([table[one].mean(0) for one in ids]).numpy()
    assert kit.distances(kit.features(extractor, kit.TEXTS)["output"], expected).max() <= 1e-5


def test_fast_stays_near_exact(forms: kit.Forms, files: list[bytes]) -> None:
    asked = {**settings(forms, "factory"), "layers": ("pooled", "body")}
    exact = kit.features(kit.make(**asked, **SQUEEZED), files)
    fast = kit.features(kit.make(**asked, **SQUEEZED, precision="fast"), files)
    for name, values in exact.items():
        norms = np.linalg.norm(values, axis=1) * np.linalg.norm(fast[name], axis=1)
        assert ((values * fast[name]).sum(1) / norms).min() >= 0.999


def test_native_computes_in_the_weights_dtype(
    tmp_path: Any, forms: kit.Forms, net: Any, files: list[bytes]
) -> None:
    half = {name: one.bfloat16() if one.ndim else one for name, one in net.state_dict().items()}
    save_file(half, tmp_path / "half.safetensors")
    asked = {"model": tmp_path / "half.safetensors", "factory": forms.factory}
    extractor = kit.make(**asked, **SQUEEZED, precision="native")
    model = kit.Net().eval().bfloat16()
    model.load_state_dict(half)
    with torch.inference_mode():
        expected = model(kit.pixels(files).bfloat16()).float().numpy()
    assert kit.distances(kit.features(extractor, files)["output"], expected).max() <= 1e-5
