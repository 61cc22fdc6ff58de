"""Elliot's fork loads what ``ducho export --to elliot`` wrote, and trains on it.

Run as ``python check_elliot.py CHECKOUT DATA [--epochs N]``, in an environment with torch, pandas,
scipy, scikit-learn, hyperopt, tqdm and PyYAML. CHECKOUT is a clone of
https://github.com/sisinflab/Ducho-meets-Elliot, which is only read; DATA is what ``make.py`` made.

It also shows why the exported training rows end with one of an item that does not exist: the
loader's features with that row and without.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from _compare import Case, cases, old_numpy, stand_in


def main() -> None:
    """Compare in every case, with the row that does not exist and without; train in the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    data = given.data.resolve()
    found = cases(data, "elliot")
    half = cases(data, "elliot-textual")[-1]
    checkout = given.checkout.resolve()
    sys.path.insert(0, str(checkout))
    shim(checkout)
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        (where / "external").symlink_to(checkout / "external")
        for case in (*found, half):
            for part in ("data", "config_files"):
                shutil.copytree(case.folder / part, where / part, dirs_exist_ok=True)
        os.chdir(where)
        for case in found:
            config = where / "config_files" / f"{dataset_name(case)}.yml"
            loaded = load(config)
            for label, loader in (("covers", "VisualAttribute"), ("titles", "TextualAttribute")):
                case.compare(label, held(loaded, loader, case))
            without_sentinel(case, where, config)
        loaded = load(where / "config_files" / f"{dataset_name(half)}.yml")
        half.compare("titles", held(loaded, "TextualAttribute", half))
        assert not hasattr(loaded.side_information, "VisualAttribute")
        train(where, found[-1], given.epochs)
        train(where, half, given.epochs)


def shim(checkout: Path) -> None:
    """What the fork needs to run with today's libraries, and without those it does not use here.

    Its package of recommenders imports TensorFlow; its models of graphs import torch_geometric
    and torch_sparse, of which FREEDOM and VBPR need four names.
    """
    old_numpy()
    for name in (
        *("tensorflow", "tensorflow.keras", "torch_geometric", "torch_geometric.nn"),
        *("torch_geometric.nn.conv", "torch_geometric.utils", "torch_geometric.typing"),
        *("torch_geometric.nn.conv.gcn_conv", "torch_geometric.nn.inits"),
    ):
        stand_in(name)
    stand_in("torch_geometric.nn", MessagePassing=type("MessagePassing", (), {}))
    stand_in(
        "torch_sparse", SparseTensor=Sparse, mul=mul, sum=row_sums, fill_diag=lambda one, _: one
    )
    recommenders = types.ModuleType("elliot.recommender")
    recommenders.__path__ = [str(checkout / "elliot" / "recommender")]
    sys.modules["elliot.recommender"] = recommenders
    base = importlib.import_module("elliot.recommender.base_recommender_model")
    recommenders.BaseRecommenderModel = base.BaseRecommenderModel


class Sparse:
    """As much of ``torch_sparse.SparseTensor`` as FREEDOM uses."""

    def __init__(
        self, row: Any, col: Any, sparse_sizes: tuple[int, int], value: Any = None
    ) -> None:
        import torch

        self.place = torch.stack([row, col])
        self.value = torch.ones(len(row)) if value is None else value
        self.sizes = sparse_sizes

    def to_dense(self) -> Any:
        """The whole matrix."""
        import torch

        return torch.sparse_coo_tensor(self.place, self.value, self.sizes).to_dense()

    def to(self, _device: Any) -> Sparse:
        """Where it is."""
        return self


def mul(one: Sparse, factors: Any) -> Sparse:
    """Scale rows by a column, or columns by a row."""
    at = 0 if factors.shape[1] == 1 else 1
    return Sparse(*one.place, one.sizes, one.value * factors.flatten()[one.place[at]])


def row_sums(one: Sparse, dim: int) -> Any:
    """The sum of each row."""
    import torch

    assert dim in (1, -1)
    return torch.zeros(one.sizes[0]).index_add_(0, one.place[0], one.value)


def dataset_name(case: Case) -> str:
    """What the export called its dataset."""
    (folder,) = (case.folder / "data").iterdir()
    return folder.name


def load(config: Path) -> Any:
    """The fork's data, as its models see it."""
    from elliot import run
    from elliot.dataset.dataset import DataSetLoader
    from elliot.namespace.namespace_model_builder import NameSpaceBuilder
    from elliot.utils import logging

    builder = NameSpaceBuilder(
        str(config), str(Path(run.__file__).parent), str(config.parent.resolve())
    )
    base = builder.base.base_namespace
    logging.init(base.path_logger_config, base.path_log_folder)
    base.evaluation.relevance_threshold = 0
    return DataSetLoader(config=base).generate_dataobjects()[0][0]


def held(data: Any, loader: str, case: Case) -> dict[str, Any]:
    """Of each item that is trained on, what a model takes for its features."""
    garbage = [np.full(10_000 + 1000 * at, np.pi) for at in range(100)]
    del garbage
    rows = getattr(data.side_information, loader).object.get_all_features()
    assert len(rows) == data.num_items, (len(rows), data.num_items)
    return {
        one: np.asarray(rows[data.public_items[number]], np.float32)
        for one, number in case.numbers.items()
        if number in data.public_items
    }


def without_sentinel(case: Case, where: Path, config: Path) -> None:
    """Say what the loader hands out where the last row of train.tsv is taken away."""
    name = dataset_name(case)
    bare = where / "data" / f"{name}-bare"
    shutil.copytree(where / "data" / name, bare)
    lines = (bare / "train.tsv").read_text("utf-8").splitlines(keepends=True)
    item = int(lines[-1].split("\t")[1])
    assert item == len(case.numbers), "the last row is of an item that does not exist"
    (bare / "train.tsv").write_text("".join(lines[:-1]), "utf-8")
    other = config.with_name(f"{name}-bare.yml")
    text = config.read_text("utf-8").replace(f"dataset: {name}", f"dataset: {name}-bare")
    other.write_text(text, "utf-8")
    data = load(other)
    mapped = len(data.side_information.VisualAttribute.object.item_mapping)
    found = held(data, "VisualAttribute", case)
    sample = case.sample("covers", found)
    right = sum(np.array_equal(found[one], case.sets["covers"][one]) for one in sample)
    print(
        f"{case.name:20} without the row of item {item}: the loader numbers {mapped} items, and"
        f" {right} of {len(sample)} vectors are the stored ones"
    )


def train(where: Path, case: Case, epochs: int) -> None:
    """Train VBPR, with the exported configuration, and FREEDOM where there are two sets."""
    path = where / "config_files" / f"{dataset_name(case)}.yml"
    config = yaml.safe_load(path.read_text("utf-8"))
    models = config["experiment"]["models"]
    vbpr = models["external.VBPR"]
    vbpr["epochs"] = epochs
    vbpr["meta"] |= {"validation_rate": epochs, "verbose": False}
    freedom = {name: value for name, value in vbpr.items() if name != "comb_mod"}
    freedom |= {"n_layers": 1, "n_ui_layers": 2, "top_k": 10, "factors_multimod": 64}
    freedom |= {"mw": "(0.1,0.9)", "drop": 0.8, "lr_sched": "(1.0,50)"}
    if len(config["experiment"]["data_config"]["side_information"]) == 2:
        models["external.FREEDOM"] = freedom
    path.write_text(yaml.safe_dump(config), "utf-8")
    from elliot.run import run_experiment

    run_experiment(str(path))
    for result in sorted((where / "results" / dataset_name(case)).rglob("rec_*.tsv")):
        print(result.read_text("utf-8"))


if __name__ == "__main__":
    main()
