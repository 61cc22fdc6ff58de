"""The worked example of the README does what it says, and the numbers are torch's own."""

from __future__ import annotations

from pathlib import Path

import custom_kit as kit
import numpy as np
import torch
from torchvision.models import resnet50

from demo.examples import examples, run
from ducho_core import Store

README = Path(__file__).parents[3] / "plugins/ducho-custom/README.md"


def test_the_worked_example(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    files = [kit.picture(90, 70, seed, "JPEG") for seed in range(3)]
    for index, content in enumerate(files):
        (tmp_path / f"images/shoe-{index}.jpg").write_bytes(content)
    rows = [f"shoe-{index}\tShoe {index}\n" for index in range(3)]
    (tmp_path / "items.tsv").write_text("item_id\ttitle\n" + "".join(rows))
    for example in examples(README):
        finished = run(example, tmp_path, {"HF_HUB_OFFLINE": "1"}, capture=True)
        assert finished.returncode == example.status, finished.stderr
        if example.status == 2:
            assert f"-o sha256={kit.sha256(tmp_path / 'mmfashion.pt')}" in finished.stderr
    keys, vectors = Store(tmp_path / "features").open("fashion").to_numpy()
    assert keys.column("item_id").to_pylist() == [f"shoe-{index}" for index in range(3)]
    model = resnet50()
    whole = torch.load(tmp_path / "mmfashion.pt", weights_only=False)
    model.load_state_dict(whole.state_dict())
    model.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = model.eval()(kit.pixels(files, 224)).numpy()
    assert np.asarray(vectors).shape == (3, 2048)
    assert kit.distances(np.asarray(vectors), expected).max() <= 1e-5
