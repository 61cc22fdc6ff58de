"""Carrying out a translated configuration: extract, fuse, write the output tree."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ducho_core.ducho2.plan import Fused, Vectors
from ducho_core.ducho2.tree import (
    EXPORTER,
    FUSERS,
    REPORT,
    earlier_branches,
    export_options,
    grouped,
)
from ducho_core.errors import DuchoError, PluginNotFoundError, UsageError
from ducho_core.exporting.request import ExportRequest
from ducho_core.exporting.session import Export
from ducho_core.exporting.target import check_apart, check_target
from ducho_core.extraction.session import Session
from ducho_core.fusion.request import FuseRequest
from ducho_core.fusion.session import Fusion
from ducho_core.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ducho_core.ducho2.plan import Branch, Extraction, Plan
    from ducho_core.exporting.report import ExportReport
    from ducho_core.extraction.interrupt import Interruption
    from ducho_core.extraction.report import Report
    from ducho_core.extraction.session import Observer
    from ducho_core.fusion.report import FusionReport
    from ducho_core.registry import Registry


class CarryingOut:
    """One configuration, from sessions to files.

    All is checked first, the folders that are written included: nothing is loaded where one
    of them cannot take the result.

    Args:
        plan: the translated configuration.
        registry: where plugins come from.
        store: the store's folder.
        observer: told how it goes on.
        interruption: says when the user wants to stop.

    Raises:
        DuchoError: something cannot be done; with the model's key.
    """

    def __init__(
        self,
        plan: Plan,
        registry: Registry,
        store: str,
        *,
        observer: Observer,
        interruption: Interruption,
    ) -> None:
        self._plan = plan
        self._registry = registry
        self._store = store
        self._observer = observer
        self._interruption = interruption
        self._sets: dict[tuple[int, tuple[str, ...]], str | None] = {}
        self._fused: dict[Fused, str] = {}
        _check_installed(plan, registry)
        self._sessions = [self._session(one) for one in plan.extractions]
        for folder, branches in grouped(plan.branches).items():
            self._check_folder(folder, branches)

    def extract(self, *, dry_run: bool = False) -> Iterator[list[Report]]:
        """Carry out the extractions, or only plan them; their reports one by one."""
        for number, (extraction, session) in enumerate(
            zip(self._plan.extractions, self._sessions, strict=True)
        ):
            if self._interruption.event.is_set():
                return
            with _naming(extraction):
                reports = session.dry_run() if dry_run else session.run()
            if not dry_run:
                self._remember(number, reports)
            yield reports

    def fuse(self) -> Iterator[FusionReport]:
        """Fuse what the configuration fuses; their reports one by one."""
        for branch in self._plan.branches:
            fused = branch.vectors
            if not isinstance(fused, Fused) or self._interruption.event.is_set():
                continue
            picture, text = self._name(fused.picture), self._name(fused.text)
            if fused in self._fused or picture is None or text is None:
                continue
            report = Fusion(
                FuseRequest(sets=(picture, text), how=FUSERS[fused.how], missing="drop"),
                self._registry,
                self._store,
                observer=self._observer,
                stop=self._interruption.event,
            ).run()
            if report.rows:
                self._fused[fused] = Store(self._store).open(report.fingerprint).path.name
            yield report

    def export(self) -> Iterator[ExportReport]:
        """Write the output tree, one folder after the other; their reports one by one."""
        for folder, branches in grouped(self._plan.branches).items():
            if self._interruption.event.is_set():
                return
            request = self._export_request(folder, branches)
            if request is not None:
                yield Export(request, self._registry, self._store, observer=self._observer).run()

    def _session(self, extraction: Extraction) -> Session:
        with _naming(extraction):
            return Session(
                extraction.request,
                self._registry,
                self._store,
                observer=self._observer,
                interruption=self._interruption,
            )

    def _remember(self, number: int, reports: list[Report]) -> None:
        """Keep which sets an extraction made, and say which weights torchvision chose."""
        store = Store(self._store)
        for report in reports:
            features = store.open(report.fingerprint)
            requires = tuple(features.spec["outputs"][0]["requires"])
            self._sets[number, requires] = features.path.name if len(features) else None
            entry = features.spec["identity"].get("weights")
            if isinstance(entry, dict) and "entry" in entry:
                path = self._plan.extractions[number].path
                self._observer.say(f"{path}: the weights are {entry['entry']}")

    def _name(self, vectors: Vectors) -> str | None:
        """``SET:OUTPUT`` of an embedding; None where its set has no row."""
        found = self._sets.get((vectors.extraction, vectors.requires))
        return vectors.of(found) if found else None

    def _branch_name(self, branch: Branch) -> str | None:
        vectors = branch.vectors
        return self._fused.get(vectors) if isinstance(vectors, Fused) else self._name(vectors)

    def _export_request(self, folder: str, branches: list[Branch]) -> ExportRequest | None:
        found = {one.parts: one.name for one in earlier_branches(folder)}
        for branch in branches:
            name = self._branch_name(branch)
            if name is not None:
                found[branch.parts] = name
            else:
                self._observer.say(f"{os.path.join(folder, *branch.parts)}: no item to write")
        if not found:
            return None
        return ExportRequest(
            sets=tuple(found.values()),
            to=EXPORTER,
            out=folder,
            options=export_options(list(found)),
        )

    def _check_folder(self, folder: str, branches: list[Branch]) -> None:
        """See that a folder can take its branches beside those of earlier runs.

        What earlier runs wrote there is written again beside the new, as exports are put in
        place as a whole.

        Raises:
            UsageError: other files are there, what is there is of another store or kind, or it
                would lie in the store.
        """
        try:
            check_apart(folder, self._store)
        except UsageError as error:
            raise UsageError(f"output_path: {error}") from error
        try:
            check_target(folder)
        except UsageError as error:
            raise UsageError(
                f"{error}. Files of Ducho 2.0 are never written over: move the folder away, or"
                " write elsewhere, with another output_path"
            ) from error
        written = [branch.parts for branch in branches]
        found = earlier_branches(folder)
        if not found and os.path.exists(os.path.join(folder, REPORT)):
            raise UsageError(
                f"{folder} holds an export that is no tree of backends, models and layers, and"
                " would lose it: write to another output_path, or move that folder away"
            )
        for earlier in found:
            if earlier.parts in written:
                continue
            try:
                keys = Store(self._store).open(earlier.name).keys
            except DuchoError as error:
                raise UsageError(
                    f"{folder} holds {'/'.join(earlier.parts)} of a feature set that is not in"
                    f" {self._store}, and would lose it: write to another output_path, or give"
                    " that store with --store"
                ) from error
            if keys != branches[0].keys:
                raise UsageError(
                    f"{folder} holds {'/'.join(earlier.parts)} with the keys {', '.join(keys)},"
                    f" not {', '.join(branches[0].keys)}: write to another output_path"
                )


def _check_installed(plan: Plan, registry: Registry) -> None:
    """See that every plugin is there.

    Raises:
        PluginNotFoundError: some are not; with the one command that installs them all.
    """
    known = {record.name for record in registry.plugins()}
    lacking: dict[str, str] = {}
    for extraction in plan.extractions:
        if extraction.request.plugin.partition("/")[0] not in known:
            lacking.setdefault(extraction.request.plugin, extraction.path)
    if lacking:
        needs = ", ".join(f"{path} needs {plugin}" for plugin, path in lacking.items())
        names = sorted({f"ducho-{plugin.partition('/')[0]}" for plugin in lacking})
        raise PluginNotFoundError(f"not installed: {needs}", f"pip install {' '.join(names)}")


@contextmanager
def _naming(extraction: Extraction) -> Iterator[None]:
    """Put the model's key before what is wrong with it, and say how flags are called here."""
    try:
        yield
    except DuchoError as error:
        if not error.args or not isinstance(error.args[0], str):
            raise
        message = error.args[0]
        section = extraction.path.partition(".model.")[0]
        hints = []
        if " --text" in message or " --key" in message:
            columns = "interaction_columns" if len(extraction.request.key) > 1 else "item_column"
            hints.append(
                f"In this configuration --text is {section}.text_column, --key {section}.{columns}"
            )
        elif "-o " in message:
            hints.append(
                f"In this configuration -o NAME=VALUE is --{extraction.path}.options.NAME=VALUE"
            )
        error.args = ("\n".join([f"{extraction.path}: {message}", *hints]), *error.args[1:])
        raise
