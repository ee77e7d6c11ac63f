"""Blocks on threads come back in their order, on as many threads as the linear algebra may use."""

import threading
import time

from threadpoolctl import threadpool_limits

from identirep.threads import in_threads, n_threads


def test_blocks_in_order_on_threads_of_the_linear_algebra():
    def call(block):
        time.sleep(0.01 * (3 - block))
        return block, threading.get_ident()

    with threadpool_limits(3):
        assert n_threads() == 3
        found = in_threads(call, range(3))
    assert [block for block, _ in found] == [0, 1, 2]
    assert len({thread for _, thread in found}) > 1
    with threadpool_limits(1):
        assert {thread for _, thread in in_threads(call, range(3))} == {threading.get_ident()}
