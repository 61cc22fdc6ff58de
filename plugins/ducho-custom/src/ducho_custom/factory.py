"""The user's own function that makes a network: found without running anything, then run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from ducho_core import UsageError, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_EXAMPLE = "factory=MODULE:FUNCTION or factory=FILE.py:FUNCTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    """A function and the file that it is in. Picklable.

    Attributes:
        module: name of its module.
        function: its name there, dotted where it is inside a class.
        path: the module's file.
        folder: to be on Python's path while the module is imported, or None.
        digest: sha256 of the file.
    """

    module: str
    function: str
    path: str
    folder: str | None
    digest: str

    @property
    def name(self) -> str:
        """``MODULE:FUNCTION``, without any path."""
        return f"{self.module}:{self.function}"

    def identity(self) -> dict[str, str]:
        """What of it enters the SPEC."""
        return {"module": self.module, "function": self.function, "sha256": self.digest}

    def make(self, arguments: Mapping[str, Any]) -> nn.Module:
        """Import the module and call the function: this runs the user's code.

        Raises:
            UsageError: the file changed, the code fails, or gives no network.
        """
        if file_digest(self.path) != self.digest:
            raise UsageError(
                f"factory={self.name}: {os.path.basename(self.path)} changed while the run began;"
                " run it again"
            )
        try:
            with _on_path(self.folder):
                function: Any = self._import()
                for part in self.function.split("."):
                    function = getattr(function, part)
                made = function(**arguments)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"factory={self.name} failed with {type(error).__name__}: {error}"
                " (ducho --debug shows where)"
            ) from error
        if not isinstance(made, nn.Module):
            raise UsageError(
                f"factory={self.name} gave {type(made).__name__}, not a torch.nn.Module"
            )
        return made

    def _import(self) -> ModuleType:
        if self.folder is None:
            return importlib.import_module(self.module)
        # A name of its own: a file may be called like an installed module.
        name = f"_ducho_custom_factory_{self.module}_{self.digest[:12]}"
        spec = importlib.util.spec_from_file_location(name, self.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module


def find_factory(text: str) -> Factory:
    """Find the file of a factory; nothing of it is imported.

    A module is looked for as Python does, then as a file in the current folder.

    Raises:
        UsageError: it is not written rightly, or not found.
    """
    place, colon, function = text.rpartition(":")
    if not colon or not place or not all(part.isidentifier() for part in function.split(".")):
        raise UsageError(f"factory={text}: a factory is written {_EXAMPLE}")
    if place.endswith(".py") or os.sep in place:
        return _of_file(place, function)
    if not all(part.isidentifier() for part in place.split(".")):
        raise UsageError(f"factory={text}: {place!r} is no module name; write {_EXAMPLE}")
    path = _module_file(place)
    if path is not None:
        return Factory(
            module=place, function=function, path=path, folder=None, digest=file_digest(path)
        )
    beside = f"{place.replace('.', os.sep)}.py"
    if os.path.isfile(beside) and "." not in place:
        return _of_file(beside, function)
    raise UsageError(
        f"factory={text}: there is no module {place!r}; install it, put its folder on PYTHONPATH,"
        " or name its file: factory=FILE.py:FUNCTION"
    )


def _of_file(place: str, function: str) -> Factory:
    path = os.path.abspath(os.path.expanduser(place))
    if not path.endswith(".py") or not os.path.isfile(path):
        raise UsageError(f"factory={place}:{function}: there is no Python file {place}")
    return Factory(
        module=os.path.basename(path).removesuffix(".py"),
        function=function,
        path=path,
        folder=os.path.dirname(path),
        digest=file_digest(path),
    )


def _module_file(name: str) -> str | None:
    """The file of a module; parent packages are searched and not imported."""
    search: list[str] | None = None
    origin: str | None = None
    for count in range(1, name.count(".") + 2):
        spec = _find_spec(".".join(name.split(".")[:count]), search)
        if spec is None:
            return None
        origin = spec.origin
        search = list(spec.submodule_search_locations or [])
    return origin if origin is not None and os.path.isfile(origin) else None


def _find_spec(name: str, search: list[str] | None) -> ModuleSpec | None:
    """As ``importlib.util.find_spec``, which would import the parents."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, search)
        if spec is not None:
            return spec
    return None


@contextmanager
def _on_path(folder: str | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
