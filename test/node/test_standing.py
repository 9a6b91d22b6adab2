import threading

import pytest

from test.node.test_engine import FakeModel, image, scenes, wait_for
from textregion_ros.core.errors import BadText
from textregion_ros.core.query import Query
from textregion_ros.node.cameras import Camera
from textregion_ros.node.engine import Engine
from textregion_ros.node.standing import Settings, StandingWork


class Listener:
    """Stands for the outputs of a camera: notes what is published."""

    def __init__(self, answers=True, tokens=False):
        self.answers, self.tokens = answers, tokens
        self.published = []

    def wants_answers(self):
        return self.answers

    def wants_tokens(self):
        return self.tokens

    def publish(self, answer, revision):
        self.published.append((revision, [found.text for found in answer.groundings]))


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def engine(model):
    engine = Engine(lambda: 0)
    engine.load(lambda: model, scenes())
    engine.start({"left": Camera("left"), "right": Camera("right")})
    yield engine
    model.go.set()
    engine.unload("the test is over")


@pytest.fixture
def failures():
    return []


@pytest.fixture
def work(engine, failures):
    settings = Settings(lambda query: query.completed((), None, 1), lambda: 0.0)
    return StandingWork(engine, settings, failures.append)


def put(engine, camera="left", value=1):
    engine.cameras[camera].put_image(image(value))


def test_every_camera_has_its_turn(engine, work):
    left, right = Listener(), Listener()
    work.begin({"left": left, "right": right})
    work.replace(Query(("red mug",)))
    put(engine, "left")
    put(engine, "right")
    work.tick()
    wait_for(lambda: left.published and right.published)
    work.tick()
    assert left.published == right.published == [(1, ["red mug"])]


def test_a_failure_stops_nothing(engine, model, work, failures):
    listener = Listener()
    work.begin({"left": listener})
    work.replace(Query(("red mug",)))
    model.broken = True
    put(engine)
    work.tick()
    wait_for(lambda: failures)
    model.broken = False
    put(engine, value=2)
    work.tick()
    wait_for(lambda: listener.published)
    assert len(failures) == 1


def test_an_exception_before_the_work_stops_nothing(engine, failures):
    """It left a lock locked, and there were no standing answers ever after."""
    rates = iter([ZeroDivisionError("no such parameter"), 0.0, 0.0, 0.0, 0.0])

    def rate():
        value = next(rates)
        if isinstance(value, Exception):
            raise value
        return value

    work = StandingWork(engine, Settings(lambda query: query, rate), failures.append)
    listener = Listener()
    work.begin({"left": listener})
    work.replace(Query(("red mug",), top_k=1))
    put(engine)
    work.tick()
    assert listener.published == []
    work.tick()
    wait_for(lambda: listener.published)


def test_an_answer_has_the_revision_of_its_own_queries(engine, model, work):
    """Revision and texts were kept apart, and an answer could bear the wrong one."""
    listener = Listener()
    work.begin({"left": listener})
    model.go.clear()
    work.replace(Query(("first",)))
    put(engine)
    work.tick()
    assert model.began.wait(30)
    work.replace(Query(("second",)))
    model.go.set()
    work.tick()
    wait_for(lambda: len(listener.published) == 2)
    assert listener.published == [(1, ["first"]), (2, ["second"])]


def test_revisions_are_counted_one_by_one_whoever_replaces(work):
    revisions = []

    def replace():
        for _ in range(50):
            revisions.append(work.replace(Query(("red mug",))).revision)

    threads = [threading.Thread(target=replace) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(revisions) == list(range(1, 201))


def test_who_listens_to_the_tokens_needs_no_query(engine, work):
    listener = Listener(answers=False, tokens=True)
    work.begin({"left": listener})
    put(engine)
    work.tick()
    wait_for(lambda: listener.published)
    assert listener.published == [(0, [])]


def test_nothing_is_done_where_nobody_listens(engine, model, work):
    work.begin({"left": Listener(answers=False)})
    work.replace(Query(("red mug",)))
    put(engine)
    work.tick()
    engine.embed(["behind any other work"], 30.0)
    assert model.encoded == []


def test_queries_of_a_camera_that_stopped_are_no_failures(engine, work, failures):
    work.begin({"left": Listener()})
    work.replace(Query(("red mug",)))
    put(engine)
    engine.cameras["left"].forget()
    work.tick()
    engine.stop("the node is not active")
    work.tick()
    assert failures == []


def test_a_text_that_the_model_refuses_is_a_failure_of_that_image_alone(
    engine, model, work, failures
):
    def embed(texts, between):
        raise BadText("too long")

    listener = Listener()
    work.begin({"left": listener})
    work.replace(Query(("red mug",)))
    embed_before, model.embed = model.embed, embed
    put(engine)
    work.tick()
    wait_for(lambda: failures)
    model.embed = embed_before
    work.replace(Query(("blue ball",)))
    work.tick()
    wait_for(lambda: listener.published)
    assert listener.published == [(2, ["blue ball"])]
