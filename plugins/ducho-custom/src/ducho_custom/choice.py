"""Which form a model has, told from the options and the file."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from ducho_torch import PickleRefusedError, load_weights

from ducho_core import UsageError
from ducho_custom.options import CustomRunOptions
from ducho_custom.settings import with_file
from ducho_custom.trust import container, refusal, require_pin

if TYPE_CHECKING:
    from ducho_core import ResolveContext, Resolved
    from ducho_custom.forms import Form
    from ducho_custom.options import CustomOptions

LIBRARIES = ("timm", "torchvision", "transformers")

# Forms are imported where they are chosen: each brings a library that takes seconds to load.


def settle(options: CustomOptions, context: ResolveContext) -> Resolved:
    """Settle the form, find and hash the files, refuse what may not be loaded.

    Raises:
        UsageError: the options name no model that can be loaded.
        OptionError: options that do not fit together.
    """
    settled = with_file(options)
    run_options = context.run_options
    pin = run_options.sha256 if isinstance(run_options, CustomRunOptions) else None
    return choose(settled, pin).resolve(settled, context)


def choose(options: CustomOptions, pin: str | None) -> Form:
    """Settle the form; what could run code is refused here where it is not pinned.

    Raises:
        UsageError: no model, none of that name, one that needs an architecture, or one that is
            refused.
    """
    path = _path(options)
    if options.architecture is not None and options.factory is not None:
        raise UsageError("architecture and factory both say what network it is: keep one of them")
    if options.architecture is not None:
        return _of_library(path, *_architecture(options.architecture), pin)
    if options.factory is not None:
        from ducho_custom.module_form import FactoryForm

        return FactoryForm(path, options.factory, pin)
    if os.path.isdir(path):
        return _of_library(path, "transformers", path, pin)
    kind = container(path)
    if kind in ("onnx", "torchscript", "exported"):
        if kind != "onnx":
            require_pin(path, kind, pin)
        from ducho_custom.program_form import FORMS

        return FORMS[kind](path, pin)
    if kind == "checkpoint":
        if pin is not None:
            require_pin(path, kind, pin)
            from ducho_custom.module_form import PickledForm

            return PickledForm(path, pin)
        try:
            load_weights(path)
        except PickleRefusedError as error:
            raise refusal(path, kind) from error
    raise UsageError(
        f"{os.path.basename(path)} holds weights only: say what network they are for, with"
        " -o architecture=timm:NAME, torchvision:NAME or transformers:FOLDER, or with"
        " -o factory=MODULE:FUNCTION for a network of your own"
    )


def _of_library(path: str, library: str, name: str, pin: str | None) -> Form:
    if library == "transformers":
        from ducho_custom.transformers_form import TransformersForm

        return TransformersForm(path, name, pin)
    from ducho_custom.library_form import TimmForm, TorchvisionForm

    return (TimmForm if library == "timm" else TorchvisionForm)(path, name, pin)


def _path(options: CustomOptions) -> str:
    if not options.model:
        raise UsageError(
            "custom/model needs a model: --model FILE, with weights or a program, or --model"
            " FOLDER that Transformers saved"
        )
    path = os.path.abspath(os.path.expanduser(options.model))
    if os.path.exists(path):
        return path
    folder, base = os.path.split(path)
    try:
        near = difflib.get_close_matches(base, os.listdir(folder), n=1)
    except OSError:
        near = []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"--model {options.model}: there is no such file or folder{hint} (models of a hub belong"
        " to the plugins timm and hf)"
    )


def _architecture(text: str) -> tuple[str, str]:
    library, colon, name = text.partition(":")
    if not colon or not name or library not in LIBRARIES:
        near = difflib.get_close_matches(library, LIBRARIES, n=1)
        hint = f"; did you mean {near[0]}:?" if near and near[0] != library else ""
        raise UsageError(
            f"architecture={text}: write timm:NAME, torchvision:NAME or transformers:FOLDER{hint}"
        )
    return library, name
