"""MMRec loads what ``ducho export --to mmrec`` wrote, and trains on it.

Run as ``python check_mmrec.py CHECKOUT DATA [--epochs N]``, in an environment with torch, pandas,
scipy, matplotlib and PyYAML. CHECKOUT is a clone of https://github.com/enoche/MMRec, which is
only read; DATA is what ``make.py`` made.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _compare import Case, cases, no_cuda, old_numpy, old_scipy, stand_in


def main() -> None:
    """Compare, then train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    given = parser.parse_args()
    data = given.data.resolve()
    found = cases(data, "mmrec")
    halves = {slot: cases(data, f"mmrec-{slot}")[-1] for slot in ("image", "text")}
    checkout = given.checkout.resolve()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "src"
        source.mkdir()
        # MMRec reads configs/ and ../data/ beside the working folder.
        shutil.copytree(checkout / "src" / "configs", source / "configs")
        for case in (*found, *halves.values()):
            shutil.copytree(case.folder / "data", Path(name) / "data", dirs_exist_ok=True)
            shutil.copytree(case.folder / "src", source, dirs_exist_ok=True)
        os.chdir(source)
        sys.path.insert(0, str(checkout / "src"))
        shim()
        for case in found:
            compare(case, ("covers", "titles"))
        compare(halves["image"], ("covers", None))
        compare(halves["text"], (None, "titles"))
        for case in (found[-1], *halves.values()):
            train(case, given.epochs)
        show_zero_row(found[0])


def shim() -> None:
    """What MMRec needs to run with today's libraries, and without a GPU."""
    old_numpy()
    old_scipy()
    no_cuda()
    stand_in("lmdb")
    stand_in("torchvision.transforms")
    stand_in("torchvision.transforms.functional")


def settings(epochs: int) -> dict[str, Any]:
    """One value where MMRec's own files give a grid."""
    return {
        "gpu_id": 0,
        "use_gpu": False,
        "epochs": epochs,
        "reg_weight": [0.001],
        "dropout": [0.8],
        "seed": [999],
        "save_recommended_topk": False,
    }


def dataset_name(case: Case) -> str:
    """What the export called its dataset."""
    (folder,) = (case.folder / "data").iterdir()
    return folder.name


def load(case: Case, model: str, epochs: int = 1) -> Any:
    """The model as MMRec builds it, untrained."""
    from utils.configurator import Config
    from utils.dataloader import TrainDataLoader
    from utils.dataset import RecDataset
    from utils.utils import get_model, init_seed

    config = Config(model, dataset_name(case), settings(epochs))
    for name in config["hyper_parameters"]:
        config[name] = config[name][0]
    init_seed(config["seed"])
    train_data, _, _ = RecDataset(config).split()
    str(train_data)  # counts the interactions
    loader = TrainDataLoader(config, train_data, batch_size=2048, shuffle=True)
    loader.pretrain_setup()
    return get_model(model)(config, loader)


def compare(case: Case, labels: tuple[str | None, str | None]) -> None:
    """Hold what VBPR holds against the store; None where it is to hold nothing."""
    model = load(case, "VBPR")
    for label, held in zip(labels, (model.v_feat, model.t_feat), strict=True):
        if label is None:
            assert held is None
            continue
        vectors = held.numpy()
        assert model.n_items == len(vectors), (model.n_items, len(vectors))
        case.compare(
            label,
            {
                one: vectors[number]
                for one, number in case.numbers.items()
                if number < len(vectors)
            },
        )


def train(case: Case, epochs: int) -> None:
    """Train VBPR and FREEDOM, and look at the graph that FREEDOM made of the features."""
    from utils.quick_start import quick_start

    for model in ("VBPR", "FREEDOM"):
        quick_start(model, dataset_name(case), settings(epochs), save_model=False)
    print(f"{case.folder.name}: {graph_of(case)}")


def graph_of(case: Case) -> str:
    """What FREEDOM's graph of items is like."""
    import torch

    graph = load(case, "FREEDOM").mm_adj.coalesce()
    assert torch.isfinite(graph.values()).all()
    degrees = torch.bincount(graph.indices()[1], minlength=graph.shape[0])
    return (
        f"FREEDOM's graph of items has {graph._nnz()} edges, and the busiest of"
        f" {graph.shape[0]} items is a neighbour of {int(degrees.max())}"
    )


def show_zero_row(case: Case) -> None:
    """Say what a row of zeros, which an export never writes, does to that graph."""
    folder = Path("../data") / dataset_name(case)
    for path in folder.glob("*_feat.npy"):
        matrix = np.load(path)
        matrix[0] = 0
        np.save(path, matrix)
    for path in folder.glob("*.pt"):
        path.unlink()
    print(f"with a row of zeros: {graph_of(case)}")


if __name__ == "__main__":
    main()
