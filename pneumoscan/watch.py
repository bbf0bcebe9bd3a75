"""Which files of folders that keep filling are ready to be scanned. Knows nothing of scanning."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from pneumoscan.sources import Selection, find_files

TICK = 0.5
"""Seconds between looks at files that may still grow."""
SHARE_OF_WALKING = 0.1
"""Most of the time that walks over the folders may take."""
RETRY, LONGEST_PAUSE = 60.0, 3600.0
"""Seconds for which walks must do after native events have failed, the first time and at most."""

log = logging.getLogger(__name__)


class State(NamedTuple):
    """What tells one state of a file from another: size in bytes, times of modification and of status change in ns."""

    size: int
    modified: int
    changed: int


def state_of(path: str) -> State | None:
    """The state that a file is in; None where it is gone, and always the same where it is out of reach."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError:
        return State(0, 0, 0)
    return State(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Folders:
    """Folders that are watched.

    Native events say at once what is new, where the library watchfiles is there and they come; they do not for what
    others write on a network share. So the folders are walked as well, every `poll` seconds, or less often where a
    walk takes so long that it would be more than a tenth of the time.
    """

    def __init__(
        self, directories: Sequence[str], selection: Selection, *, settle: float, poll: float, events: bool = True
    ) -> None:
        """Describes the folders; nothing is read yet.

        Args:
            directories: as they were named.
            selection: which of their files are taken.
            settle: seconds for which a file must have stayed the same.
            poll: seconds between walks.
            events: whether native events are used where they can be.
        """
        self._directories = directories
        self._selection = selection
        self._settle = settle
        self._poll = poll
        self._events = events
        self._next_walk = 0.0
        self._growing: dict[str, tuple[State, float]] = {}
        self._gone: set[str] = set()

    def rounds(
        self,
        wanted: Callable[[str], bool],
        listed: Callable[[str], object] = lambda _: None,
        walked: Callable[[], object] = lambda: None,
    ) -> Iterator[Iterator[str]]:
        """Yields, without end and about twice a second, files that are ready. Use up each round before the next.

        Args:
            wanted: whether a file is of interest at all; those that are not take no memory.
            listed: called with each folder that could be listed.
            walked: called after each walk over the folders, when all of them are there.
        """
        self._next_walk = time.monotonic()
        for changed in self._changes():
            found = (
                self._walk(wanted, listed, walked) if time.monotonic() >= self._next_walk else filter(wanted, changed)
            )
            yield self._ready(found)

    def _walk(
        self, wanted: Callable[[str], bool], listed: Callable[[str], object], walked: Callable[[], object]
    ) -> Iterator[str]:
        """All files that are wanted, counting the time that finding them takes, but not that of their use."""
        self._tell_what_is_gone()
        files = filter(wanted, find_files(self._directories, self._selection, listed))
        walking = 0.0
        while True:
            begun = time.monotonic()
            path = next(files, None)
            if path is None and not self._gone:
                walked()
            walking += time.monotonic() - begun
            if path is None:
                break
            yield path
        self._next_walk = time.monotonic() + max(self._poll, walking / SHARE_OF_WALKING)

    def _tell_what_is_gone(self) -> None:
        """Says once that a folder is gone, as one on a share may be, and once that it is back."""
        gone = {directory for directory in self._directories if not os.path.isdir(directory)}
        for directory in sorted(gone - self._gone):
            log.warning("%s is gone; what it holds is scanned when it is back", directory)
        for directory in sorted(self._gone - gone):
            log.warning("%s is back", directory)
        self._gone = gone

    def _ready(self, paths: Iterable[str]) -> Iterator[str]:
        for path in chain((path for path in paths if path not in self._growing), list(self._growing)):
            if self._is_settled(path):
                yield path

    def _is_settled(self, path: str) -> bool:
        state = state_of(path)
        before, since = self._growing.pop(path, (None, 0.0))
        if state is None:
            return False
        if before is None and time.time() - max(state.modified, state.changed) / 1e9 > self._settle:
            return True
        now = time.monotonic()
        if before == state and now - since >= self._settle:
            return True
        self._growing[path] = (state, since if before == state else now)
        return False

    def _changes(self) -> Iterator[list[str]]:
        """Files of which native events tell, about twice a second; none where there are no events."""
        pause = RETRY
        while True:
            begun = time.monotonic()
            if self._events:
                try:
                    yield from self._native_events()
                except ModuleNotFoundError:
                    self._events = False
                except Exception as error:  # such as too many folders for the system, or a name that is not UTF-8
                    if time.monotonic() - begun > LONGEST_PAUSE:  # they did come for long
                        pause = RETRY
                    log.warning("no native events for %g s, looking every %g s instead: %s", pause, self._poll, error)
            end = time.monotonic() + pause
            self._next_walk = min(self._next_walk, time.monotonic())  # for those of which no event was told
            while not self._events or time.monotonic() < end:
                yield []
                time.sleep(TICK)
            pause = min(2 * pause, LONGEST_PAUSE)
            self._next_walk = min(self._next_walk, time.monotonic())

    def _native_events(self) -> Iterator[list[str]]:
        import watchfiles

        logging.getLogger("watchfiles").setLevel(logging.ERROR)  # it tells of every signal
        roots = {os.path.abspath(directory): directory for directory in self._directories}
        events = watchfiles.watch(
            *roots,
            watch_filter=None,
            debounce=int(TICK * 1000),
            rust_timeout=int(TICK * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
            recursive=self._selection.recursive,
        )
        for changes in events:
            yield [named for _, path in changes for named in self._as_named(path, roots)]

    def _as_named(self, path: str, roots: dict[str, str]) -> Iterator[str]:
        """A changed file as a walk would name it; nothing if a walk would pass it over."""
        for root, directory in roots.items():
            if path.startswith(root + os.sep):
                relative = os.path.relpath(path, root)
                if os.path.isdir(path):  # moved here with all that it holds
                    self._next_walk = time.monotonic()
                elif self._selection.takes(relative.replace(os.sep, "/")):
                    if not _is_behind_link(root, relative):
                        yield os.path.join(directory, relative)
                    elif self._selection.follow_links:
                        self._next_walk = time.monotonic()


def _is_behind_link(root: str, relative: str) -> bool:
    """Whether links lead to a path in a folder. Events come from behind any; which are to be followed, a walk knows."""
    folder, root = os.path.dirname(relative), os.path.realpath(root)
    return os.path.realpath(os.path.join(root, folder)) != os.path.normpath(os.path.join(root, folder))
