"""Programs: TorchScript, torch.export and ONNX."""

from __future__ import annotations

import json
import zipfile
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ducho_timm import resolve_preprocessing
from ducho_torch import LayerPooling, is_direct, resolve_device

from ducho_core import Extractor, OptionError, Resolved, UsageError
from ducho_custom.forms import Form, images_only, unsaid_preprocessing
from ducho_custom.networks import image_pooling
from ducho_custom.onnx_files import read_onnx
from ducho_custom.onnx_program import OnnxProgram, providers
from ducho_custom.programs import Program, ProgramNetwork, columns
from ducho_custom.torch_programs import ExportedProgram, ScriptProgram
from ducho_custom.trust import check_pin, read_pinned

if TYPE_CHECKING:
    import torch

    from ducho_core import ResolveContext
    from ducho_custom.options import CustomOptions, CustomRunOptions

_OWN = "the program's own"


class ProgramForm(Form):
    """A program over images. What it computes in is its own; TF32 is off."""

    takes_weights: ClassVar[bool] = False

    @abstractmethod
    def program(self, layers: tuple[str, ...], device: str) -> Program:
        """Load it for some layers."""

    def described(self) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
        """What it says of itself without being loaded.

        Returns:
            (width, height) of the images that it takes, or None; and the files beside its own
            that belong to it.
        """
        return None, ()

    def torch_device(self, device: str) -> torch.device:
        """Where images are given to it."""
        return resolve_device(device)

    def remarks(self) -> tuple[str, ...]:
        """What the user should be told before it is loaded."""
        return (f"{self.file} is a pinned program: it may do whatever its author put in",)

    def resolve(self, options: CustomOptions, context: ResolveContext) -> Resolved:
        """Settle preprocessing by the size that the program takes; hash its files."""
        images_only(context, self.file)
        self.torch_device(context.run_options.device)
        size, more = self.described()
        preprocessing = resolve_preprocessing(options, _config(options, size))
        found = (preprocessing.width, preprocessing.height)
        if size is not None and found != size:
            raise OptionError(
                f"{self.file} takes images of {size[0]} x {size[1]} pixels, not {found[0]} x"
                f" {found[1]}; leave the size to it"
            )
        image_pooling(options)
        identity = self.identity(*more)
        identity["preprocessing"] = preprocessing.identity()
        return self.settle(
            options,
            label=self.file.rpartition(".")[0],
            identity=identity,
            precision={
                "compute_dtype": _OWN,
                "tf32": False,
                "scaled_decode": context.precision == "fast",
            },
            state=preprocessing,
            outputs=tuple(columns(self.layers(options)).values()),
            remarks=self.remarks() + unsaid_preprocessing(options, preprocessing),
        )

    def load(self, resolved: Resolved, state: Any, run_options: CustomRunOptions) -> Extractor:
        """Load the program and make a first pass."""
        if resolved.precision.get("compute_dtype") != _OWN:
            raise UsageError(
                f"precision values {dict(resolved.precision)} cannot be honoured: a program"
                " computes in the dtype that it was saved with"
            )
        options = resolved.options
        layers = self.layers(options)
        return ProgramNetwork(
            self.program(layers, run_options.device),
            preprocessing=state,
            device=self.torch_device(run_options.device),
            names=columns(layers),
            pool=LayerPooling(
                image_pooling(options),
                height=state.height,
                width=state.width,
                prefix_tokens=options.prefix_tokens or 0,
            ),
            scaled_decode=bool(resolved.precision["scaled_decode"]),
        )


class ScriptForm(ProgramForm):
    """A pinned TorchScript program."""

    name: ClassVar[str] = "torchscript"

    def program(self, layers: tuple[str, ...], device: str) -> Program:
        """Read the file once, compare it with the pin, load those bytes."""
        assert self.pin is not None
        content = read_pinned(self.path, self.pin)
        return ScriptProgram(self.path, content, resolve_device(device), layers)


class ExportedForm(ProgramForm):
    """A pinned program of torch.export."""

    name: ClassVar[str] = "exported"

    def program(self, layers: tuple[str, ...], device: str) -> Program:
        """Read the file once, compare it with the pin, load those bytes."""
        assert self.pin is not None
        content = read_pinned(self.path, self.pin)
        return ExportedProgram(self.path, content, resolve_device(device), layers)

    def described(self) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
        """Read from the description of the graph, which is JSON."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                (name,) = (one for one in archive.namelist() if one.endswith("models/model.json"))
                described = json.loads(archive.read(name))["graph_module"]
            (taken,) = (
                one["user_input"]["arg"]["as_tensor"]["name"]
                for one in described["signature"]["input_specs"]
                if "user_input" in one
            )
            sizes = described["graph"]["tensor_values"][taken]["sizes"]
            return (int(sizes[3]["as_int"]), int(sizes[2]["as_int"])), ()
        except (ValueError, KeyError, IndexError, TypeError, zipfile.BadZipFile):
            return None, ()


class OnnxForm(ProgramForm):
    """An ONNX model; it needs no pin, since nothing in it runs but onnxruntime's operators."""

    name: ClassVar[str] = "onnx"

    def program(self, layers: tuple[str, ...], device: str) -> Program:
        """Read it into memory, compared with the pin where there is one."""
        content = None if self.pin is None else read_pinned(self.path, self.pin)
        return OnnxProgram(self.path, device, layers, content)

    def torch_device(self, device: str) -> torch.device:
        """Images are given from the CPU; that onnxruntime has the device is checked."""
        providers(device)
        return resolve_device("cpu")

    def remarks(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def described(self) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
        """Read from the graph's inputs, and where its weights are said to be."""
        check_pin(self.path, self.pin)
        model = read_onnx(self.path)
        graph = model.proto.graph
        weights = {tensor.name for tensor in graph.initializer}
        taken = [value for value in graph.input if value.name not in weights]
        more = tuple(sorted(set(model.external.values())))
        sides = [one.dim_value for value in taken for one in value.type.tensor_type.shape.dim]
        if len(sides) != 4:
            return None, more
        last = sides[3] == 3 and sides[1] != 3
        height, width = (sides[1], sides[2]) if last else (sides[2], sides[3])
        return ((width, height) if height > 0 and width > 0 else None), more


FORMS: dict[str, type[ScriptForm | ExportedForm | OnnxForm]] = {
    "torchscript": ScriptForm,
    "exported": ExportedForm,
    "onnx": OnnxForm,
}
"""By what ``container`` says of the file."""


def _config(options: CustomOptions, size: tuple[int, int] | None) -> dict[str, Any]:
    """The program's own size, in timm's words, where the user resizes straight too."""
    if size is None:
        return {}
    if is_direct(options) and not options.resize and size != (224, 224):
        raise OptionError(
            f"preprocessing={options.preprocessing} resizes to 224 x 224 without resize, and the"
            f" program takes {size[0]} x {size[1]}: give resize={size[0]},{size[1]} too"
        )
    return {"input_size": (3, size[1], size[0])}
