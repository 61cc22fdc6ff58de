"""What the scripts share; runs wherever the framework does, with NumPy alone."""

from __future__ import annotations

import json
import shutil
import sys
import types
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = 50


class Case:
    """One export, and what the store held when it was made.

    Attributes:
        name: which ids, and which share of the items had features.
        folder: the export.
        numbers: of each item id its number.
        sets: of each slot's set the vectors by item id, (dim,) float32 each.
    """

    def __init__(self, folder: Path, name: str, framework: str) -> None:
        self.name = name
        self.folder = folder / name / framework
        told = json.loads((folder / name / "expected.json").read_text("utf-8"))
        arrays = np.load(folder / name / "expected.npz")
        self.numbers: dict[str, int] = {
            one: number for number, one in enumerate(told["numbers"][framework])
        }
        self.sets = {
            label: dict(zip(ids, arrays[label], strict=True))
            for label, ids in told["sets"].items()
        }

    def sample(self, label: str, held: dict[str, Any]) -> list[str]:
        """50 items at random of those that both the store and the framework have."""
        ids = sorted(self.sets[label].keys() & held.keys())
        drawn = np.random.default_rng(7).permutation(len(ids))[:SAMPLE]
        return [ids[at] for at in drawn]

    def compare(self, label: str, held: dict[str, Any]) -> None:
        """Hold 50 vectors against the stored ones, and all that were missing against the mean.

        Args:
            label: the set.
            held: of each item id the vector that the framework holds.
        """
        stored = self.sets[label]
        sample = self.sample(label, held)
        wrong = [
            one
            for one in sample
            if not np.array_equal(np.asarray(held[one], np.float32), stored[one])
        ]
        own = [vector for one, vector in stored.items() if one in self.numbers]
        mean = np.mean(own, axis=0, dtype=np.float64)
        missing = [one for one in self.numbers if one not in stored and one in held]
        odd = [one for one in missing if not np.allclose(held[one], mean, rtol=1e-5, atol=1e-6)]
        print(
            f"{self.name:20} {label:7} {len(sample) - len(wrong)} of {len(sample)} vectors are"
            f" the stored ones; {len(missing) - len(odd)} of {len(missing)} missing ones are the"
            " mean"
        )
        if wrong or odd:
            sys.exit(f"{self.name}: {label} is wrong for {(wrong + odd)[:5]}")


def cases(data: Path, framework: str) -> list[Case]:
    """All exports for a framework."""
    names = sorted(path.parent.name for path in data.glob("*/expected.json"))
    return [Case(data, name, framework) for name in names]


def fresh(folder: Path) -> Path:
    """A new, empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def stand_in(name: str, **content: Any) -> None:
    """Make a module importable that the framework names and does not need here."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        path = ".".join(parts[:depth])
        if path not in sys.modules:
            module = types.ModuleType(path)
            module.__path__ = []
            module.__spec__ = ModuleSpec(path, None, is_package=True)
            module.__getattr__ = lambda word, path=path: _refuse(path, word)  # type: ignore[method-assign]
            sys.modules[path] = module
            if depth > 1:
                setattr(sys.modules[".".join(parts[: depth - 1])], parts[depth - 1], module)
    for word, value in content.items():
        setattr(sys.modules[name], word, value)


def _refuse(path: str, word: str) -> Any:
    if word.startswith("__"):
        raise AttributeError(word)
    return type(word, (), {"__module__": path})


def old_numpy() -> None:
    """Names that NumPy has dropped and the frameworks use."""
    for name, kind in (("float", float), ("int", int), ("bool", bool), ("object", object)):
        if name not in np.__dict__:
            setattr(np, name, kind)
    if "asfarray" not in np.__dict__:
        np.asfarray = lambda values: np.asarray(values, float)


def old_scipy() -> None:
    """``dok_matrix._update``, which SciPy has dropped."""
    from scipy.sparse import dok_matrix

    if not hasattr(dok_matrix, "_update"):

        def _update(self: Any, entries: Any) -> None:
            for place, value in entries.items():
                self[place] = value

        dok_matrix._update = _update


def no_cuda() -> None:
    """``.cuda()`` does nothing where there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        torch.Tensor.cuda = lambda self, *_args, **_kwargs: self  # type: ignore[method-assign]
        torch.nn.Module.cuda = lambda self, *_args, **_kwargs: self  # type: ignore[method-assign]
