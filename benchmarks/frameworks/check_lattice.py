"""LATTICE loads what ``ducho export --to lattice`` wrote, and trains on it.

Run as ``python check_lattice.py CHECKOUT DATA [--epochs N]``, in an environment with torch, scipy,
scikit-learn and tqdm. CHECKOUT is a clone of https://github.com/CRIPAC-DIG/LATTICE, which is only
read; DATA is what ``make.py`` made. LATTICE reads its arguments when it is imported, so each case
runs in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _compare import Case, cases, no_cuda, old_numpy


def main() -> None:
    """Compare in every case, train in the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    found = cases(given.data.resolve(), "lattice")
    if given.case:
        case = next(one for one in found if one.name == given.case)
        run(given.checkout.resolve(), case, given.epochs)
        return
    for case in found:
        epochs = given.epochs if case is found[-1] else 0
        subprocess.run(
            [
                *(sys.executable, __file__, given.checkout, given.data),
                *("--case", case.name, "--epochs", str(epochs)),
            ],
            check=True,
        )


def run(checkout: Path, case: Case, epochs: int) -> None:
    """One case."""
    old_numpy()
    no_cuda()
    # A fifth of the processors, rounded down, is how many processes LATTICE evaluates in.
    multiprocessing.cpu_count = lambda: 5
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(case.folder / "data", Path(name) / "data")
        (dataset,) = (Path(name) / "data").iterdir()
        codes = Path(name) / "codes"
        codes.mkdir()
        os.chdir(codes)
        sys.path.insert(0, str(checkout / "codes"))
        sys.argv = ["main.py", "--dataset", dataset.name, "--epoch", str(epochs), "--verbose", "1"]
        import main as lattice

        lattice.set_seed(123)
        data = lattice.data_generator
        _, norm_adj, _ = data.get_adj_mat()
        trainer = lattice.Trainer(
            {"n_users": data.n_users, "n_items": data.n_items, "norm_adj": norm_adj}
        )
        model = trainer.model
        for label, table in (("covers", model.image_embedding), ("titles", model.text_embedding)):
            vectors = table.weight.detach().numpy()
            assert len(vectors) == data.n_items, (len(vectors), data.n_items)
            numbers = case.numbers.items()
            case.compare(
                label, {one: vectors[at].copy() for one, at in numbers if at < len(vectors)}
            )
        assert np.isfinite(model.image_original_adj.numpy()).all()
        assert np.isfinite(model.text_original_adj.numpy()).all()
        if epochs:
            trainer.train()


if __name__ == "__main__":
    main()
