"""Blocks on threads come back in their order, on as many threads as the linear algebra may use."""

import threading
import time

import pytest
from threadpoolctl import threadpool_limits

from identirep.threads import cached_parts, in_threads, n_threads


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


def test_libraries_are_looked_for_once(monkeypatch):
    before = n_threads()
    monkeypatch.setattr("identirep.threads.ThreadpoolController", lambda: pytest.fail("looked again"))
    assert n_threads() == before


def test_parts_have_every_task_once_and_few_numbers():
    for n_tasks, numbers in [(0, 9), (1, 10**9), (1000, 400), (7, 1)]:
        parts = cached_parts(n_tasks, numbers)
        assert [t for part in parts for t in range(n_tasks)[part]] == list(range(n_tasks))
        assert all(part.stop - part.start == 1 or (part.stop - part.start) * numbers <= 2**17 for part in parts)
