"""The words of one layer as packed columns, held and read on: a document is written once and never changes. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.index import CHUNK, COLUMNS
from sinks.postings import Int32


class WentBack(Exception):
    """The database holds less than was read from it: it is another one, or an older one."""


@dataclass(frozen=True, eq=False)
class Documents:
    """The documents of a layer from its first on, without a gap.

    columns  (4, n) lengths in terms, sessions, authors, occurred_at in seconds since 1970, by seq
    first    the first seq whose terms are here; those of the documents before it stand in postings
    terms    the terms of the documents from `first` on, repeats and all, one document after the other
    """

    columns: Int32
    first: int
    terms: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def nbytes(self) -> int:
        return self.columns.nbytes + self.terms.nbytes

    @property
    def seqs(self) -> Int32:
        """The seq of each of the terms."""
        return np.repeat(np.arange(self.first, len(self), dtype=np.int32), self.columns[0][self.first :])

    def extended(self, row: dict[str, Any]) -> "Documents":
        """With what a row of `retrieve.sql` brought, which was asked for what follows on these.

        Raises WentBack if terms are missing, since they were thought to stand in postings.
        """
        packed = CHUNK * row["chunks"]
        if packed < self.first:
            raise WentBack(f"postings up to {packed}, after some up to {self.first}")
        # Chunk after chunk its columns, little-endian, the first known in part; then documents, big-endian.
        chunks = np.frombuffer(row["columns"] or b"", "<i4").reshape(-1, len(COLUMNS), CHUNK)
        of_chunks = chunks.transpose(1, 0, 2).reshape(len(COLUMNS), -1)[:, len(self) % CHUNK :]
        recent = np.array([np.frombuffer(row[f"recent_{name}"] or b"", ">i4") for name in COLUMNS], np.int32)
        if packed == self.first and not recent.size:
            return self
        left = self.terms[self.columns[0][self.first : packed].sum() :]
        return Documents(
            np.concatenate((self.columns, of_chunks, recent), axis=1, dtype=np.int32),
            packed,
            np.concatenate((left, np.frombuffer(row["terms"] or b"", "<u4"))),
        )


NO_DOCUMENTS = Documents(np.zeros((len(COLUMNS), 0), np.int32), 0, np.zeros(0, np.uint32))
