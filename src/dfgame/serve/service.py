"""The jobs of one folder: their files, their reports, the queue, and what is deleted when."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pebble import ProcessExpired

from dfgame.boxed import BoxedDetector
from dfgame.config import InspectConfig, ServeConfig
from dfgame.media import MediaError
from dfgame.records import UserError
from dfgame.report.plain import plain
from dfgame.serve.probe import PATIENCE, Probe
from dfgame.serve.problems import RequestError
from dfgame.serve.store import ENDED, Job, Store
from dfgame.serve.uploads import receive

SUFFIXES = {"picture": ".jpg", "video": ".mp4"}
"""What a file of either kind is called on the disk, whatever its format."""
INSPECTED = 0.9
"""The progress of a job whose file was inspected, and whose report is being made."""
_ID = re.compile(r"[0-9a-f]{32}")
_HOUR = 3_600


class Service:
    """All that pages and API do, in one folder that no other service uses.

    `queued` is called whenever a job waits for the worker; `works` says whether that is able to work.
    """

    def __init__(
        self, folder: Path, settings: ServeConfig, detector: BoxedDetector, inspecting: InspectConfig
    ) -> None:
        """Open the folder, which is made if it is missing, and clear away what an earlier end left behind.

        Raises:
            UserError: it cannot be used, or another service uses it.
        """
        self.settings, self.detector, self.inspecting = settings, detector, inspecting
        self._files, self._reports = folder / "files", folder / "reports"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for place in (self._files, self._reports):
                place.mkdir(exist_ok=True, mode=0o700)
                place.chmod(0o700)  # which one that was there may not have been
            self.store = Store(folder / "jobs.sqlite")
        except OSError as error:
            raise UserError(f"{folder}: {error.strerror}", "name a folder that can be written with --data") from None
        self.probe = Probe()
        self.queued: Callable[[], None] = lambda: None
        self.works: Callable[[], bool] = lambda: False
        self._coming = 0
        self._clear()

    def close(self) -> None:
        """End processes and close the database."""
        self.probe.close()
        self.store.close()

    @property
    def most_bytes(self) -> int:
        """Bytes of a file, at most."""
        return int(self.settings.max_size * 1e6)

    async def add(self, headers: Mapping[str, str], body: AsyncIterator[bytes]) -> Job:
        """Receive a file and put it in the queue.

        Raises:
            RequestError: the queue is full, or the file is not one that is taken here.
        """
        with self._room():
            id = secrets.token_hex(16)
            coming = self._files / f"{id}.part"
            try:
                name = await receive(headers, body, coming, self.most_bytes)
                suffix = await self._checked(coming)
                size = coming.stat().st_size
                kept = coming.rename(coming.with_suffix(suffix))
            finally:
                coming.unlink(missing_ok=True)
            try:
                self.store.add(id, name, size)
            except BaseException:
                kept.unlink()
                raise
        self.queued()
        return self.job(id)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Hold a place in the queue for a file that is coming. For the thread of the event loop only."""
        if self._coming + self.store.count("queued") >= self.settings.queue:
            raise RequestError(503, "The queue is full. Try again in a while.")
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def _checked(self, path: Path) -> str:
        """The suffix that a file of its kind has here.

        Raises:
            RequestError: it is of no kind that is taken, or too long.
        """
        try:
            kind, duration = await asyncio.wrap_future(self.probe.look(path))
        except MediaError:
            raise RequestError(
                415, "The file is neither a picture nor a video that can be read; send a JPEG, PNG or MP4 file."
            ) from None
        except TimeoutError:
            raise RequestError(
                422, f"What the file is could not be told within {PATIENCE:.0f} seconds; encode it anew and send that."
            ) from None
        except (ProcessExpired, MemoryError):
            raise RequestError(
                422, "The file breaks the programs that read it; encode it anew and send that."
            ) from None
        longest = self.settings.max_duration
        if duration is not None and not duration <= longest:
            raise RequestError(
                422,
                f"The video is {duration:,.1f} seconds long, and {longest:,.6g} are taken here; send a part of it.",
            )
        return SUFFIXES[kind]

    def job(self, id: str) -> Job:
        """The job with this id.

        Raises:
            RequestError: there is none.
        """
        found = self.store.get(id) if _ID.fullmatch(id) else None
        if found is None:
            raise RequestError(404, "There is no such job.")
        return found

    def file_of(self, id: str) -> Path | None:
        """Where a job's file is, if it is still there."""
        places = (self._files / f"{id}{suffix}" for suffix in SUFFIXES.values())
        return next((place for place in places if place.is_file()), None)

    def report_of(self, id: str) -> Path:
        """Where a job's report is, or would be."""
        return self._reports / f"{id}.html"

    def report(self, id: str) -> str:
        """A job's report as HTML.

        Raises:
            RequestError: there is no such job, it has not been inspected, or could not be.
        """
        job = self.job(id)
        if job.status not in ENDED:
            raise RequestError(409, "The file has not been inspected yet.")
        try:
            return self.report_of(id).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RequestError(404, "There is no report on this file.") from None

    def cancel(self, id: str) -> Job:
        """End a job that waits or runs, and delete its file unless files are kept.

        Raises:
            RequestError: there is no such job, or it has ended.
        """
        self.job(id)
        if not self.store.cancel(id):
            raise RequestError(409, "The job has ended already.")
        self.let_go(id)
        return self.job(id)

    def delete(self, id: str) -> None:
        """Delete a job, its file and its report; one that runs is ended.

        Raises:
            RequestError: there is no such job.
        """
        self.job(id)
        self.store.delete(id)
        self.remove_files(id)

    def let_go(self, id: str) -> None:
        """Delete the file of a job that has ended, unless files are kept."""
        if not self.settings.keep and (file := self.file_of(id)) is not None:
            file.unlink(missing_ok=True)

    def remove_files(self, id: str) -> None:
        """Delete a job's file and report."""
        for suffix in SUFFIXES.values():
            (self._files / f"{id}{suffix}").unlink(missing_ok=True)
        self.report_of(id).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what has been there for too long."""
        if not self.settings.expire:
            return
        for id in self.store.ended_before(time.time() - self.settings.expire * _HOUR):
            self.store.delete(id)
            self.remove_files(id)

    def without_place(self, text: str, id: str, name: str) -> str:
        """A message about a job's file with the name that its sender gave it, in place of where it is."""
        for suffix in SUFFIXES.values():
            text = text.replace(str(self._files / f"{id}{suffix}"), name).replace(f"{id}{suffix}", name)
        return plain(text, 500)

    def _clear(self) -> None:
        """Delete what belongs to no job, as uploads that broke off; unless kept, files of jobs that have ended."""
        known = self.store.ids()
        for path in (*self._files.iterdir(), *self._reports.iterdir()):
            if path.is_file() and (path.stem not in known or path.suffix == ".part"):
                path.unlink(missing_ok=True)
        for id in self.store.ended_before(time.time()):
            self.let_go(id)
        self.sweep()
