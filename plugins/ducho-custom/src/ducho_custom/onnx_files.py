"""ONNX models as files: read into memory, with the files they refer to, before any is opened.

An ONNX model may keep its weights in other files and names them. Such a name is a path of a
stranger's choosing: it must lead to a regular file within the model's own folder.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ducho_core import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

_DRIVE = re.compile(r"[A-Za-z]:")
_INSTALL = "pip install 'ducho-custom[onnx]' (for a GPU: pip install onnx onnxruntime-gpu)"


@dataclass(slots=True)
class OnnxFile:
    """A model without its external data.

    Attributes:
        proto: the model, parsed.
        external: paths of its external files by the names under which it knows them.
    """

    proto: Any
    external: dict[str, str] = field(default_factory=dict)


def import_onnx() -> ModuleType:
    """Import onnx.

    Raises:
        UsageError: it is not installed.
    """
    return _imported("onnx")


def import_onnxruntime() -> ModuleType:
    """Import onnxruntime.

    Raises:
        UsageError: it is not installed.
    """
    return _imported("onnxruntime")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(f"ONNX models need {error.name}, which is missing: {_INSTALL}") from error


def read_onnx(path: str, content: bytes | None = None) -> OnnxFile:
    """Parse a model and find its external data, none of which is opened.

    Args:
        path: the model's file.
        content: what the file holds, where it has been read already.

    Raises:
        SourceError: the file is no ONNX model.
        UsageError: external data that does not lie inside the model's folder.
    """
    onnx = import_onnx()
    name = os.path.basename(path)
    if content is None:
        with open(path, "rb") as file:
            content = file.read()
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except Exception as error:
        raise SourceError(f"{name} is no ONNX model, or is cut off: {error}") from error
    if not proto.graph.node:
        raise SourceError(f"{name} is no ONNX model, or an empty one")
    found = OnnxFile(proto)
    for tensor in _tensors(proto, onnx.TensorProto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            location, place = _external_file(tensor, path)
            found.external[location] = place
    return found


def expose(proto: Any, layers: Sequence[str], path: str) -> tuple[str, ...]:
    """Make some tensors of a graph its only outputs, and leave out what they do not need.

    Args:
        proto: the model; changed in place.
        layers: names of tensors; ``output`` is the graph's own first output.
        path: the model's file, for messages.

    Returns:
        The tensors' names, in the order of ``layers``.

    Raises:
        UsageError: there is no such tensor.
    """
    onnx = import_onnx()
    graph = proto.graph
    own = {value.name: value for value in graph.output}
    made = [name for node in graph.node for name in node.output if name]
    typed = {value.name: value for value in graph.value_info} | own
    names = tuple(_tensor_name(layer, own, made, path) for layer in layers)
    del graph.output[:]
    for name in dict.fromkeys(names):
        graph.output.append(typed.get(name) or onnx.ValueInfoProto(name=name))
    _prune(graph, set(names))
    return names


def _prune(graph: Any, needed: set[str]) -> None:
    """Drop the nodes and weights that no needed tensor comes from: onnxruntime would run them."""
    kept = []
    for node in reversed(graph.node):  # a graph's nodes are in the order of their running
        if needed.isdisjoint(node.output):
            continue
        kept.append(node)
        needed.update(_taken(node))
    kept.reverse()
    unused = {tensor.name for tensor in graph.initializer} - needed
    weights = [tensor for tensor in graph.initializer if tensor.name not in unused]
    inputs = [value for value in graph.input if value.name not in unused]
    parts = ((graph.node, kept), (graph.initializer, weights), (graph.input, inputs))
    for part, left in parts:
        copies = [one.__class__.FromString(one.SerializeToString()) for one in left]
        del part[:]
        part.extend(copies)


def _taken(node: Any) -> Iterator[str]:
    """Names of the tensors that a node takes, its subgraphs included."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _taken(inner)
            yield from (value.name for value in graph.output)


def _tensor_name(layer: str, own: dict[str, Any], made: list[str], path: str) -> str:
    if layer in own or layer in made:
        return layer
    if layer == "output":
        return next(iter(own))
    near = difflib.get_close_matches(layer, made, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(
        f"{os.path.basename(path)} has no tensor {layer!r}; {hint}Its outputs are"
        f" {', '.join(own)}; the last tensors before them {', '.join(made[-6:])}"
    )


def _tensors(message: Any, kind: type) -> Iterator[Any]:
    """All tensors of a message, wherever they are: attributes and subgraphs have some too."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for one in value if hasattr(value, "__len__") else (value,):
            if isinstance(one, kind):
                yield one
            else:
                yield from _tensors(one, kind)


def _external_file(tensor: Any, path: str) -> tuple[str, str]:
    model = os.path.basename(path)
    locations = [entry.value for entry in tensor.external_data if entry.key == "location"]
    if len(locations) != 1 or not locations[0]:
        raise UsageError(f"{model}: tensor {tensor.name!r} does not say in which file it is")
    (location,) = locations
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
    parts = location.replace("\\", "/").split("/")
    absolute = location.startswith(("/", "\\")) or _DRIVE.match(location)
    file = os.path.realpath(os.path.join(folder, location))
    if absolute or ".." in parts or "\0" in location or not file.startswith(f"{folder}{os.sep}"):
        raise UsageError(
            f"{model}: the weights of {tensor.name!r} are said to be in {location!r}, outside the"
            " model's own folder, and are not opened; put the file beside the model and save the"
            " model anew"
        )
    if not os.path.isfile(file):
        raise UsageError(f"{model}: the file {location!r} with its weights is not beside it")
    return location, file
