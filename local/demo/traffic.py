"""Callers of the prediction API: real texts, several at a time, and a steady background caller while models roll out."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.demo.session import Session

CALLERS = 4


def send(session: Session, texts: Sequence[str], on_answer: Callable[[int], None] | None = None) -> list[dict[str, Any]]:
    """POST every text, a few at a time; answers in the order of the texts. Interrupted, it sends no further text."""
    answers: list[dict[str, Any]] = []
    pool = ThreadPoolExecutor(CALLERS)
    try:
        for count, answer in enumerate(pool.map(session.predict, texts), 1):
            answers.append(answer)
            if on_answer is not None:
                on_answer(count)
    finally:
        pool.shutdown(cancel_futures=True)
    return answers


class BackgroundTraffic:
    """Sends ``texts`` over and over until stopped; keeps its answers and the failures that callers saw.

    ``pause`` is the seconds between two calls of one caller; it may be changed at any time.
    """

    CALLERS = 3

    def __init__(self, session: Session, texts: Sequence[str], *, pause: float) -> None:
        self._session, self._texts = session, itertools.cycle(texts)
        self._stop = threading.Event()
        self.answers: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self.pause = pause
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.CALLERS)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(self._session.predict(next(self._texts)))
            except Exception as error:  # a caller's failure is a result of the demo, not its end
                self.failures.append(str(error))
                self._stop.wait(0.2)
            self._stop.wait(self.pause)

    def __enter__(self) -> BackgroundTraffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
