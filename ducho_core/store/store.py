"""A feature store: a folder of feature sets."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ducho_core.errors import CorruptionError, SpecMismatchError, StoreError
from ducho_core.store import layout
from ducho_core.store import spec as specs
from ducho_core.store.atomic import explain, make_folders, probe, put_bytes
from ducho_core.store.reader import FeatureSet
from ducho_core.store.resolve import Candidate, resolve
from ducho_core.store.schema import dims_of
from ducho_core.store.writer import SetWriter, read_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ducho_core.extractor import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SetInfo:
    """What a listing says about one feature set.

    Attributes:
        names: names bound to it.
        slug: the readable half of its folder's name.
        fingerprint: sha256 of its SPEC.
        catalogue: the catalogue's name.
        revision: the catalogue's revision.
        inputs: modalities it was made from, such as ``image-text``.
        outputs: output name to length; None for texts, scalars and lengths not known yet.
        keys: key columns.
        rows: rows committed.
        failed: keys that failed, as they stand now.
        absent: keys without input, as they stand now.
        withdrawn: planned keys that left the source.
        planned: keys planned; a retried key counts once a plan.
        pending: planned chunks that are not committed.
        complete: whether there is a plan and nothing is pending.
        bytes: size of its data files.
        path: its folder.
    """

    names: tuple[str, ...]
    slug: str
    fingerprint: str
    catalogue: str
    revision: int
    inputs: str
    outputs: Mapping[str, int | None]
    keys: tuple[str, ...]
    rows: int
    failed: int
    absent: int
    withdrawn: int
    planned: int
    pending: int
    complete: bool
    bytes: int
    path: Path


class Store:
    """A folder of feature sets.

    Args:
        path: the folder.
        create: whether to make a store there where there is none.

    Attributes:
        path: the folder.

    Raises:
        StoreError: there is no store, it was made by a newer Ducho, or it cannot be created.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = False) -> None:
        self.path = Path(path)
        if create and not layout.is_store(self.path):
            self._create()
        self._check()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def probe(self) -> None:
        """Check that files can be committed here, before any work is done.

        Raises:
            StoreError: the store is read-only, full, or on a file system without hard links.
        """
        probe(self._temporary_folder)

    def sets(self) -> list[SetInfo]:
        """All feature sets, sorted by path."""
        return [self.info(folder) for folder in layout.set_folders(self.path)]

    def info(self, folder: Path) -> SetInfo:
        """Summary of the set in a folder.

        Raises:
            CorruptionError: its SPEC, a plan or a footer is damaged.
        """
        features = FeatureSet(folder)
        planned, pending = features.plan_progress()
        statuses = features.failures()["status"].to_pylist()
        spec = features.spec
        dims = dims_of(features.schema) if features.chunks else {}
        return SetInfo(
            names=tuple(self._names_of(features)),
            slug=features.slug,
            fingerprint=features.fingerprint,
            catalogue=spec["catalogue"]["name"],
            revision=spec["catalogue"].get("revision", 0),
            inputs=folder.parent.name,
            outputs={
                one["name"]: dims.get(one["name"], one.get("dim")) for one in spec["outputs"]
            },
            keys=features.keys,
            rows=len(features),
            failed=statuses.count("failed"),
            absent=statuses.count("absent"),
            withdrawn=statuses.count("withdrawn"),
            planned=planned,
            pending=len(pending),
            complete=planned > 0 and not pending,
            bytes=sum(path.stat().st_size for path in features.files),
            path=folder,
        )

    def locate(self, name: str) -> tuple[Path, str | None]:
        """Folder of the set that ``NAME[:OUTPUT]`` means, and the output.

        NAME is a bound name, a folder's name SLUG-FP12, a slug, or an unambiguous prefix, of
        four characters or more, of a slug or fingerprint. A name or slug means the newest
        complete revision of its set.

        Raises:
            SetNotFoundError: none or several match; the message lists them.
        """
        base, _colon, output = name.partition(":")
        folder = resolve(base, self._candidates(base), self.names(), str(self.path))
        return folder, output or None

    def open(self, name: str) -> FeatureSet:
        """Open the set that ``NAME[:OUTPUT]`` means, as in ``locate``, for reading."""
        folder, output = self.locate(name)
        return FeatureSet(folder, name=name.partition(":")[0], output=output)

    def create_set(self, spec: Mapping[str, JSON], *, name: str | None = None) -> SetWriter:
        """Create the set of a SPEC, or open it for writing where it exists.

        Args:
            spec: the SPEC.
            name: a name to bind to it, as ``bind_name`` does; nothing is created where the
                name is taken.

        Raises:
            UsageError: the name cannot be a name.
            SpecMismatchError: the name is bound to another set.
            StoreError: the SPEC is not one, or the folders cannot be written.
        """
        specs.check_spec(spec)
        if name is not None:
            layout.check_name(name, "feature set")
            self._refuse_other(name, self.names().get(name), spec)
        writer = SetWriter.create(self._folder(spec), spec)
        if name is not None:
            self.bind_name(name, writer.fingerprint)
        return writer

    def find(self, fingerprint: str) -> SetWriter | None:
        """The set with this fingerprint (64 hex digits), open for writing; None if none."""
        for folder in layout.set_folders(self.path):
            if folder.name.endswith(f"-{fingerprint[:12]}"):
                found = SetWriter.open(folder)
                if found.fingerprint == fingerprint:
                    return found
        return None

    def names(self) -> dict[str, str]:
        """Bound names and the fingerprint of each."""
        folder = self.path / layout.NAMES
        if not folder.is_dir():
            return {}
        return {
            entry: (folder / entry).read_text("ascii", "replace").strip()
            for entry in sorted(os.listdir(folder))
        }

    def bind_name(self, name: str, fingerprint: str) -> None:
        """Give a set a name, once and for all.

        A name that is bound to another revision of the same set stays as it is.

        Raises:
            UsageError: the name cannot be a name.
            SpecMismatchError: it is bound to another set; the message lists what differs.
        """
        layout.check_name(name, "feature set")
        names = self.path / layout.NAMES
        make_folders(names)
        put_bytes(names / name, self._temporary_folder, f"{fingerprint}\n".encode())
        new = self.find(fingerprint)
        if new is None:
            raise StoreError(f"there is no set {fingerprint[:12]}… in {self.path} to name")
        self._refuse_other(name, self.names()[name], new.spec)

    def _refuse_other(self, name: str, bound: str | None, spec: Mapping[str, Any]) -> None:
        if bound is None or bound == specs.fingerprint(spec):
            return
        old = self.find(bound)
        if old is None:
            raise StoreError(
                f"the name {name!r} is bound to the set {bound[:12]}…, which is not in"
                f" {self.path}; remove {self.path / layout.NAMES / name} or choose another --name"
            )
        changed = specs.differences(specs.without_revision(old.spec), specs.without_revision(spec))
        if changed:
            listed = "\n  ".join(changed)
            raise SpecMismatchError(
                f"the name {name!r} is bound to {old.path.name}, made with other settings"
                f" (old → new):\n  {listed}\nChoose another --name, or the old settings"
            )

    def temporary(self, suffix: str) -> Path:
        """A new path on the store's disk for an unfinished file; nothing is created."""
        return self._temporary_folder / f"{uuid.uuid4().hex}{suffix}"

    @cached_property
    def _temporary_folder(self) -> Path:
        folder = self.path / layout.ROOT_TEMPORARY
        make_folders(folder)
        return folder

    def _folder(self, spec: Mapping[str, Any]) -> Path:
        catalogue = str(spec["catalogue"]["name"])
        return self.path / catalogue / specs.inputs_name(spec) / specs.folder_name(spec)

    def _candidates(self, word: str) -> list[Candidate]:
        candidates = []
        for folder in layout.set_folders(self.path):
            try:
                candidates.append(Candidate.of(folder, *read_spec(folder)))
            except CorruptionError:
                # One damaged set must not hide the others.
                if folder.name.startswith(word):
                    raise
        return candidates

    def _names_of(self, features: FeatureSet) -> list[str]:
        return [name for name, bound in self.names().items() if bound == features.fingerprint]

    def _create(self) -> None:
        try:
            entries = set(os.listdir(self.path)) if self.path.exists() else set()
        except OSError as error:
            raise explain(error, self.path, 0) from error
        if entries - {layout.ROOT_TEMPORARY} and not layout.is_store(self.path):
            raise StoreError(
                f"{self.path} is a folder with other things in it and no feature store; choose"
                " a new or empty folder with --store"
            )
        make_folders(self.path)
        content = {"format": layout.FORMAT, "version": f"{layout.MAJOR}.{layout.MINOR}"}
        put_bytes(
            self.path / layout.STORE_FILE,
            self._temporary_folder,
            specs.canonical_json(content),
        )

    def _check(self) -> None:
        path = self.path / layout.STORE_FILE
        try:
            content = json.loads(path.read_bytes())
            kind, version = str(content["format"]), str(content["version"])
            major = int(version.split(".", maxsplit=1)[0])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreError(
                f"{self.path} is no feature store (it has no {layout.STORE_FILE}); choose one"
                " with --store"
            ) from error
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} is not what a store has there: {error}") from error
        if kind != layout.FORMAT or major != layout.MAJOR:
            raise StoreError(
                f"{self.path} has the format {kind} {version}; this Ducho knows {layout.FORMAT}"
                f" {layout.MAJOR}: use the version of Ducho that made it, or a newer one"
            )
