"""RecBole's dataset holds what ``ducho export --to recbole`` wrote; a model trains on the split.

Run as ``python check_recbole.py DATA [--epochs N]``, in an environment of its own: ``pip install
recbole==1.2.1 numpy==1.26.4 scipy==1.12 pandas==2.3.3 "setuptools<81"`` and torch. DATA is what
``make.py`` made.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _compare import Case, cases

_load = torch.load
torch.load = lambda *args, **named: _load(*args, **{"weights_only": False, **named})

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # noqa: E402


def main() -> None:
    """Compare in every case, train in the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    sys.argv = sys.argv[:1]
    found = cases(given.data.resolve(), "recbole")
    for case in found:
        os.chdir(case.folder)
        config = settings(given.epochs)
        dataset = create_dataset(config)
        compare(case, dataset)
    train(config, dataset)


def settings(epochs: int) -> Any:
    """The exported configuration, and a few epochs."""
    (path,) = Path().glob("*.yaml")
    return Config(
        model="BPR",
        dataset=path.stem,
        config_file_list=[path.name],
        config_dict={"epochs": epochs, "use_gpu": False, "state": "ERROR", "show_progress": False},
    )


def compare(case: Case, dataset: Any) -> None:
    """Hold the preloaded weights against the store, by token."""
    for label in ("covers", "titles"):
        field = f"iid_{label}"
        weights = dataset.get_preload_weight(field)
        tokens = dataset.field2token_id["item_id"]
        held = {one: weights[tokens[one]].astype(np.float32) for one in case.numbers}
        assert not weights[0].any()
        assert len(weights) == len(case.numbers) + 1 == dataset.item_num
        case.compare(label, held)


def train(config: Any, dataset: Any) -> None:
    """Train BPR on the split."""
    init_seed(config["seed"], config["reproducibility"])
    parts = data_preparation(config, dataset)
    model = get_model(config["model"])(config, parts[0].dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    score, _ = trainer.fit(parts[0], parts[1], saved=False, show_progress=False)
    result = trainer.evaluate(parts[2], load_best_model=False, show_progress=False)
    print(f"BPR, validation {score:.4f}, test {dict(result)}")


if __name__ == "__main__":
    main()
