"""Crypto in several threads, commits in one: waiting messages share a transaction (group commit)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from gateway.errors import StoreError
from tools.receiver.answers import Answer
from tools.receiver.core import Judged, Receiver

_Waiting = tuple[Judged, "Future[Answer]"]


class Intake:
    """`submit` a message, wait for its answer; by then it is durable. Bounded by `waiting`."""

    def __init__(
        self,
        receiver: Receiver,
        *,
        threads: int,
        group: int,
        waiting: int,
        told: Callable[[list[Answer]], None],
    ) -> None:
        self._receiver, self._group, self._told = receiver, group, told
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="receiver-examine")
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._room = threading.BoundedSemaphore(waiting)
        self._writer = threading.Thread(target=self._write, name="receiver-writer", daemon=True)
        self._writer.start()

    def submit(self, raw: bytes) -> Future[Answer] | None:
        """The future answer, or None when too many messages wait already (try later)."""
        if not self._room.acquire(blocking=False):
            return None
        future: Future[Answer] = Future()
        future.add_done_callback(lambda _: self._room.release())
        self._pool.submit(self._examine, raw, future)
        return future

    def _examine(self, raw: bytes, future: Future[Answer]) -> None:
        try:
            self._queue.put((self._receiver.examine(raw), future))
        except Exception as error:
            future.set_exception(error)

    def _write(self) -> None:
        open_for_work = True
        while open_for_work:
            batch, open_for_work = self._gather()
            if batch:
                self._record(batch)

    def _gather(self) -> tuple[list[_Waiting], bool]:
        """One message, then whatever else waits already; False after the last one."""
        batch = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == self._group:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _record(self, batch: list[_Waiting]) -> None:
        try:
            answers = self._receiver.record([judged for judged, _ in batch])
        except Exception as error:
            self._record_alone(batch, error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
        self._told(answers)

    def _record_alone(self, batch: list[_Waiting], error: Exception) -> None:
        """A group that failed as a whole is tried one by one, so that one bad message stops no other."""
        if len(batch) == 1 or isinstance(error, StoreError):
            for _, future in batch:
                future.set_exception(error)
            return
        for item in batch:
            self._record([item])

    def close(self) -> None:
        """Finish what was submitted, then stop."""
        self._pool.shutdown(wait=True)
        self._queue.put(None)
        self._writer.join()
