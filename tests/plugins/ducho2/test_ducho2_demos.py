"""Ducho 2.0's demo configurations run from their YAML: its files, shapes and numbers."""

from __future__ import annotations

import pytest
import torch
from ducho2_kit import IDS, PICTURED, arrays, close, of_clip, of_resnet, of_sentences, run
from safetensors.torch import save_file

from ducho_core import file_digest

# ruff: noqa: E501

# The settings of demos/demo_recsys/config.yml in sisinflab/Ducho, v2.0.2, one by one.
STANDARD = """
dataset_path: ./local/data/demo_recsys
gpu list: 0

visual:
    items:
        input_path: images
        output_path: visual_embeddings
        model: [
               { model_name: ResNet50,  output_layers: avgpool, reshape: [224, 224], preprocessing: zscore, backend: torch},
        ]

textual:
    items:
        input_path: meta.tsv
        item_column: asin
        text_column: description
        output_path: textual_embeddings
        model: [
            { model_name: sentence-transformers/all-mpnet-base-v2,  output_layers: 1, clear_text: False, backend: sentence_transformers},
          ]
"""
FINE_TUNED = STANDARD.replace("ResNet50,", "./demos/demo_recsys/MMFashion.pt,")
CLIP = """
dataset_path: ./local/data/demo_recsys
gpu list: 0

visual_textual:
    items:
        input_path: {visual: images, textual: meta.tsv}
        item_column: asin
        text_column: description
        output_path: {visual: visual_embeddings, textual: textual_embeddings}
        model: [
            { model_name: openai/clip-vit-base-patch16, backend: transformers, output_layers: 1}
        ]
"""

VISUAL, TEXTUAL = STANDARD.split("\ntextual:")
ENTRY = next(line for line in VISUAL.splitlines() if "ResNet50" in line)
OWN = ENTRY.replace("ResNet50", "./demos/demo_recsys/MMFashion.pt")
WHOLE = (
    VISUAL.replace(ENTRY, f"{ENTRY}\n{OWN}")
    + f"\ntextual:{TEXTUAL}"
    + CLIP[CLIP.index("visual_textual:") :]
)


@pytest.mark.usefixtures("_weights")
def test_resnet50_and_a_sentence_encoder(project, resnet, snapshot):
    (project / "config.yml").write_text(STANDARD)
    result = run("run", "config.yml")
    data = project / "local/data/demo_recsys"
    pictures = arrays(data / "visual_embeddings/torch/ResNet50/avgpool")
    close(pictures, of_resnet(resnet[0], data), PICTURED)
    assert pictures[IDS[0]].shape == (1, 2048)
    texts = arrays(
        data / "textual_embeddings/sentence_transformers/sentence-transformers/all-mpnet-base-v2/1"
    )
    close(texts, of_sentences(snapshot("sentence-transformers/all-mpnet-base-v2")), IDS)
    said = "visual.items.model.0: the weights are ResNet50_Weights.IMAGENET1K_V2"
    assert said in result.stderr
    assert (project / "features/STORE.json").is_file()


def test_clip(project, snapshot):
    (project / "config.yml").write_text(CLIP)
    run("run", "config.yml")
    data = project / "local/data/demo_recsys"
    images, texts = of_clip(snapshot("openai/clip-vit-base-patch16"), data)
    place = "transformers/openai/clip-vit-base-patch16/1"
    close(arrays(data / "visual_embeddings" / place), images, PICTURED)
    close(arrays(data / "textual_embeddings" / place), texts, IDS)


def test_a_fine_tuned_resnet50_and_a_sentence_encoder(project, resnet, snapshot):
    file = project / "demos/demo_recsys/MMFashion.pt"
    file.parent.mkdir(parents=True)
    torch.save(resnet[1], file)
    (project / "config.yml").write_text(FINE_TUNED)
    refused = run("run", "config.yml", code=2)
    digest = file_digest(str(file))
    flag = "--visual.items.model.0.options.sha256"
    assert "visual.items.model.0: MMFashion.pt is a pickle" in refused.stderr
    assert f"-o sha256={digest}" in refused.stderr
    assert "-o NAME=VALUE is --visual.items.model.0.options.NAME=VALUE" in refused.stderr
    data = project / "local/data/demo_recsys"
    assert not (data / "visual_embeddings").exists()
    run("run", "config.yml", f"{flag}={digest}")
    pictures = arrays(data / "visual_embeddings/torch/MMFashion/avgpool")
    close(pictures, of_resnet(resnet[1], data), PICTURED)
    assert pictures[IDS[0]].shape == (1, 2048)
    texts = arrays(
        data / "textual_embeddings/sentence_transformers/sentence-transformers/all-mpnet-base-v2/1"
    )
    close(texts, of_sentences(snapshot("sentence-transformers/all-mpnet-base-v2")), IDS)


def test_the_fine_tuned_resnet50_as_safetensors_beside_the_pickle(project, resnet):
    file = project / "demos/demo_recsys/MMFashion.safetensors"
    file.parent.mkdir(parents=True)
    save_file(resnet[1].state_dict(), file)
    (project / "config.yml").write_text(FINE_TUNED.partition("textual:")[0])
    flag = "--visual.items.model.0.options.architecture"
    result = run("run", "config.yml", f"{flag}=torchvision:resnet50")
    assert "MMFashion.safetensors is taken in place of" in result.stderr
    data = project / "local/data/demo_recsys"
    pictures = arrays(data / "visual_embeddings/torch/MMFashion/avgpool")
    close(pictures, of_resnet(resnet[1], data), PICTURED)


@pytest.mark.usefixtures("_weights")
def test_the_whole_demo_from_its_one_configuration(project, resnet):
    file = project / "demos/demo_recsys/MMFashion.pt"
    file.parent.mkdir(parents=True)
    torch.save(resnet[1], file)
    (project / "demos/demo_recsys/config.yml").write_text(WHOLE)
    pin = f"--visual.items.model.1.options.sha256={file_digest(str(file))}"
    run("run", "demos/demo_recsys/config.yml", pin)
    data = project / "local/data/demo_recsys"
    found = {
        str(path.parent.relative_to(data)): sorted(one.stem for one in path.parent.iterdir())
        for path in data.rglob("*.npy")
    }
    clip = "transformers/openai/clip-vit-base-patch16/1"
    mpnet = "sentence_transformers/sentence-transformers/all-mpnet-base-v2/1"
    # The tree in demos/demo_recsys/README.md.
    assert found == {
        "visual_embeddings/torch/ResNet50/avgpool": sorted(PICTURED),
        "visual_embeddings/torch/MMFashion/avgpool": sorted(PICTURED),
        f"visual_embeddings/{clip}": sorted(PICTURED),
        f"textual_embeddings/{mpnet}": sorted(IDS),
        f"textual_embeddings/{clip}": sorted(IDS),
    }
    assert (project / "demos/demo_recsys/features/STORE.json").is_file()
