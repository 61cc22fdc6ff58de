"""Files whose content is hashed while it is written."""

from __future__ import annotations

import hashlib
import io
from typing import Any, BinaryIO


class HashingFile(io.RawIOBase):
    """Writes on to a file, in order, and hashes.

    Attributes:
        size: bytes written.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, content: Any) -> int:
        """Write all of the content."""
        view = memoryview(content)
        self._file.write(view)
        self._hash.update(view)
        self.size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """How much was written."""
        return self.size

    @property
    def sha256(self) -> str:
        """Of what was written."""
        return self._hash.hexdigest()
