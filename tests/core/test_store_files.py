"""What lies in a set's files: schema, settings, digests, and that any reader gets it right."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ducho_core.errors import StoreError
from ducho_core.store import Store
from ducho_core.store.digest import content_sha256
from ducho_core.store.schema import embedding_array, embedding_values, to_stored
from ducho_core.store.spec import fingerprint, without_revision
from tests.core.store_samples import CAPTION, RUN, digests, fill, make_spec, rows_of, vectors

SCORE = {"name": "score", "kind": "scalar", "dim": None, "dtype": "float64", "requires": []}
HOSTILE = [
    "",
    "../../x",
    "/etc/passwd",
    "a\0b",
    "line\nbreak",
    "x" * 100_000,
    "caf\u00e9",
    "cafe\u0301",
    "😀",
    "=cmd()",
    "007",
    "7",
    "CON",
    "con",
]


def test_columns_are_what_any_reader_expects(tmp_path):
    writer = fill(tmp_path / "s", outputs=[*make_spec()["outputs"], CAPTION])
    schema = pq.read_schema(writer.chunk_path(0, 0))
    element = pa.field("element", pa.float32(), nullable=False)
    assert schema.remove_metadata() == pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(element, 8), nullable=False),
            pa.field("caption", pa.string(), nullable=True),
            pa.field("input_sha256", pa.binary(32), nullable=False),
        ]
    )


def test_embeddings_are_plain(tmp_path):
    writer = fill(tmp_path / "s", outputs=[*make_spec()["outputs"], CAPTION])
    group = pq.read_metadata(writer.chunk_path(0, 0)).row_group(0)
    columns = {group.column(at).path_in_schema: group.column(at) for at in range(4)}
    embedding = columns["embedding.list.element"]
    assert embedding.compression == "UNCOMPRESSED"
    assert set(embedding.encodings) <= {"PLAIN", "RLE"}
    assert embedding.statistics is None
    assert not embedding.has_dictionary_page
    assert columns["item_id"].statistics.min == "item-000-0000"


@pytest.mark.parametrize(("dim", "rows"), [(8, 8192), (768, 5429), (4096, 1024), (32, 8192)])
def test_row_groups_hold_some_thousand_rows(tmp_path, dim, rows):
    writer = Store(tmp_path / "s", create=True).create_set(make_spec(dim=dim))
    keys = [str(row) for row in range(9000 if dim < 1000 else 2100)]
    table = pa.table(
        {
            "item_id": keys,
            "embedding": embedding_array(np.zeros((len(keys), dim), np.float32)),
            "input_sha256": digests(keys),
        }
    )
    writer.commit_chunk(0, 0, table, None, RUN)
    metadata = pq.read_metadata(writer.chunk_path(0, 0))
    assert 1024 <= metadata.row_group(0).num_rows <= 8192
    assert metadata.row_group(0).num_rows == pytest.approx(rows, rel=0.02)


def test_a_lone_file_explains_itself(tmp_path):
    writer = fill(tmp_path / "s", revision=3)
    footer = {
        name.decode(): value
        for name, value in pq.read_metadata(writer.chunk_path(0, 2)).metadata.items()
    }
    spec = json.loads(footer["ducho.spec"])
    assert spec == without_revision(writer.spec)
    assert "revision" not in spec["catalogue"]
    assert footer["ducho.spec_sha256"].decode().strip('"') == fingerprint(spec)
    values = {name: json.loads(footer[f"ducho.{name}"]) for name in ("plan", "chunk", "rows")}
    assert values == {"plan": 0, "chunk": 2, "rows": 19}
    digest = json.loads(footer["ducho.content_sha256"])
    assert digest == content_sha256(pq.read_table(writer.chunk_path(0, 2)))


def by_hand(table: pa.Table) -> str:
    """The content digest, written down from its definition, value by value."""
    whole = hashlib.sha256()
    words = {"item_id": "string", "embedding": "float32[3]", "caption": "string"}
    words |= {"score": "float64", "good": "bool", "input_sha256": "bytes[32]"}
    codes = {"score": "<d", "good": "<?"}
    for name in table.column_names:
        values = table[name].to_pylist()
        whole.update(f"{name}\0{words[name]}\0".encode() + struct.pack("<q", len(values)))
        whole.update(bytes(value is not None for value in values))
        if words[name] == "string":
            encoded = [(value or "").encode() for value in values]
            whole.update(b"".join(struct.pack("<i", len(one)) for one in encoded))
            whole.update(b"".join(encoded))
        for value in values:
            if name == "embedding":
                whole.update(struct.pack("<3f", *value))
            elif name == "input_sha256":
                whole.update(value)
            elif name in codes:
                whole.update(struct.pack(codes[name], 0 if value is None else value))
    return whole.hexdigest()


def sample() -> pa.Table:
    keys = ["a", "", "é\0", "dd"]
    return pa.table(
        {
            "item_id": keys,
            "embedding": embedding_array(vectors(keys, 3)),
            "caption": pa.array(["x", None, "", "yy"], pa.string()),
            "score": pa.array([1.5, None, -0.0, 2.0], pa.float64()),
            "good": pa.array([True, None, False, True], pa.bool_()),
            "input_sha256": digests(keys),
        }
    )


def test_the_content_digest_follows_its_definition():
    assert content_sha256(sample()) == by_hand(sample())
    assert content_sha256(sample().slice(0, 0)) == by_hand(sample().slice(0, 0))


def test_the_content_digest_forgets_how_the_table_was_cut():
    table = sample()
    pieces = pa.concat_tables([table.slice(0, 1), table.slice(1, 0), table.slice(1, 3)])
    padded = pa.concat_tables([table.slice(3), table]).combine_chunks().slice(1)
    assert content_sha256(pieces) == content_sha256(table) == content_sha256(padded)


def test_the_content_digest_tells_apart_what_differs():
    table = sample()
    others = [
        table.slice(0, 3),
        table.take([1, 0, 2, 3]),
        table.set_column(0, "item_id", pa.array(["", "a", "é\0", "dd"])),
        table.set_column(0, "item_id", pa.array(["ad", "", "é\0", "d"])),
        table.set_column(2, "caption", pa.array(["x", "", None, "yy"], pa.string())),
        table.set_column(3, "score", pa.array([1.5, None, 0.0, 2.0])),
        table.select(["item_id", "embedding"]),
    ]
    assert len({content_sha256(one) for one in [table, *others]}) == 1 + len(others)


def test_hostile_keys_come_back_byte_for_byte(tmp_path):
    writer = Store(tmp_path / "s", create=True).create_set(make_spec())
    writer.commit_chunk(0, 0, rows_of(writer, HOSTILE), None, RUN)
    features = Store(tmp_path / "s").open(writer.path.name)
    keys, values = features.to_numpy()
    assert keys["item_id"].to_pylist() == HOSTILE
    backwards = HOSTILE[::-1]
    assert np.array_equal(features.select(backwards), vectors(backwards))
    assert np.array_equal(values, vectors(HOSTILE))
    inside = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert inside == {"STORE.json", "SPEC.json", "p000000-c000000.parquet"}


def test_float16_reports_the_rows_that_overflow():
    values = np.array([[1, 2], [70000, 0], [np.inf, 0], [0, -65504]], np.float32)
    stored, scale, unfit = to_stored(values, "float16")
    assert stored.dtype == np.float16
    assert scale is None
    assert unfit.tolist() == [False, True, False, False]  # infinite before is not overflow


def test_int8_keeps_a_scale_a_row():
    values = vectors([str(row) for row in range(50)], 64) * np.logspace(-6, 6, 50)[:, None]
    values[7] = 0
    stored, scale, unfit = to_stored(values.astype(np.float32), "int8")
    assert stored.dtype == np.int8
    assert scale is not None
    assert not unfit.any()
    back = stored * scale[:, None]
    largest = np.abs(values).max(axis=1, keepdims=True)
    assert (np.abs(back - values) <= largest / 254 * 1.001).all()
    broken = np.array([[np.nan, 1], [np.inf, 1], [1, 1]], np.float32)
    assert to_stored(broken, "int8")[2].tolist() == [True, True, False]


def test_float32_is_stored_as_it_is():
    values = vectors(["a", "b"])
    stored, scale, unfit = to_stored(values, "float32")
    assert stored is values
    assert scale is None
    assert not unfit.any()
    assert to_stored(values.astype(np.float16), "float32")[0].dtype == np.float32
    assert np.shares_memory(embedding_values(embedding_array(values)), values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop_columns(["input_sha256"]), "columns"),
        (lambda table: table.append_column("extra", table["item_id"]), "columns"),
        (lambda table: replace(table, "item_id", pa.array(["a", None])), "nulls in item_id"),
        (lambda table: replace(table, "embedding", lists([[1.0] * 9] * 2, 9)), "dimensions"),
        (lambda table: replace(table, "embedding", lists([[1.0] * 8, None], 8)), "nulls"),
        (lambda table: replace(table, "embedding", lists([[1.0] * 8, [None] * 8], 8)), "nulls"),
        (lambda table: replace(table, "input_sha256", pa.array([b"x", b"y"])), "input_sha256"),
    ],
)
def test_rows_that_do_not_fit_the_set_are_refused(tmp_path, change, words):
    writer = Store(tmp_path / "s", create=True).create_set(make_spec())
    with pytest.raises(StoreError, match=words):
        writer.commit_chunk(0, 0, change(rows_of(writer, ["a", "b"])), None, RUN)
    assert writer.committed() == set()


def replace(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def lists(values, size):
    return pa.array(values, pa.list_(pa.float32(), size))


def test_rows_in_another_column_order_and_nullability_are_taken(tmp_path):
    writer = Store(tmp_path / "s", create=True).create_set(make_spec())
    table = rows_of(writer, ["a", "b"])
    table = replace(table, "embedding", lists(vectors(["a", "b"]).tolist(), 8))
    assert writer.commit_chunk(0, 0, table.select(table.column_names[::-1]), None, RUN)
    assert writer.read_chunk(0, 0).equals(rows_of(writer, ["a", "b"]).cast(writer.schema({})))


def test_a_length_that_the_spec_leaves_open_is_told_by_the_files(tmp_path):
    writer = fill(tmp_path / "s", dim=None)
    features = Store(tmp_path / "s").open(writer.path.name)
    assert features.dims == {"embedding": 8}
    with pytest.raises(StoreError, match="not known"):
        writer.schema({})


# readers


@pytest.fixture(params=["float32", "float16", "int8"])
def stored(request, tmp_path):
    outputs = [*make_spec()["outputs"], CAPTION, SCORE]
    writer = Store(tmp_path / "s", create=True).create_set(
        make_spec(keys=["user_id", "item_id"], stored_dtype=request.param, outputs=outputs)
    )
    for chunk, count in enumerate((30, 0, 20)):
        keys = [(f"u{row % 3}", f"i{chunk}-{row}") for row in range(count)]
        table = rows_of_scored(writer, keys)
        writer.commit_chunk(0, chunk, table, None, RUN)
    features = Store(tmp_path / "s").open(writer.path.name)
    expected = pa.Table.from_batches(features.batches(), schema=features.schema)
    assert expected.num_rows == 50
    return features, expected


def rows_of_scored(writer, keys):
    spec_outputs = writer.spec["outputs"]
    writer.spec["outputs"] = [one for one in spec_outputs if one["kind"] != "scalar"]
    table = rows_of(writer, keys)
    writer.spec["outputs"] = spec_outputs
    scores = [None if row % 4 == 0 else row / 3 for row in range(len(keys))]
    return table.append_column("score", pa.array(scores, pa.float64()))


def test_pandas_reads_the_files(stored):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    features, expected = stored
    frame = pandas.read_parquet(features.path / "data")
    assert frame["item_id"].tolist() == expected["item_id"].to_pylist()
    assert np.array_equal(np.stack(frame["embedding"]), matrix(expected))
    assert frame["caption"].isna().sum() == expected["caption"].null_count
    assert frame["input_sha256"].tolist() == expected["input_sha256"].to_pylist()


def test_polars_reads_the_files(stored):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    features, expected = stored
    frame = polars.read_parquet(str(features.path / "data/*.parquet"))
    assert frame["item_id"].to_list() == expected["item_id"].to_pylist()
    assert np.array_equal(np.stack(frame["embedding"].to_list()), matrix(expected))
    assert frame["caption"].to_list() == expected["caption"].to_pylist()
    assert frame["score"].to_list() == expected["score"].to_pylist()


def test_duckdb_reads_the_files(stored):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    features, expected = stored
    glob = str(features.path / "data/*.parquet")
    rows = duckdb.sql(f"SELECT * FROM '{glob}'")
    values = dict(zip(rows.columns, zip(*rows.fetchall(), strict=True), strict=True))
    assert list(values["item_id"]) == expected["item_id"].to_pylist()
    assert np.array_equal(np.array(values["embedding"]), matrix(expected))
    assert list(values["caption"]) == expected["caption"].to_pylist()
    one = duckdb.sql(f"SELECT count(*) FROM '{glob}' WHERE item_id = 'i2-7'").fetchall()
    assert one == [(1,)]


def matrix(table: pa.Table) -> np.ndarray:
    return np.concatenate([embedding_values(one) for one in table["embedding"].chunks])
