"""The safetensors format: what is written is read, here and by its own library; damage is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ducho_core.store import tensors

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([True, False]),
    "é": np.zeros((0, 4), np.float64),
    "scalar": np.array(7, np.int64),
}


def test_what_is_written_is_read():
    read = tensors.load(tensors.dump(ARRAYS))
    assert list(read) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_the_same_arrays_give_the_same_bytes_in_whatever_order():
    assert tensors.dump(ARRAYS) == tensors.dump(dict(reversed(ARRAYS.items())))


def test_the_formats_own_library_reads_and_writes_the_same():
    library = pytest.importorskip("safetensors.numpy")
    for name, array in library.load(tensors.dump(ARRAYS)).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    for name, array in tensors.load(library.save(ARRAYS)).items():
        np.testing.assert_array_equal(array, ARRAYS[name])


def test_what_the_format_has_no_word_for_is_refused():
    with pytest.raises(ValueError, match="no arrays of complex64"):
        tensors.dump({"a": np.zeros(1, np.complex64)})


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}',
        b'{"a":{"dtype":"O","shape":[1],"data_offsets":[0,4]}}',
        b'{"a":{"shape":[1],"data_offsets":[0,4]}}',
        b'{"a":[]}',
        b"[]",
        b"{",
        b"\xff",
    ],
)
def test_a_header_that_does_not_fit_is_refused(header):
    with pytest.raises(ValueError):  # noqa: PT011 - each says its own
        tensors.load(len(header).to_bytes(8, "little") + header + b"\0" * 4)


@given(st.integers(0, 200))
def test_a_file_that_is_cut_short_is_refused(keep):
    content = tensors.dump(ARRAYS)
    with pytest.raises(ValueError):  # noqa: PT011 - each says its own
        tensors.load(content[: min(keep, len(content) - 1)])
