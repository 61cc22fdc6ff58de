"""Where files are: paths as Ducho 2.0 reads them, and the folders of its output tree."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from ducho_core.errors import UsageError
from ducho_core.loaders.suggest import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from ducho_core.ducho2.config import Model, Section
    from ducho_core.ducho2.remarks import Remarks

WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".onnx", ".pt2", ".torchscript")
"""Suffixes of files that hold a model."""


class Places:
    """Paths of a configuration.

    Ducho 2.0 reads them from the folder that it is started in. Where that leads nowhere and
    the folder of the configuration has what is meant, that is taken.

    Args:
        dataset: ``dataset_path``.
        config: path of the configuration.
        remarks: takes what is decided.
    """

    def __init__(self, dataset: str, config: str, remarks: Remarks) -> None:
        self._beside = os.path.dirname(config)
        self._remarks = remarks
        self.dataset = self.find(dataset, "dataset_path")

    def find(self, path: str, key: str) -> str:
        """A path from the current folder."""
        path = _tidy(path)
        other = _tidy(os.path.join(self._beside, path))
        if other != path and not os.path.exists(path) and os.path.exists(other):
            self._remarks.say(key, f"{other}, as {path} is not below the current folder")
            return other
        return path

    def below(self, path: str) -> str:
        """A path below ``dataset_path``, from the current folder."""
        return _tidy(os.path.join(self.dataset, path))

    def model_file(self, model: Model) -> str | None:
        """The path of the model's file, where its name is a path rather than a name."""
        found = self.find(model.name, f"{model.path}.model_name")
        path_like = model.name.lower().endswith(WEIGHTS) or "/" in model.name
        return found if os.path.isfile(found) or path_like else None

    def table(self, section: Section) -> str:
        """The section's table; a folder that holds one file means that file."""
        path = self.below(
            section.inputs["textual" if len(section.inputs) > 1 else section.modality]
        )
        if os.path.isdir(path):
            names = [name for name in os.listdir(path) if not name.startswith(".")]
            if len(names) != 1:
                raise UsageError(
                    f"{section.path}.input_path: {path} is a folder of {len(names)} files, and"
                    " one table is needed"
                )
            return os.path.join(path, names[0])
        return path


def _tidy(path: str) -> str:
    """A path without needless parts; ``..`` after a link leads where the link leads."""
    if os.pardir not in path.split(os.sep):
        return os.path.normpath(path)
    real = os.path.realpath(path)
    return real if os.path.isabs(path) else os.path.relpath(real)


def image_template(
    folder: str, column: str, base: str, key: str, remarks: Remarks
) -> tuple[str, bool]:
    """The template of the images' paths, and whether it holds a glob.

    Args:
        folder: the folder of images.
        column: the column whose value names an image.
        base: the folder that the template is relative to.
        key: the folder's key, for messages.
        remarks: takes what is decided.

    Raises:
        UsageError: the suffixes differ and a glob could find another item's image.
    """
    where = os.path.relpath(folder, base).replace("{", "{{").replace("}", "}}")
    start = "" if where == "." else f"{where}/"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    parts = [os.path.splitext(name) for name in names]
    found = Counter(suffix for _, suffix in parts if suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        remarks.say(key, f"no image is in {folder}, so the template ends in .jpg")
        return f"{start}{{{column}}}.jpg", False
    if len(found) == 1:
        return f"{start}{{{column}}}{next(iter(found))}", False
    stems = {stem for stem, _ in parts}
    for stem in stems:
        shorter = stem.rpartition(".")[0]
        while shorter:
            if shorter in stems:
                raise UsageError(
                    f"{key}: {folder} has images of several kinds ({', '.join(sorted(found))}),"
                    f" and {shorter}.* would find {stem} too: rename one, or keep one kind"
                )
            shorter = shorter.rpartition(".")[0]
    remarks.say(
        key,
        f"images of several kinds ({', '.join(sorted(found))}): the template ends in a glob, and"
        " of an item with several the first is taken",
    )
    return f"{start}{{{column}}}.*", True


def say_dotted(folder: str, key: str, remarks: Remarks) -> None:
    """Say where ids differ from those of Ducho 2.0, which ends them at the first dot."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    dotted = sorted(name for name in names if "." in os.path.splitext(name)[0].lstrip("."))
    if dotted:
        first = dotted[0]
        remarks.say(
            key,
            f"{len(dotted)} file(s) have a dot in their name: {first} is the item"
            f" {os.path.splitext(first)[0]!r} here and was {first.split('.', 1)[0]!r} in Ducho"
            " 2.0, which let such items overwrite each other",
        )


def model_parts(model: Model, *, whole: bool) -> tuple[str, ...]:
    """The folders that stand for a model in the output tree.

    Args:
        model: the model.
        whole: whether the whole name is kept, as for texts; else its last part without suffix.
    """
    name = model.name.rstrip("/")
    if whole and not os.path.isabs(name):
        parts = tuple(part for part in name.split("/") if part not in ("", ".", ".."))
        if parts:
            return parts
    last = os.path.basename(name)
    return (last if whole else os.path.splitext(last)[0],)
