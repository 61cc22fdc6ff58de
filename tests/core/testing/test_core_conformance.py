"""The built-in parts keep the contracts that every plugin keeps."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ducho_core import Binding, extract
from ducho_core.store import tensors
from ducho_core.testing import (
    ExporterConformance,
    ExtractorConformance,
    FuserConformance,
    LoaderConformance,
    SmallCatalogue,
    draw_catalogue,
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    return draw_catalogue(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def letters(drawn: SmallCatalogue) -> Path:
    """A store with a set of seven texts."""
    store = drawn.folder / "features"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent / "distributions"))
        table = drawn.folder / "texts.tsv"
        rows = "".join(f"{at:03}\titem number {at}\n" for at in range(7))
        table.write_text("item_id\ttext\n" + rows, "utf-8")
        extract(table, "wrong/right", store=store, name="letters")
    return store


LABELS = ("model-0", "model-1")


def by_key(keys, values, present=None):
    """The rows of a matrix that are there, by key."""
    there = np.ones(len(keys), bool) if present is None else np.asarray(present, bool)
    return {
        key: row for key, row, real in zip(map(tuple, keys), values, there, strict=True) if real
    }


def read_npy(folder: Path):
    keys = [[one] for one in pq.read_table(folder / "ids.parquet")["item_id"].to_pylist()]
    return {
        label: by_key(
            keys,
            np.load(folder / f"{label}.npy"),
            np.load(path) if (path := folder / f"{label}.present.npy").exists() else None,
        )
        for label in LABELS
    }


def read_safetensors(folder: Path):
    keys = [[one] for one in pq.read_table(folder / "ids.parquet")["item_id"].to_pylist()]
    found = tensors.load((folder / "features.safetensors").read_bytes())
    return {label: by_key(keys, found[label], found.get(f"{label}.present")) for label in LABELS}


def read_parquet(folder: Path):
    table = pq.read_table(folder / "features.parquet").to_pydict()
    keys = [[one] for one in table["item_id"]]
    return {label: by_key(keys, table[label], table.get(f"{label}.present")) for label in LABELS}


def read_csv(folder: Path):
    with (folder / "features.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    keys = [[row["item_id"]] for row in rows]
    found = {}
    for label, dim in zip(LABELS, (5, 3), strict=True):
        values = [[float(row[f"{label}_{at}"]) for at in range(dim)] for row in rows]
        present = [row.get(f"{label}_present", "true") == "true" for row in rows]
        found[label] = by_key(keys, values, present)
    return found


def read_ducho2(folder: Path):
    encoded = {}
    if (folder / "ids.tsv").exists():
        with (folder / "ids.tsv").open(encoding="utf-8", newline="") as file:
            encoded = {row["file"]: row["item_id"] for row in csv.DictReader(file, delimiter="\t")}
    found = {}
    for label, place in zip(LABELS, ("torch/resnet/avgpool", "hf/bert/mean"), strict=True):
        found[label] = {}
        for path in (folder / place).iterdir():
            key = encoded.get(f"{place}/{path.name}", path.stem)
            found[label][(key,)] = np.load(path)[0]
    return found


class TestHash(ExtractorConformance):
    plugin = "core/hash"


class TestHashOfTexts(ExtractorConformance):
    """Other options; one input of the three."""

    plugin = "core/hash"
    inputs = ("text",)

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"dim": "7", "seed": 3}


class TestFolder(LoaderConformance):
    plugin = "core/folder"
    rows = 7 + 2 * 3 + 6

    @pytest.fixture
    def source(self, drawn: SmallCatalogue) -> str:
        return str(drawn.folder / "images")

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"pattern": "{item_id}/{slot}"}


class TestTable(LoaderConformance):
    """TSV, a text and paths of images and sounds."""

    plugin = "core/table"
    rows = 15

    @pytest.fixture
    def source(self, drawn: SmallCatalogue) -> str:
        return str(drawn.items)

    @pytest.fixture
    def binding(self) -> Binding:
        return Binding(
            accepts=("image", "text", "audio"),
            multiple_texts=True,
            texts=((None, "title"), ("both", "{title}. {description}")),
        )


class TestSlots(LoaderConformance):
    """Slots out of a glob."""

    plugin = "core/table"
    rows = 7 + 2 * 3 + 6 + 2

    @pytest.fixture
    def source(self, drawn: SmallCatalogue) -> str:
        return str(drawn.items)

    @pytest.fixture
    def binding(self) -> Binding:
        return Binding(accepts=("image",), image="images/{item_id}/*")


class TestReviews(LoaderConformance):
    """Two keys; a key that is repeated stays repeated."""

    plugin = "core/table"
    rows = 12

    @pytest.fixture
    def source(self, drawn: SmallCatalogue) -> str:
        repeated = drawn.folder / "repeated.tsv"
        lines = drawn.reviews.read_text("utf-8").splitlines(keepends=True)
        repeated.write_text("".join([*lines, lines[1]]), "utf-8")
        return str(repeated)

    @pytest.fixture
    def binding(self) -> Binding:
        return Binding(accepts=("text",), keys=("user_id", "item_id"), texts=((None, "text"),))


class TestLines(LoaderConformance):
    """JSONL with nulls, empty texts and numbers."""

    plugin = "core/table"
    rows = 4

    @pytest.fixture
    def source(self, drawn: SmallCatalogue) -> str:
        path = drawn.folder / "items.jsonl"
        rows = [
            {"item_id": "007", "text": "a lamp"},
            {"item_id": "8", "text": ""},
            {"item_id": "9", "text": None},
            {"item_id": "10"},
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return str(path)


class TestParquet(LoaderConformance):
    """Parquet with integer keys and images inside."""

    plugin = "core/table"
    rows = 3

    @pytest.fixture
    def source(self, drawn: SmallCatalogue) -> str:
        path = drawn.folder / "items.parquet"
        columns = {
            "item_id": pa.array([1, 2, 3], pa.int64()),
            "image": pa.array([b"first", None, b"third"], pa.binary()),
            "text": pa.array(["a lamp", "", None], pa.large_string()),
        }
        pq.write_table(pa.table(columns), path)
        return str(path)


class TestSet(LoaderConformance):
    """The texts of a feature set."""

    plugin = "core/set"
    rows = 7

    @pytest.fixture
    def source(self, letters: Path) -> str:
        return "set:letters:first"

    @pytest.fixture
    def options(self, letters: Path) -> dict[str, object]:
        return {"store": str(letters)}


class TestConcat(FuserConformance):
    plugin = "core/concat"
    dims = (3, 8, 5)


class TestSum(FuserConformance):
    plugin = "core/sum"

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"scale": "l2"}


class TestMultiply(FuserConformance):
    plugin = "core/mul"


class TestMaximum(FuserConformance):
    """Fitted on all rows, nothing missing."""

    plugin = "core/max"

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"scale": "zscore"}


class TestStandardised(FuserConformance):
    """Fitted, with rows that were missing."""

    plugin = "core/mean"
    missing = "zero"

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"scale": "zscore,l2", "weights": "1,3"}


@pytest.fixture(params=["mean", "max", "sum", "first"], scope="class")
def method(request: pytest.FixtureRequest) -> str:
    return request.param


class TestPool(FuserConformance):
    plugin = "core/pool"

    @pytest.fixture
    def options(self, method: str) -> dict[str, object]:
        return {"method": method}


class TestShuffle(FuserConformance):
    plugin = "core/shuffle"


class TestPca(FuserConformance):
    plugin = "core/pca"

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"dim": 3, "whiten": True}


@pytest.fixture(params=["zca", "pca"], scope="class")
def whitening(request: pytest.FixtureRequest) -> str:
    return request.param


class TestWhiten(FuserConformance):
    plugin = "core/whiten"

    @pytest.fixture
    def options(self, whitening: str) -> dict[str, object]:
        return {"method": whitening}


@pytest.fixture(params=["gaussian", "sparse"], scope="class")
def matrix(request: pytest.FixtureRequest) -> str:
    return request.param


class TestProject(FuserConformance):
    plugin = "core/project"

    @pytest.fixture
    def options(self, matrix: str) -> dict[str, object]:
        return {"method": matrix, "dim": 5}


class TestCca(FuserConformance):
    """With rows that were missing."""

    plugin = "core/cca"
    missing = "zero"
    dims = (8, 5)

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"dim": 3}


@pytest.fixture(params=["standard", "moments", "covariance"], scope="class")
def like(request: pytest.FixtureRequest) -> str:
    return request.param


class TestNoise(FuserConformance):
    plugin = "core/noise"

    @pytest.fixture
    def options(self, like: str) -> dict[str, object]:
        return {"like": like}


@pytest.fixture(params=["mean", "ones"], scope="class")
def constant(request: pytest.FixtureRequest) -> str:
    return request.param


class TestConstant(FuserConformance):
    plugin = "core/constant"

    @pytest.fixture
    def options(self, constant: str) -> dict[str, object]:
        return {"value": constant}


class TestNpy(ExporterConformance):
    plugin = "core/npy"
    read = staticmethod(read_npy)


class TestSafetensors(ExporterConformance):
    plugin = "core/safetensors"
    read = staticmethod(read_safetensors)


class TestParquetTable(ExporterConformance):
    plugin = "core/parquet"
    read = staticmethod(read_parquet)


class TestCsv(ExporterConformance):
    plugin = "core/csv"
    read = staticmethod(read_csv)

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"separator": "tab"}


class TestDucho2(ExporterConformance):
    plugin = "core/ducho2"
    read = staticmethod(read_ducho2)

    @pytest.fixture
    def options(self) -> dict[str, object]:
        return {"folders": "torch/resnet/avgpool,hf/bert/mean"}


def read_huggingface(folder: Path):
    table = pq.read_table(folder / "data").to_pydict()
    keys = [[one] for one in table["item_id"]]
    return {label: by_key(keys, table[label], table.get(f"{label}.present")) for label in LABELS}


class TestHuggingFace(ExporterConformance):
    plugin = "core/huggingface"
    read = staticmethod(read_huggingface)
