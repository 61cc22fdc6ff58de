"""The plugin ``vectors``: what finds nearest neighbours. Imports nothing heavy."""

from __future__ import annotations

from ducho_core import ExporterSpec, hookimpl


@hookimpl
def ducho_exporters() -> list[ExporterSpec]:
    """Three libraries; each is installed by an extra of its own."""
    return [
        ExporterSpec(
            name="faiss",
            summary="faiss: an index for each set, searched by vector",
            implementation="ducho_vectors.exporters.faiss:FaissExporter",
            options="ducho_vectors.options:FaissOptions",
            requires="ducho-vectors[faiss]",
            separate=True,
        ),
        ExporterSpec(
            name="lancedb",
            summary="LanceDB: a table with the ids and a column of vectors for each set",
            implementation="ducho_vectors.exporters.lancedb:LanceDBExporter",
            options="ducho_vectors.options:LanceDBOptions",
            requires="ducho-vectors[lancedb]",
            separate=True,
        ),
        ExporterSpec(
            name="qdrant",
            summary="Qdrant's local mode: points with a named vector for each set",
            implementation="ducho_vectors.exporters.qdrant:QdrantExporter",
            options="ducho_vectors.options:QdrantOptions",
            requires="ducho-vectors[qdrant]",
            separate=True,
        ),
    ]
