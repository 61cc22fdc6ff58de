"""The outputs of graph nodes: one trace, all of them in one pass, nothing past the deepest."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from ducho_torch import ensure_torchvision
from torch import fx, nn

from ducho_core import UsageError

ensure_torchvision()

import torchvision  # noqa: E402 - needs the guard above
from torchvision.models.feature_extraction import NodePathTracer  # noqa: E402

Reduce = Callable[[str, torch.Tensor], torch.Tensor]


def node_names(model: nn.Module) -> list[str]:
    """Names of a model's graph nodes in order, as ``get_graph_node_names`` gives them (eval)."""
    return list(_trace(model)[1].values())


class NodeCapture:
    """Runs a model as far as the wanted graph nodes reach, and gives their outputs.

    Nodes are named as in torchvision's ``create_feature_extractor``: the name of a module that
    is no leaf stands for its last node. The model is traced once, here; computing the wanted
    nodes and what they depend on is all that remains of it. (``create_feature_extractor``
    keeps later blocks too where they hold assertions, as vision transformers do.)

    A node's output is what it was when the node was computed, even where a later one, such as
    an in-place ReLU, overwrites it.

    Args:
        model: the model, in evaluation mode.
        names: nodes wanted.
        reduce: applied to each output at once, with its name.
        classifier: name of the module whose input ``pooled`` is.
        pooled: the name that stands for the classifier's input, or None.

    Raises:
        UsageError: the model has no node of that name; with the nearest names.

    Attributes:
        nodes: wanted name to the graph node that gives it.
    """

    def __init__(
        self,
        model: nn.Module,
        names: Sequence[str],
        *,
        reduce: Reduce,
        classifier: str | None = None,
        pooled: str | None = None,
    ) -> None:
        graph, paths = _trace(model)
        wanted = {
            name: _input_of(graph, classifier)
            if classifier is not None and name == pooled
            else _find(name, paths)
            for name in names
        }
        self.nodes = {name: paths[node] for name, node in wanted.items()}
        self._module = _reduced(model, graph, wanted, reduce)

    def run(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        """One pass.

        Returns:
            Wanted name to reduced output, in the order wanted.

        Raises:
            UsageError: a wanted node gives no tensor.
        """
        found: dict[str, torch.Tensor] = self._module(values)
        return found


class _Reduced(nn.Module):
    """Takes a node's output to where nothing overwrites it."""

    def __init__(self, name: str, reduce: Reduce) -> None:
        super().__init__()
        self._name = name
        self._reduce = reduce

    def forward(self, output: Any) -> torch.Tensor:
        if not isinstance(output, torch.Tensor):
            raise UsageError(
                f"layer {self._name} gives {type(output).__name__}, no tensor; choose another"
            )
        kept = self._reduce(self._name, output)
        shared = kept.untyped_storage().data_ptr() == output.untyped_storage().data_ptr()
        return kept.clone() if shared else kept


def _trace(model: nn.Module) -> tuple[fx.Graph, dict[fx.Node, str]]:
    """The graph as torchvision's own feature extraction traces it, and its nodes' names."""
    operations = [
        kind
        for _, kind in inspect.getmembers(torchvision.ops, inspect.isclass)
        if issubclass(kind, nn.Module)
    ]
    tracer = NodePathTracer(autowrap_modules=(math, torchvision.ops), leaf_modules=operations)
    graph = tracer.trace(model)
    return graph, dict(tracer.node_to_qualname)


def _find(name: str, paths: dict[fx.Node, str]) -> fx.Node:
    parts = name.split(".")
    for node, path in reversed(paths.items()):
        if path.split(".")[: len(parts)] == parts:
            return node
    known = list(dict.fromkeys(paths.values()))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    top = dict.fromkeys(path.partition(".")[0] for path in known)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(
        f"the model has no graph node {name!r}; {hint}At the top it has: {', '.join(top)}"
    )


def _input_of(graph: fx.Graph, classifier: str) -> fx.Node:
    for node in graph.nodes:
        if node.op == "call_module" and node.target == classifier:
            source = node.args[0]
            if isinstance(source, fx.Node):
                return source
    raise UsageError(f"the model's classifier {classifier} takes no part in its forward pass")


def _reduced(
    model: nn.Module, graph: fx.Graph, wanted: dict[str, fx.Node], reduce: Reduce
) -> fx.GraphModule:
    module = fx.GraphModule(model, graph)
    # A GraphModule owns a copy of its graph, node for node.
    copies = dict(zip(graph.nodes, module.graph.nodes, strict=True))
    outputs: dict[str, fx.Node] = {}
    for index, (name, node) in enumerate(wanted.items()):
        target = f"_wanted_{index}"
        module.add_submodule(target, _Reduced(name, reduce))
        with module.graph.inserting_after(copies[node]):
            outputs[name] = module.graph.call_module(target, (copies[node],))
    final = set(outputs.values())
    for node in reversed(list(module.graph.nodes)):
        if node in final:
            break
        module.graph.erase_node(node)
    module.graph.output(outputs)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    return module
