"""Where a model lies and what identifies it, without loading it."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ducho_core import KnownModel, UsageError, files_digest
from ducho_hf import hub
from ducho_hf.files import (
    folder_names,
    is_module_settings,
    is_tokenizer_file,
    missing_shards,
    needed_files,
    weight_names,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ducho_hf.options import ModelOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model's folder and how it is called.

    Attributes:
        folder: absolute path of the folder that it is loaded from.
        name: hub id, or the base name of a local folder; never a path.
        commit: commit on the hub, or None for a local folder.
        code: whether code that the model brings may run.
    """

    folder: str
    name: str
    commit: str | None = None
    code: bool = False

    @property
    def label(self) -> str:
        """Short name for a feature set's slug."""
        return self.name.rpartition("/")[2]

    def identity(self) -> dict[str, str]:
        """What of the source enters the SPEC, beside the digests of its files."""
        found = {"model": self.name}
        if self.commit is not None:
            found["commit"] = self.commit
        return found

    def files(self) -> list[str]:
        """Relative paths of the files that are used."""
        return needed_files(folder_names(self.folder), code=self.code)

    def digest(self, names: Sequence[str]) -> str:
        """Sha256 over the sorted (base name, sha256) pairs of some of its files."""
        return files_digest(self.paths(names))

    def weight_files(self) -> list[str]:
        """Relative paths of the weight files, those of module folders included."""
        return [name for name in self.files() if weight_names([name.rpartition("/")[2]])]

    def paths(self, names: Sequence[str]) -> list[str]:
        """Absolute paths of some of its files."""
        return [os.path.join(self.folder, name) for name in names]

    def digests(self) -> dict[str, str]:
        """Digests of the weights, the configuration, and the model's code where it may run.

        Raises:
            UsageError: there are no weights, or some are missing.
        """
        weights = self.weight_files()
        absent = missing_shards(self.folder)
        if absent or not weights:
            raise UsageError(
                f"the model {self.name!r} lacks {', '.join(absent[:3]) or 'model.safetensors'}:"
                " its folder is not complete"
            )
        found = {"weights_sha256": self.digest(weights)}
        names = self.files()
        if "config.json" in names:
            found["config_sha256"] = self.digest(["config.json"])
        if self.code:
            found["code_sha256"] = self.digest([name for name in names if name.endswith(".py")])
        return found

    def tokenizer_digest(self) -> str:
        """Digest of the tokenizer's files.

        Raises:
            UsageError: there are none.
        """
        names = [name for name in self.files() if is_tokenizer_file(name.rpartition("/")[2])]
        if not names:
            raise UsageError(
                f"the model {self.name!r} has no tokenizer files (tokenizer.json, vocab.txt, ...)"
            )
        return self.digest(names)

    def modules_digest(self) -> str:
        """Digest of the settings of sentence-transformers' modules; of no file where none."""
        return self.digest([name for name in self.files() if is_module_settings(name)])

    def read_json(self, name: str) -> Any:
        """Content of one of its JSON files, or None where there is none.

        Raises:
            UsageError: the file is no JSON.
        """
        path = os.path.join(self.folder, name)
        if not os.path.isfile(path):
            return None
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except ValueError as error:
            raise UsageError(f"{name} of the model {self.name!r} is no JSON: {error}") from error


def locate(options: ModelOptions, *, suggestions: Sequence[str | KnownModel]) -> ModelSource:
    """Find the model that the options name, as a folder or on the hub.

    Args:
        options: where the model comes from.
        suggestions: good models, the first three of which are named with their sizes where
            the user gave none.

    Raises:
        UsageError: no model was given, there is none of that name, or its code may not run.
    """
    if not options.model:
        listed = "".join(f"\n  --model {_suggested(one)}" for one in suggestions[:3])
        raise UsageError(f"no model was given. Good ones to start with:{listed}")
    local = os.path.isdir(options.model)
    if options.trust_remote_code and (local or not hub.is_commit(options.revision)):
        raise UsageError(
            "trust_remote_code runs code that comes with the model, so it needs a model of the"
            " hub and its 40-digit commit: -o revision=0123456789abcdef..."
        )
    source = _find(options.model, options.revision, code=options.trust_remote_code)
    _refuse_foreign_code(source)
    return source


def _suggested(model: str | KnownModel) -> str:
    return model if isinstance(model, str) else f"{model.name:<40} ({model.facts})"


def locate_tokenizer(tokenizer: str, revision: str | None) -> ModelSource:
    """Find another tokenizer or image processor than the model's own, weights left aside.

    Raises:
        UsageError: there is none of that name.
    """
    return _find(tokenizer, revision, code=False, weights=False)


def _find(model: str, revision: str | None, *, code: bool, weights: bool = True) -> ModelSource:
    path = os.path.expanduser(model)
    if os.path.isdir(path):
        if revision is not None:
            raise UsageError(f"{model!r} is a folder here, so a revision has no meaning")
        if not _holds_model(path):
            raise UsageError(
                f"the folder {model!r} holds no model: no config.json, modules.json or"
                " tokenizer.json lies in it"
            )
        folder = os.path.realpath(path)
        return ModelSource(folder=folder, name=os.path.basename(os.path.abspath(path)))
    if os.path.exists(path):
        raise UsageError(f"{model!r} is a file; give the folder that holds the whole model")
    if _looks_like_path(model):
        raise UsageError(f"there is no folder {model!r}{_near(path)}")
    try:
        folder, commit = hub.snapshot(model, revision, code=code, weights=weights)
    except UsageError as error:
        raise UsageError(f"{error}{_near(path)}") from error
    return ModelSource(folder=folder, name=model, commit=commit, code=code)


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "~", os.sep)) or model.count("/") > 1 or "\\" in model


def _holds_model(path: str) -> bool:
    return any(
        os.path.isfile(os.path.join(path, name))
        for name in (
            "config.json",
            "modules.json",
            "preprocessor_config.json",
            "processor_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
        )
    )


def _near(path: str) -> str:
    """A hint where a folder of a similar name lies beside the one that was asked for."""
    parent, base = os.path.split(os.path.normpath(path))
    try:
        siblings = [entry.name for entry in os.scandir(parent or ".") if entry.is_dir()]
    except OSError:
        return ""
    close = difflib.get_close_matches(base, siblings, n=1)
    return f"; did you mean the folder {os.path.join(parent, close[0])!r}?" if close else ""


def _refuse_foreign_code(source: ModelSource) -> None:
    configuration = source.read_json("config.json") or {}
    places = configuration.get("auto_map") or {} if isinstance(configuration, dict) else {}
    if source.code and any("--" in str(place) for place in places.values()):
        raise UsageError(
            f"the model {source.name} takes its code from another repository, which the revision"
            " does not pin; it is not run"
        )
    if os.path.isfile(os.path.join(source.folder, "adapter_config.json")):
        raise UsageError(
            f"{source.name!r} is an adapter, not a whole model: merge it into its base model"
            " (merge_and_unload, save_pretrained) and give that folder"
        )
