"""That the guards stand where the mutation check takes them out."""

import pytest

from stack.jars import CHECKOUT
from tests.faults.mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.guard)
def test_a_guard_stands_in_its_file_once(mutation: Mutation) -> None:
    assert (CHECKOUT / mutation.file).read_text().count(mutation.old) == 1
