"""Threads that work, and that an interruption does not wait for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


class _Pool(ThreadPoolExecutor):
    """Makes do with the threads that it has where the system lets this process start no more."""

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise


@contextmanager
def pool_of(threads: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """A pool that, when it is left, drops what has not begun, and waits for the rest unless it is interrupted.

    Raises:
        RuntimeError: by `submit`, where not one thread can be started.
    """
    pool = _Pool(threads, name)
    wait = True
    try:
        yield pool
    except (Exception, GeneratorExit):
        raise
    except BaseException:  # an interruption, which a read that hangs must not delay
        wait = False
        raise
    finally:
        pool.shutdown(wait, cancel_futures=True)
