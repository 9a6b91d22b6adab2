import gc
import threading
import time
import weakref

import pytest

from textregion_ros.core.errors import NotReady, Timeout
from textregion_ros.node.jobs import LoadingStopped, NotLoaded, Priority, Worker


class Thing:
    """Stands for a model, or for the result of a job."""


@pytest.fixture
def worker():
    worker = Worker(Thing)
    worker.wait_loaded()
    yield worker
    worker.close(30.0)


def hold(worker):
    """Have the worker do a job that ends with the event which is returned."""
    begun, go = threading.Event(), threading.Event()

    def wait(turn):
        begun.set()
        assert go.wait(30)

    worker.submit(wait)
    assert begun.wait(30)
    return go


def test_a_question_comes_before_standing_work_and_that_before_following(worker):
    done, go = [], hold(worker)
    jobs = [
        worker.submit(lambda _turn, number=number, kind=kind: done.append((kind, number)), kind)
        for number, kind in enumerate(
            (
                Priority.FOLLOWING,
                Priority.STANDING,
                Priority.QUESTION,
                Priority.STANDING,
                Priority.QUESTION,
            )
        )
    ]
    go.set()
    for job in jobs:
        job.result(30)
    assert done == [
        (Priority.QUESTION, 2),
        (Priority.QUESTION, 4),
        (Priority.STANDING, 1),
        (Priority.STANDING, 3),
        (Priority.FOLLOWING, 0),
    ]


def test_a_job_is_not_begun_after_its_deadline(worker):
    done, go = [], hold(worker)
    late = worker.submit(lambda _turn: done.append("late"), deadline=time.monotonic() - 1.0)
    go.set()
    with pytest.raises(Timeout):
        late.result(30)
    assert done == []


def test_a_job_may_look_at_its_deadline_between_its_steps(worker):
    steps = []

    def work(turn):
        while True:
            turn.check()
            steps.append(1)

    job = worker.submit(work, deadline=time.monotonic() + 0.05)
    with pytest.raises(Timeout):
        job.result(30)
    assert steps


def test_stopping_answers_who_waits_at_once_and_has_the_job_give_up(worker):
    begun, given_up = threading.Event(), threading.Event()

    def work(turn):
        begun.set()
        try:
            while True:
                turn.check()
        finally:
            given_up.set()

    running, behind = worker.submit(work), worker.submit(lambda _turn: None)
    assert begun.wait(30)
    assert worker.stop_jobs(30.0)
    with pytest.raises(NotReady):
        running.result(0)
    assert behind.cancelled()
    assert given_up.is_set()
    assert worker.submit(lambda _turn: "next").result(30) == "next"


def test_a_step_that_cannot_be_stopped_holds_nobody(worker):
    go = hold(worker)
    assert not worker.close(0.05)
    assert worker.submit(lambda _turn: None).cancelled()
    go.set()


def test_failures_are_counted_and_the_thread_goes_on():
    worker = Worker(Thing, harmless=(KeyError,))

    def fail(error):
        raise error

    for error in (ValueError("bad"), KeyError("expected")):
        with pytest.raises(type(error)):
            worker.submit(lambda _turn, error=error: fail(error)).result(30)
    assert (worker.failures, worker.last_error) == (1, "ValueError: bad")
    assert worker.is_failing
    assert worker.submit(lambda _turn: 1).result(30) == 1
    assert not worker.is_failing
    worker.close(30.0)


def test_closing_while_the_model_is_loaded():
    go = threading.Event()
    worker = Worker(lambda: go.wait(30) and Thing())
    assert not worker.is_loaded
    assert not worker.close(0.05)
    with pytest.raises(LoadingStopped):
        worker.wait_loaded()
    go.set()


def test_a_model_that_cannot_be_loaded():
    worker = Worker(lambda: 1 / 0)
    with pytest.raises(NotLoaded, match="could not be loaded: division by zero"):
        worker.wait_loaded()
    assert not worker.is_loaded


def test_results_are_let_go_of(worker):
    """A whole scene hung on the last job until the next one came."""
    result = worker.submit(lambda _turn: Thing())
    gone = weakref.ref(result.result(30))
    del result
    worker.submit(lambda _turn: None).result(30)
    gc.collect()
    assert gone() is None


def test_after_its_end_nobody_waits_for_the_model_in_vain():
    worker = Worker(Thing)
    worker.wait_loaded()
    assert worker.close(30.0)
    with pytest.raises(LoadingStopped):
        worker.wait_loaded()
