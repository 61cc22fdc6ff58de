"""Lets timm and transformers be imported beside a torch build without CUDA."""

from __future__ import annotations

import importlib
import sys
import threading

import torch

_SCHEMAS = ("nms", "qnms")
_lock = threading.Lock()
_libraries: list[torch.library.Library] = []  # a Library takes its schemas along when it dies


def ensure_torchvision() -> None:
    """Make ``import torchvision`` work; call it before timm or transformers is imported.

    The torchvision wheels on the package index are CUDA builds, whose compiled part cannot
    load beside a CPU-only torch; the import then stops at an operator that nobody declared.
    Declaring it is enough for transforms and models; ``torchvision.ops.nms`` and its relatives
    have no kernel then and raise when called. Where torchvision loads as it is, or is not
    installed, nothing happens. Safe to call again and from several threads.

    Raises:
        ImportError: torchvision is installed and cannot be imported for another reason.
        RuntimeError: the same.
    """
    with _lock:
        try:
            importlib.import_module("torchvision")
        except ModuleNotFoundError as error:
            if error.name != "torchvision":
                raise
        except RuntimeError as error:
            if "torchvision::" not in str(error) or _libraries:
                raise
            _declare_schemas()
            for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            importlib.import_module("torchvision")


def _declare_schemas() -> None:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in _SCHEMAS:
        schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    _libraries.append(library)
