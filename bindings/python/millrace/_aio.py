"""The client for asyncio: each call runs on a thread, and is cancelled with the task that awaits it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import typing

from ._client import END_WAIT_S, WAIT_S, Client
from ._outcome import Cancelled, Outcome

if typing.TYPE_CHECKING:
    from ._client import Train


class AsyncClient:
    """As Client, with calls that are awaited; the arguments are Client's. Training functions run on a thread of their
    own, not on the event loop's.

        async with millrace.AsyncClient("device.json") as client:
            async for outcome in client.rounds(train):
                print(outcome)
    """

    def __init__(self, config, **options: typing.Any):
        self._client = Client(config, **options)
        # Its own, and not the event loop's, which has a few threads for all: a client that waits for a round would keep
        # others from theirs. One thread is enough; on the second a call hears that another is under way.
        self._threads = concurrent.futures.ThreadPoolExecutor(2, "millrace")

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def id(self) -> str:
        return self._client.id

    def cancel(self) -> None:
        self._client.cancel()

    def close(self) -> None:
        self._client.close()
        self._threads.shutdown(wait=False)

    async def check(self) -> None:
        await self._run(self._client.check)

    async def reach(self, position: int = 0) -> Outcome:
        return await self._run(self._client.reach, position)

    async def round(self, train: Train, wait: float = WAIT_S, **options: typing.Any) -> Outcome:
        return await self._run(lambda: self._client.round(train, wait, **options))

    async def end(self, wait: float = END_WAIT_S) -> Outcome:
        return await self._run(self._client.end, wait)

    async def rounds(self, train: Train, **options: typing.Any) -> typing.AsyncIterator[Outcome]:
        following = self._client.rounds(train, **options)
        while True:
            yield await self._run(next, following)

    async def run(self, train: Train, rounds: int | None = None, **options: typing.Any) -> list[Outcome]:
        return await self._run(lambda: self._client.run(train, rounds, **options))

    async def _run(self, call: typing.Callable, *arguments: object):
        """The client is this thread's again once the call has ended: so a cancelled one is waited for."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not running.done():
                self._client.cancel()
                try:
                    await running
                except Cancelled:
                    pass
            raise
