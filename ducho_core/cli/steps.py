"""The steps of a recipe, one after the other."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ducho_core.cli import export as exporting
from ducho_core.cli import fuse as fusing
from ducho_core.cli.output import emit, emit_json
from ducho_core.cli.running import EXIT_FAILURES, TerminalObserver, extract_all
from ducho_core.errors import SetNotFoundError, UsageError
from ducho_core.exporting.session import Export
from ducho_core.extraction.interrupt import terminable
from ducho_core.fusion.request import FuseRequest
from ducho_core.fusion.session import Fusion
from ducho_core.store import Store
from ducho_core.store.layout import is_store

if TYPE_CHECKING:
    from ducho_core.exporting.request import ExportRequest
    from ducho_core.recipe import Recipe
    from ducho_core.registry import Registry


def carry_out_steps(
    recipe: Recipe,
    registry: Registry,
    store: str,
    *,
    dry_run: bool,
    allow_failures: bool,
    as_json: bool,
) -> int:
    """Do what plugins add, extract, fuse, export, in this order, and print what each did.

    All steps are checked before the first one begins. Where an extraction was interrupted or
    left chunks pending, nothing is fused or exported; new failures do not stop it, since the
    policy for missing rows of each fusion and export says what they mean.

    Returns:
        The exit code of the first step that did not do all, else 0.
    """
    for fusion in recipe.fusions:
        Fusion(fusion, registry, store, folder=recipe.folder)
    for export in recipe.exports:
        Export(export, registry, store, folder=recipe.folder)
    _check_sets(recipe, registry, store)
    results = _added(recipe, dry_run=dry_run, as_json=as_json)
    code = 0
    if recipe.extractions:
        code, reports = extract_all(
            recipe.extractions,
            registry,
            store,
            dry_run=dry_run,
            allow_failures=allow_failures,
            as_json=as_json,
        )
        results += [report.as_dict() for report in reports]
    if dry_run and not as_json:
        for fusion in recipe.fusions:
            emit(f"{fusion.name or 'a set'}: {' and '.join(fusion.sets)} fused by {fusion.how}")
        for export in recipe.exports:
            emit(f"{export.out}: {' and '.join(export.sets)} exported to {export.to}")
    elif not dry_run and code in (0, EXIT_FAILURES):
        code = _derive(
            recipe,
            registry,
            store,
            code,
            results,
            allow_failures=allow_failures,
            as_json=as_json,
        )
    if as_json:
        emit_json(results)
    return code


def _check_sets(recipe: Recipe, registry: Registry, store: str) -> None:
    """See that fusions and exports name sets that there are, or will be.

    What begins like a slug of something that the recipe makes, or like one of several sets of
    one name (``NAME-image``), is left alone: it is known once that is made.

    Raises:
        UsageError: nothing of the recipe or the store is called so.
    """
    made = [one.name for one in recipe.extractions if one.name]
    slugs = tuple(f"{one.plugin.partition('/')[0]}-" for one in recipe.extractions)
    slugs += tuple(f"{name}-" for name in made)
    steps: list[tuple[str, FuseRequest | ExportRequest]] = [
        *((f"fusion {at}", one) for at, one in enumerate(recipe.fusions, 1)),
        *((f"export {at}", one) for at, one in enumerate(recipe.exports, 1)),
    ]
    for where, step in steps:
        for given in step.sets:
            word = given.partition(":")[0]
            if word not in made and not word.startswith(slugs) and not _stored(store, given):
                near = difflib.get_close_matches(word, made, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise UsageError(
                    f"{where}: no set is called {word!r}, neither in the store {store} nor of"
                    f" those that the recipe makes before{hint}"
                )
        if isinstance(step, FuseRequest):
            made += [step.name] if step.name else []
            slugs += (f"{registry.fuser(step.how).canonical.partition('/')[0]}-",)


def _stored(store: str, name: str) -> bool:
    if not is_store(Path(store)):
        return False
    try:
        Store(store).locate(name)
    except SetNotFoundError:
        return False
    return True


def _added(recipe: Recipe, *, dry_run: bool, as_json: bool) -> list[dict[str, Any]]:
    """Carry out what distributions add to recipes; returns the records."""
    for step in recipe.steps:
        step.check()
    results = []
    for step in recipe.steps:
        if dry_run:
            if not as_json:
                emit(step.plan())
            continue
        report = step.run()
        results.append(dict(report.record))
        if not as_json:
            emit(report.text)
    return results


def _derive(
    recipe: Recipe,
    registry: Registry,
    store: str,
    code: int,
    results: list[dict[str, Any]],
    *,
    allow_failures: bool,
    as_json: bool,
) -> int:
    for fusion in recipe.fusions:
        ended, fused = fusing.carry_out(fusion, registry, store, recipe.folder)
        results.append(fused.as_dict())
        if not as_json:
            emit(fusing.summary(fused))
        if not (allow_failures and ended == EXIT_FAILURES):
            code = code or ended
        if fused.interrupted:
            return ended
    for export in recipe.exports:
        with terminable():
            written = Export(
                export, registry, store, observer=TerminalObserver(), folder=recipe.folder
            ).run()
        results.append(written.as_dict())
        if not as_json:
            emit(exporting.summary(written))
    return code
