"""Pictures, one tiny network in every form, and extractors made as the core makes them."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ducho_custom import CustomExtractor, CustomOptions, CustomRunOptions
from ducho_torch import ensure_torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from ducho_core import InputField, Media, ResolveContext, Resolved

ensure_torchvision()

import transformers  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: E402

SIZES = ((90, 70), (64, 64), (40, 81), (33, 50), (120, 45))
SIDE = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WORDS = ["a", "red", "blue", "shoe", "lamp", "for", "running", "kitchen", "women", "steel"]
TEXTS = ["red shoe", "a blue lamp for a kitchen", "steel", "running shoe for women " * 5]


class Net(nn.Module):
    """Maps, then a vector, then a classifier."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.body = nn.Conv2d(8, 12, 3, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, classes)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.body(self.stem(values)))
        return self.fc(self.pool(maps).flatten(1))


def seeded(make: Any, seed: int = 0) -> Any:
    """A network with settled weights, running statistics of its batch norms among them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make().train()
        if isinstance(model, Net):
            model(torch.randn(8, 3, SIDE, SIDE))
        return model.eval()


@dataclass(frozen=True)
class Forms:
    """Files that hold the same network."""

    folder: Path
    safetensors: Path
    state: Path
    pickled: Path
    script: Path
    exported: Path
    exported_one: Path
    onnx: Path
    onnx_one: Path
    factory: str


def save_forms(folder: Path, net: nn.Module) -> Forms:
    files = Forms(
        folder=folder,
        safetensors=folder / "net.safetensors",
        state=folder / "net.pth",
        pickled=folder / "whole.pt",
        script=folder / "net.ts",
        exported=folder / "net.pt2",
        exported_one=folder / "one.pt2",
        onnx=folder / "net.onnx",
        onnx_one=folder / "one.onnx",
        factory=f"{folder / 'mynet.py'}:make",
    )
    one, two = torch.zeros(1, 3, SIDE, SIDE), torch.zeros(2, 3, SIDE, SIDE)
    save_file(net.state_dict(), files.safetensors)
    torch.save(net.state_dict(), files.state)
    torch.save(net, files.pickled)
    torch.jit.save(torch.jit.trace(net, one), files.script)
    torch.export.save(
        torch.export.export(net, (two,), dynamic_shapes=({0: torch.export.Dim("n")},)),
        files.exported,
    )
    torch.export.save(torch.export.export(net, (one,)), files.exported_one)
    onnx_of(net, files.onnx, batch="n")
    onnx_of(net, files.onnx_one, batch=1)
    Path(folder / "mynet.py").write_text(
        "from custom_kit import Net\n\n\ndef make(**arguments):\n    return Net(**arguments)\n"
    )
    return files


def onnx_of(net: Net, path: Path, *, batch: Any, external: str | None = None) -> None:
    """The network as an ONNX graph, written node by node."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    norm = [weights[f"stem.1.{name}"] for name in ("weight", "bias", "running_mean")]
    norm.append(weights["stem.1.running_var"])
    constants = {
        "stem.w": weights["stem.0.weight"],
        "stem.b": weights["stem.0.bias"],
        **dict(zip(("n.g", "n.b", "n.m", "n.v"), norm, strict=True)),
        "body.w": weights["body.weight"],
        "body.b": weights["body.bias"],
        "fc.w": weights["fc.weight"],
        "fc.b": weights["fc.bias"],
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "stem.w", "stem.b"], ["stem"], strides=[2, 2]),
        node("BatchNormalization", ["stem", "n.g", "n.b", "n.m", "n.v"], ["norm"]),
        node("Relu", ["norm"], ["stem_relu"]),
        node("Conv", ["stem_relu", "body.w", "body.b"], ["body"], strides=[2, 2]),
        node("Relu", ["body"], ["maps:0"]),
        node("GlobalAveragePool", ["maps:0"], ["average"]),
        node("Flatten", ["average"], ["pooled"]),
        node("Gemm", ["pooled", "fc.w", "fc.b"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 5])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if external is None:
        onnx.save_model(model, path)
    else:
        onnx.save_model(
            model, path, save_as_external_data=True, location=external, size_threshold=0
        )


def tokenizer() -> Any:
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    inner = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate([*marks, *WORDS])}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=16,
    )


def save_bert(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=16,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        num_labels=3,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_vit(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        num_labels=3,
    )
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def picture(width: int, height: int, seed: int, kind: str = "PNG") -> bytes:
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(buffer, kind)
    return buffer.getvalue()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def resolve(
    *, modality: str = "image", precision: Any = "exact", pin: str | None = None, **options: Any
) -> Resolved:
    plain = {
        name: os.fspath(value) if isinstance(value, Path) else value
        for name, value in options.items()
    }
    context = ResolveContext(
        precision=precision,
        run_options=CustomRunOptions(device="cpu", sha256=pin),
        inputs=(InputField(name=modality, modality=modality, storage="inline"),),
    )
    return CustomExtractor.resolve(CustomOptions(**plain), context)


def make(**settings: Any) -> CustomExtractor:
    """resolve, over a pickle, load: as a worker gets it."""
    resolved = pickle.loads(pickle.dumps(resolve(**settings)))
    run_options = CustomRunOptions(device="cpu", sha256=settings.get("pin"))
    return CustomExtractor.load(resolved, run_options)


def features(
    extractor: CustomExtractor, items: Sequence[Any], batch: int | None = None
) -> dict[str, np.ndarray]:
    inputs = [
        {"text": item} if isinstance(item, str) else {"image": Media(item)} for item in items
    ]
    samples = extractor.prepare_many(inputs)
    step = batch or len(samples)
    parts = [extractor.extract(samples[at : at + step]) for at in range(0, len(samples), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def pixels(files: Sequence[bytes], side: int = SIDE) -> torch.Tensor:
    """Images resized straight to a square and normalised, by Pillow and torch alone."""
    values = []
    for content in files:
        image = Image.open(io.BytesIO(content)).convert("RGB")
        image = image.resize((side, side), Image.Resampling.BICUBIC)
        values.append(torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1) / 255)
    mean, std = (torch.tensor(triple).view(3, 1, 1) for triple in (MEAN, STD))
    return (torch.stack(values) - mean) / std


def in_batches(call: Any, values: torch.Tensor, batch: int) -> np.ndarray:
    with torch.inference_mode():
        return torch.cat([call(part) for part in values.split(batch)]).numpy()


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one - other, axis=1) / np.linalg.norm(other, axis=1)


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def canary(path: Path, trace: Path, how: str) -> Path:
    """Write a file that would make another file if it were loaded."""
    content = {"fc.weight": torch.zeros(2), "extra": Canary(trace)}
    if how == "zip":
        torch.save(content, path)
    elif how == "legacy":
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif how == "plain":
        path.write_bytes(pickle.dumps(content))
    elif how == "tar":
        with tarfile.open(path, "w") as archive:
            for name in ("sys_info", "pickle", "storages", "tensors"):
                body = pickle.dumps(Canary(trace))
                info = tarfile.TarInfo(name)
                info.size = len(body)
                archive.addfile(info, io.BytesIO(body))
    elif how == "script":
        _zip(path, {"constants.pkl": Canary(trace), "data.pkl": Canary(trace)}, ["code/a.py"])
    elif how == "exported":
        _zip(path, {"data/sample_inputs/model.pt": Canary(trace)}, ["archive_format"])
    else:
        raise ValueError(how)
    return path


def _zip(path: Path, pickles: dict[str, Any], others: Sequence[str]) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pickles.items():
            archive.writestr(f"archive/{name}", pickle.dumps(content, protocol=2))
        for name in others:
            archive.writestr(f"archive/{name}", "pt2")
        archive.writestr("archive/version", "3\n")


def prefixed(state: Any, prefix: str) -> OrderedDict:
    return OrderedDict((f"{prefix}{name}", tensor) for name, tensor in state.items())
