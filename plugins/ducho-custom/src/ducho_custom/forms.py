"""What every form of a model has: the steps that they share in resolving."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from ducho_torch import PickleRefusedError, checkpoint_dtype, wanted_layers, weights_digest

from ducho_core import Extractor, OptionError, Output, Resolved, UsageError
from ducho_custom.options import OUTPUT
from ducho_custom.reading import Weights
from ducho_custom.trust import check_pin, refuse_early

if TYPE_CHECKING:
    from ducho_torch import Preprocessing

    from ducho_core import ResolveContext
    from ducho_custom.options import CustomOptions, CustomRunOptions


class Form(ABC):
    """A form in which a model may come. Picklable.

    Args:
        path: the model's file or folder.
        pin: sha256 that the file must have, or None.
    """

    name: ClassVar[str]
    """What the SPEC calls it."""

    default: ClassVar[str] = OUTPUT
    """The layer that is meant where the user names none."""

    takes_weights: ClassVar[bool] = True
    """Whether ``prefix``, ``ignore`` and ``arguments`` mean anything."""

    def __init__(self, path: str, pin: str | None) -> None:
        self.path = path
        self.pin = pin

    @abstractmethod
    def resolve(self, options: CustomOptions, context: ResolveContext) -> Resolved:
        """As ``Extractor.resolve``; ``state`` is this form and what ``load`` takes."""

    @abstractmethod
    def load(self, resolved: Resolved, state: Any, run_options: CustomRunOptions) -> Extractor:
        """As ``Extractor.load``.

        Args:
            resolved: what ``resolve`` gave.
            state: the second half of its ``state``.
            run_options: the device.
        """

    @property
    def file(self) -> str:
        """The base name of the model's file."""
        return os.path.basename(self.path)

    def layers(self, options: CustomOptions) -> tuple[str, ...]:
        """The layers wanted.

        Raises:
            OptionError: one is named twice.
        """
        return wanted_layers(options.layers, self.default)

    def weights(self, options: CustomOptions) -> Weights:
        """The weight file, and what of it is wanted.

        Raises:
            UsageError: it is a folder, not what was pinned, or refused.
        """
        if os.path.isdir(self.path):
            raise UsageError(
                f"--model {self.file} is a folder; name the file that holds the weights"
            )
        check_pin(self.path, self.pin)
        refuse_early(self.path, self.pin)
        return Weights(
            files=(self.path,), pin=self.pin, prefix=options.prefix, ignore=options.ignore
        )

    def identity(self, *more: str) -> dict[str, Any]:
        """Form, file and digest, for the SPEC; ``more`` are files that belong to it."""
        digest = weights_digest([self.path, *more])
        return {"form": self.name, "weights": {"file": self.file, "sha256": digest}}

    def settle(
        self,
        options: CustomOptions,
        *,
        label: str,
        identity: dict[str, Any],
        precision: dict[str, Any],
        state: Any,
        outputs: tuple[str, ...] | None = None,
        remarks: tuple[str, ...] = (),
        **recorded: Any,
    ) -> Resolved:
        """Put together what ``resolve`` gives, with no path in it but in its state.

        Args:
            options: as the user gave them.
            label: for the slug.
            identity: for the SPEC.
            precision: for the SPEC.
            state: for ``load``.
            outputs: names of the outputs, where they are not those of the layers.
            remarks: what the user should be told.
            recorded: options as the SPEC has them.

        Raises:
            OptionError: options that mean nothing for this form.
        """
        self._check(options)
        names = self.layers(options) if outputs is None else outputs
        plain = msgspec.structs.replace(options, model=self.file, **recorded)
        return Resolved(
            label=label,
            identity=identity,
            precision=precision,
            outputs=tuple(Output(name=name) for name in names),
            options=plain,
            state=(self, state),
            remarks=remarks,
        )

    def _check(self, options: CustomOptions) -> None:
        given = {
            "prefix": options.prefix,
            "ignore": options.ignore,
            "arguments": options.arguments,
        }
        for name, value in given.items():
            if value and not self.takes_weights:
                raise OptionError(
                    f"{name} has no meaning for {self.file}: it is for weights that an"
                    " architecture or a factory is filled with"
                )


def modality(context: ResolveContext) -> str:
    """The one modality that is bound.

    Raises:
        UsageError: two inputs are bound.
    """
    bound = [field.modality for field in context.inputs]
    if len(bound) > 1:
        raise UsageError(
            f"custom/model takes one input, and {' and '.join(bound)} are bound: give one flag,"
            " --image or --text"
        )
    return bound[0] if bound else "image"


def images_only(context: ResolveContext, what: str) -> None:
    """See that images are bound.

    Raises:
        UsageError: texts are.
    """
    if modality(context) != "image":
        raise UsageError(f"{what} takes images; bind them with --image COLUMN or TEMPLATE")


def unsaid_preprocessing(options: CustomOptions, preprocessing: Preprocessing) -> tuple[str, ...]:
    """A remark where nobody said how images are to be prepared."""
    chosen = (options.resize, options.mean, options.std, options.crop_pct, options.input_size)
    if options.preprocessing != "model" or any(chosen):
        return ()
    remark = (
        f"preprocessing: none was given; images are resized and cropped to {preprocessing.width} x"
        f" {preprocessing.height}, and normalised as ImageNet's are (preprocessing.toml beside the"
        " model, or options, say otherwise)"
    )
    return (remark,)


def native_dtype(weights: Weights) -> str:
    """The dtype of most of the weights, for ``--precision native``.

    Raises:
        UsageError: only loading a pickle would tell.
    """
    try:
        return checkpoint_dtype(weights.files)
    except PickleRefusedError as error:
        raise UsageError(
            "--precision native: the dtype of a pickle is not known before it is loaded; choose"
            " exact or fast, or convert it with ducho custom convert"
        ) from error
