"""Networks of torch modules: those of the user's own code, and pickled ones."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from ducho_hf import ModelOptions, load_tokenizer, locate, text_limit
from ducho_timm import resolve_preprocessing
from ducho_torch import Precision, prepare_model, resolve_device, resolve_precision

from ducho_core import Extractor, Resolved, UsageError
from ducho_custom.factory import find_factory
from ducho_custom.filling import Gaps, fill
from ducho_custom.forms import Form, modality, native_dtype, unsaid_preprocessing
from ducho_custom.networks import ModuleNetwork, TextNetwork
from ducho_custom.reading import Weights, load_pinned, network_in
from ducho_custom.trust import read_pinned

if TYPE_CHECKING:
    from torch import nn

    from ducho_core import ResolveContext
    from ducho_custom.options import CustomOptions, CustomRunOptions


class ModuleForm(Form):
    """A form that ends in a torch module over images or texts."""

    @abstractmethod
    def build(self, options: CustomOptions, weights: Weights | None) -> tuple[nn.Module, Gaps]:
        """Build the network on the CPU and fill it."""

    def details(self) -> dict[str, Any]:
        """What else says which network it is, for the SPEC."""
        return {}

    def label(self) -> str:
        """Short name for the slug."""
        return self.file.rpartition(".")[0]

    def remarks(self) -> tuple[str, ...]:
        """What the user should be told before the model is loaded."""
        return ()

    def recorded(self) -> dict[str, Any]:
        """Options as the SPEC has them, without paths."""
        return {}

    def resolve(self, options: CustomOptions, context: ResolveContext) -> Resolved:
        """Settle preprocessing or tokenizer, and precision; hash the files."""
        weights = self.weights(options) if self.takes_weights else None
        images = modality(context) == "image"
        native = None
        if context.precision == "native":
            native = native_dtype(weights or Weights(files=(self.path,)))
        device = resolve_device(context.run_options.device)
        precision = resolve_precision(context.precision, device, native, images=images)
        identity = self.identity() | self.details()
        recorded, remarks = self.recorded(), self.remarks()
        if images:
            preparation: Any = resolve_preprocessing(options, {})
            identity["preprocessing"] = preparation.identity()
            remarks += unsaid_preprocessing(options, preparation)
        else:
            preparation = text_source(options)
            source, limit = preparation
            identity |= {"tokenizer_sha256": source.tokenizer_digest(), "max_length": limit}
            recorded["tokenizer"] = source.name
        return self.settle(
            options,
            label=self.label(),
            identity=identity,
            precision=precision.values(),
            state=(weights, images, preparation),
            remarks=remarks,
            **recorded,
        )

    def load(self, resolved: Resolved, state: Any, run_options: CustomRunOptions) -> Extractor:
        """Build the network, prepare it, make a first pass."""
        weights, images, preparation = state
        options = resolved.options
        names = self.layers(options)
        precision = Precision.from_values(resolved.precision)
        device = resolve_device(run_options.device)
        model, gaps = self.build(options, weights)
        example = (3, preparation.height, preparation.width) if images else None
        signature = inspect.signature(model.forward)
        model = prepare_model(model, precision, device, example=example, keep=names)
        if images:
            return ModuleNetwork(
                model,
                preprocessing=preparation,
                precision=precision,
                device=device,
                names=names,
                options=options,
                gaps=gaps,
            )
        return TextNetwork(
            model,
            load_tokenizer(*preparation),
            signature=signature,
            precision=precision,
            device=device,
            names=names,
            pooling=options.pooling,
            pooler=False,
            gaps=gaps,
        )


class FactoryForm(ModuleForm):
    """Weights for a network that the user's own code makes.

    Args:
        path: the weight file.
        factory: MODULE:FUNCTION or FILE.py:FUNCTION.
        pin: sha256 that the weight file must have, or None.
    """

    name: ClassVar[str] = "factory"

    def __init__(self, path: str, factory: str, pin: str | None) -> None:
        super().__init__(path, pin)
        self.factory = find_factory(factory)

    def build(self, options: CustomOptions, weights: Weights | None) -> tuple[nn.Module, Gaps]:
        """Read the weights, run the user's code, fill what it made."""
        assert weights is not None
        state = weights.read()
        model = self.factory.make(options.arguments)
        return model, fill(model, state, source=self.file)

    def details(self) -> dict[str, Any]:
        """The module, the function, and the digest of the module's file."""
        return {"factory": self.factory.identity()}

    def remarks(self) -> tuple[str, ...]:
        """That the user's code runs."""
        remark = (
            f"factory: runs your code, {self.factory.function} of {self.factory.module}"
            f" (its file has the sha256 {self.factory.digest[:12]}...; what it imports is not"
            " recorded)"
        )
        return (remark,)

    def recorded(self) -> dict[str, Any]:
        """The factory without the folder that it is in."""
        return {"factory": self.factory.name}


class PickledForm(ModuleForm):
    """A whole network in a pickle that the user has pinned.

    Args:
        path: the file.
        pin: its sha256.
    """

    name: ClassVar[str] = "module"
    takes_weights: ClassVar[bool] = False

    def build(self, options: CustomOptions, weights: Weights | None) -> tuple[nn.Module, Gaps]:  # noqa: ARG002
        """Read the file once, compare it with the pin, load those bytes."""
        assert self.pin is not None
        loaded = load_pinned(self.path, read_pinned(self.path, self.pin))
        network = network_in(loaded)
        if network is None:
            raise UsageError(
                f"{self.file} holds {type(loaded).__name__}, no network: say what network its"
                " weights are for, with -o architecture=... or -o factory=..."
            )
        return network, Gaps(source=self.file)

    def remarks(self) -> tuple[str, ...]:
        """That the file runs code."""
        return (f"{self.file} is a pinned pickle: loading it runs whatever its author put in",)


def text_source(options: CustomOptions) -> tuple[Any, int | None]:
    """Where the tokenizer lies, and the longest text in tokens.

    Raises:
        UsageError: there is none.
    """
    if options.tokenizer is None:
        raise UsageError(
            "texts need a tokenizer: -o tokenizer=FOLDER, with a tokenizer that Transformers saved"
        )
    source = locate(ModelOptions(model=options.tokenizer), suggestions=())
    return source, text_limit(options.max_length, "max_length", SimpleNamespace(), source)
