"""What all tests share."""

import pytest

from identirep import signal_check


@pytest.fixture(autouse=True, scope="session")
def _few_trees():
    """Let fewer trees try before "no signal" is said: they find the same in small tables, in a fifth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal_check, "_N_TREES", 10)
        yield
