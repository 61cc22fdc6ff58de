"""From the references of a catalogue row to what ``prepare`` receives, and its digest."""

from __future__ import annotations

import errno
import os
import struct
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from ducho_core.errors import ItemError, TransientError
from ducho_core.loaders.cleaning import clean
from ducho_core.media import Media, read_media

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ducho_core.catalogue import InputField
    from ducho_core.extractor import InputValue, JointValue

Reference = str | bytes | list[str] | list[bytes] | None
"""An inline text, a path, or a file's content, of a joint input a list; None where absent."""

RETRY_SECONDS = (0.1, 0.5, 2.0)
"""How long to wait before each further try of a read that failed."""

_PERMANENT = {errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP}
_NO_FILE = (FileNotFoundError, NotADirectoryError)


class AbsentInput(Exception):  # noqa: N818 - not an error: the item simply has no such input
    """The item has no such input: no file, or a text that cleaning leaves empty."""


class InputReader:
    """Reads the inputs of one item at a time, from any thread.

    Args:
        fields: the inputs, in the order of the references handed to ``read``.
        root: folder that every path must lie in.
    """

    def __init__(self, fields: Sequence[InputField], root: Path | None) -> None:
        self.fields = tuple(fields)
        self._root = root
        only = self.fields[0] if len(self.fields) == 1 else None
        self.single_inline_text = bool(only and only.storage == "inline" and not only.joint)

    def read(
        self, references: Sequence[Reference]
    ) -> tuple[dict[str, InputValue | JointValue], bytes]:
        """Read one item's inputs.

        Returns:
            Input name to value, and the sha256 over all inputs' bytes: of one input the
            plain sha256, of a joint one the sha256 over its parts' sha256, of several inputs
            the sha256 over ``name NUL sha256`` in order of name.

        Raises:
            AbsentInput: one of them is not there; of a joint one, none of its parts.
            ItemError: one of them cannot be used.
            TransientError: reading failed several times over.
        """
        values: dict[str, InputValue | JointValue] = {}
        digests: dict[str, bytes] = {}
        for field, reference in zip(self.fields, references, strict=True):
            value, content = self._read_one(field, reference)
            values[field.name] = value
            digests[field.name] = sha256(content).digest()
        if len(digests) == 1:
            return values, next(iter(digests.values()))
        whole = b"".join(name.encode() + b"\0" + digests[name] for name in sorted(digests))
        return values, sha256(whole).digest()

    def _read_one(
        self, field: InputField, reference: Reference
    ) -> tuple[InputValue | JointValue, bytes]:
        if reference is None:
            raise AbsentInput
        if not isinstance(reference, list):
            return self._read_part(field, reference)
        parts: list[InputValue] = []
        digests = b""
        for one in reference:
            try:
                part, content = self._read_part(field, one)
            except AbsentInput:
                continue
            parts.append(part)
            digests += sha256(content).digest()
        if not parts:
            raise AbsentInput
        return tuple(parts), digests

    def _read_part(self, field: InputField, reference: str | bytes) -> tuple[InputValue, bytes]:
        if field.storage == "inline":
            assert isinstance(reference, str)
            return reference, reference.encode()
        if field.storage == "bytes":
            assert isinstance(reference, bytes)
            media = Media(reference, field.name)
        else:
            assert isinstance(reference, str)
            media = self._read_file(reference)
        if field.modality != "text":
            return media, media.bytes
        try:
            text = media.bytes.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ItemError(
                0, "not_utf8", f"{media.name} is not UTF-8 at byte {error.start}"
            ) from error
        text = clean(text, field.cleaning)
        if not text:
            raise AbsentInput
        return text, text.encode()

    def _read_file(self, path: str) -> Media:
        if "\0" in path:
            raise ItemError(0, "bad_path", "the path holds a NUL character")
        for pause in (*RETRY_SECONDS, None):
            try:
                return read_media(path, self._root)
            except _NO_FILE as error:
                raise AbsentInput from error
            except OSError as error:
                if error.errno in _PERMANENT:
                    raise ItemError(0, "bad_path", error.strerror or str(error)) from error
                if pause is None:
                    raise TransientError(
                        f"{path} could not be read in {len(RETRY_SECONDS) + 1} tries:"
                        f" {error.strerror or error}"
                    ) from error
                time.sleep(pause)
        raise AssertionError("unreachable")


def validator(field: InputField, reference: Reference) -> bytes | None:
    """A cheap sign of an input's content; None where the input is absent.

    Of a text or embedded content its sha256 (32 bytes); of a file its size and modification
    time in nanoseconds (two little-endian 64-bit integers); of a joint input the sha256 over
    those of its parts.
    """
    if isinstance(reference, list):
        parts = [validator(field, one) for one in reference]
        if all(one is None for one in parts):
            return None
        return sha256(b"".join(b"\0" if one is None else b"\1" + one for one in parts)).digest()
    if reference is None:
        return None
    if field.storage == "inline":
        assert isinstance(reference, str)
        return sha256(reference.encode()).digest()
    if field.storage == "bytes":
        assert isinstance(reference, bytes)
        return sha256(reference).digest()
    try:
        status = os.stat(reference)
    except _NO_FILE:
        return None
    except (OSError, ValueError):
        return b""  # present, and reading it will say what is wrong
    return struct.pack("<Qq", status.st_size, status.st_mtime_ns)
