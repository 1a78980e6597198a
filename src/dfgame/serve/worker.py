"""The thread that inspects one file after the other, with the one detector that is in memory."""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

from dfgame.files import write_text
from dfgame.inspection.pipeline import inspect_files
from dfgame.records import Failure, FileVerdict, UserError, verdict_json
from dfgame.report.inspection_words import caveats, file_score_sentence, verdict_sentence
from dfgame.reports import command_of, report_page
from dfgame.serve.service import INSPECTED, Service
from dfgame.serve.store import Job

_PATIENCE = 20.0
"""Seconds that the end waits for what cannot be interrupted."""
_PAUSE = 10.0
"""Seconds after which what failed is tried again."""
_log = logging.getLogger(__name__)


class EndedError(Exception):
    """Somebody ended the job, or the server."""


def sentences(said: FileVerdict) -> list[str]:
    """What a page says of a file: the verdict, its score if the verdict rests on one, what to know beside it."""
    scored = said.p_fake is not None and said.verdict != "inconclusive"
    score = [file_score_sentence(said)] if scored else []
    return [verdict_sentence(said), *score, *caveats(said)]


class Worker:
    """Inspects what waits in a service's queue, the oldest first, until it is stopped."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stopped, self._news, self._failing = Event(), Event(), False
        self._thread = Thread(target=self._work, name="worker", daemon=True)
        service.queued = self._news.set
        service.works = lambda: self._thread.is_alive() and not self._failing

    def start(self) -> None:
        """Begin, with what waits already."""
        self._thread.start()

    def stop(self) -> None:
        """End; a job that runs is put back to its place in the queue."""
        self._stopped.set()
        self._news.set()
        self._thread.join(_PATIENCE)
        self._service.store.requeue_all()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self._service.store.requeue_all()  # which a failure may have left behind
                job = self._service.store.start_next()
                if job is not None:
                    self._run(job)
                self._failing = False
            except Exception:  # as of a full disk, where nothing can be noted
                _log.exception("the worker failed, and tries again in %g seconds", _PAUSE)
                self._failing = True
                self._stopped.wait(_PAUSE)
                continue
            if job is None:
                self._news.wait()
                self._news.clear()

    def _run(self, job: Job) -> None:
        service = self._service
        try:
            self._inspect(job)
        except EndedError:
            pass
        except UserError as error:
            service.store.fail(job.id, service.without_place(error.problem, job.id, job.name))
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise  # the job waits until there is room
            _log.exception("job %s", job.id)
            service.store.fail(job.id, f"The program failed ({type(error).__name__}); its log says more.")
        now = service.store.get(job.id)
        if now is None:
            service.remove_files(job.id)
        elif now.status in ("running", "queued"):
            service.store.requeue(job.id)
        else:
            service.let_go(job.id)
            if now.status != "done":
                service.report_of(job.id).unlink(missing_ok=True)

    def _inspect(self, job: Job) -> None:
        service = self._service
        file = service.file_of(job.id)
        if file is None:
            raise UserError("The file is not there any more.")
        watch = self._watch(job.id)
        (said,) = inspect_files([file], service.detector, service.inspecting, shown=False, watch=watch)
        if isinstance(said, Failure):
            raise UserError(said.reason)
        problem = said.error and service.without_place(said.error, job.id, job.name)
        said = replace(said, file=job.name, error=problem)
        words = sentences(said)
        try:
            with self._watched(watch):
                write_text(service.report_of(job.id), self._report(said, file))
        except UserError as error:
            words.append(f"There is no report: {service.without_place(error.problem, job.id, job.name)}")
        service.store.finish(job.id, verdict_json(said), words)

    def _watch(self, id: str) -> Callable[[float], None]:
        """Notes how far a job is, and ends it if it was ended elsewhere or takes too long."""
        limit = self._service.settings.timeout
        until = time.monotonic() + limit

        def watch(share: float) -> None:
            if self._stopped.is_set() or not self._service.store.advance(id, share * INSPECTED):
                raise EndedError
            if time.monotonic() > until:
                raise UserError(f"The inspection took longer than the {limit:,.6g} seconds that are given to it here.")

        return watch

    @contextmanager
    def _watched(self, watch: Callable[[float], None]) -> Iterator[None]:
        """Watch what the detector does meanwhile, too: the evidence of a report is many passes."""
        watch(1.0)
        ensemble = self._service.detector.ensemble
        scored = (ensemble, ensemble.members[0])  # evidence asks both
        hooks = [module.register_forward_pre_hook(lambda *_: watch(1.0)) for module in scored]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _report(self, said: FileVerdict, file: Path) -> str:
        service = self._service
        command = command_of(said.file, service.inspecting, "report.html")
        return report_page(said, service.detector, command, file, service.probe.crops(service.settings.timeout))
