import gc
import threading
import time
import weakref
from concurrent import futures

import numpy as np
import pytest
from std_msgs.msg import Header

from textregion_ros.core.errors import (
    BadQuery,
    BadRequest,
    BadText,
    Busy,
    NoImage,
    NotReady,
    Stale,
    Timeout,
)
from textregion_ros.core.query import Query
from textregion_ros.core.results import Grounding, ImageHeader
from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.node.cameras import Camera
from textregion_ros.node.conversions.images import to_message
from textregion_ros.node.engine import MOST_ANSWERING, MOST_WAITING, Engine
from textregion_ros.node.frames import Freshness, Picture
from textregion_ros.node.jobs import NotLoaded
from textregion_ros.node.scenes import KeptFrames, Scenes

MUG = Query(("red mug",), top_k=1)
ANY = Freshness()
NOW = 100_000_000_000


class FakeModel:
    """Answers with the first pixel of the image as the score; may be held up, or fail."""

    identity = "first pixel"

    def __init__(self):
        self.encoded = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()
        self.threads = set()
        self.texts = []
        self.broken = False
        self.error = RuntimeError("the model broke")

    def encode(self, rgb):
        self.threads.add(threading.get_ident())
        self.began.set()
        assert self.go.wait(30)
        if self.broken:
            raise self.error
        self.encoded.append(int(rgb[0, 0, 0]))
        none = np.zeros((0, 4))
        encoded = EncodedFrame((1, 1), none, none, np.full((1, 1), rgb[0, 0, 0]), none)
        return Scene(Observation(rgb), encoded)

    def embed(self, texts, between):
        self.texts += texts
        for _ in texts:
            between()
        return np.zeros((len(texts), 1), np.float32)

    def ground(self, scene, texts, negatives, threshold, top_k, language):
        score = float(scene.tokens[0, 0])
        return [Grounding(text, True, score, (), None) for text in texts]


def image(value=0, seconds=0):
    header = Header()
    header.stamp.sec = seconds
    return to_message(np.full((1, 1, 3), value, np.uint8), header)


def picture(value=0):
    return Picture(Observation(np.full((1, 1, 3), value, np.uint8), header=ImageHeader("", 5)))


@pytest.fixture
def model():
    return FakeModel()


def scenes():
    return Scenes(KeptFrames(2, 1 << 20))


@pytest.fixture
def engine(model):
    engine = Engine(lambda: NOW)
    engine.load(lambda: model, scenes())
    engine.start({"": Camera()})
    yield engine
    model.go.set()
    engine.unload("the test is over")


def put(engine, value=0, seconds=0, camera=""):
    engine.cameras[camera].put_image(image(value, seconds), is_busy=engine.worker.is_busy)


def ask(engine, source="", freshness=ANY, timeout=0.0, limit=30.0):
    return engine.ask(MUG, source, freshness, timeout, limit)


def in_thread(function, *arguments, name=None):
    """Start the function and return a function that waits for what it returned or raised."""
    outcome = []

    def run():
        try:
            outcome.append(function(*arguments))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()

    def result():
        thread.join(30)
        return outcome[0]

    return result


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_the_newest_frame_is_used(engine):
    put(engine, 1)
    put(engine, 2)
    assert ask(engine).groundings[0].score == 2.0


def test_the_newest_frame_is_the_newest_when_the_work_begins(engine, model):
    model.go.clear()
    put(engine, 1)
    first = in_thread(ask, engine)
    assert model.began.wait(30)
    second = in_thread(ask, engine, "", ANY, 20.0)
    put(engine, 2)
    put(engine, 3)
    model.go.set()
    assert first().groundings[0].score == 1.0
    assert second().groundings[0].score == 3.0
    assert model.encoded == [1, 3]


def test_nothing_is_encoded_before_somebody_asks(engine, model):
    for value in range(5):
        put(engine, value)
    ask(engine)
    assert model.encoded == [4]


def test_a_kept_frame_is_not_encoded_again(engine, model):
    put(engine, 5)
    assert ask(engine).encode_ms > 0.0
    again = ask(engine)
    assert again.encode_ms == 0.0
    assert again.query_ms > 0.0
    assert ask(engine, source=picture(5)).encode_ms == 0.0
    assert model.encoded == [5]


def test_a_frame_given_comes_before_the_camera(engine):
    put(engine, 1)
    given = picture(9)
    answer = ask(engine, given, Freshness(newer_than=10**18))
    assert answer.image == given.header
    assert answer.groundings[0].score == 9.0


@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_no_image(engine, timeout):
    with pytest.raises(NoImage, match="no camera image"):
        ask(engine, timeout=timeout)


@pytest.mark.parametrize(
    ("freshness", "sentence"),
    [
        (Freshness(newer_than=50_000_000_000), "not newer than newer_than, but 0.000 s older"),
        (Freshness(newer_than=52_000_000_000), "not newer than newer_than, but 2.000 s older"),
        (Freshness(max_age=49_999_000_000), "50.000 s old, more than max_age, 49.999 s"),
    ],
)
@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_a_stale_image(engine, freshness, sentence, timeout):
    put(engine, seconds=50)
    with pytest.raises(Stale, match=sentence):
        ask(engine, freshness=freshness, timeout=timeout)


@pytest.mark.parametrize(
    "freshness", [Freshness(newer_than=49_999_999_999), Freshness(max_age=50_000_000_000)]
)
def test_an_image_that_is_just_fresh(engine, freshness):
    put(engine, seconds=50)
    assert ask(engine, freshness=freshness).groundings[0].found


def test_a_query_waits_for_a_newer_image(engine):
    put(engine, 1, seconds=50)
    answer = in_thread(ask, engine, "", Freshness(newer_than=50_000_000_000), 20.0)
    put(engine, 2, seconds=50)
    put(engine, 3, seconds=51)
    assert answer().groundings[0].score == 3.0


def test_work_that_takes_too_long(engine, model):
    model.go.clear()
    put(engine, 1)
    with pytest.raises(Timeout, match=r"no answer within 0\.050 s"):
        ask(engine, timeout=0.05)
    model.go.set()
    assert ask(engine, timeout=20.0).groundings[0].found


def test_a_failure_is_counted_and_the_worker_goes_on(engine, model):
    put(engine, 1)
    model.broken = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the model broke"):
            ask(engine)
    model.broken = False
    assert ask(engine).groundings[0].found
    assert engine.worker.failures == 2


def test_one_thread_has_the_model(engine, model):
    for value in range(3):
        put(engine, value)
        ask(engine)
    assert len(model.threads) == 1
    assert model.threads != {threading.get_ident()}


def hold(engine, model, count):
    """Have so many queries being answered, none of which ends before `model.go`."""
    model.go.clear()
    put(engine, 1)
    pending = [in_thread(ask, engine) for _ in range(count)]
    assert model.began.wait(30)
    return pending


def refused_as_busy(engine, *arguments):
    try:
        ask(engine, *arguments)
    except Busy:
        return True
    except (NoImage, Stale, Timeout):
        pass
    return False


def test_a_surplus_of_queries_is_told_that_the_node_is_busy(engine, model):
    """The surplus had no reply at all."""
    pending = hold(engine, model, MOST_ANSWERING)
    wait_for(lambda: refused_as_busy(engine, picture(9), ANY, 0.01))
    with pytest.raises(Busy, match=f"{MOST_ANSWERING} queries are being answered already"):
        ask(engine)
    model.go.set()
    assert all(result().groundings for result in pending)
    assert ask(engine).groundings


def test_those_who_wait_for_an_image_keep_nobody_from_an_answer(engine):
    """Eight dead clients with long timeouts kept everybody out."""
    late = Freshness(newer_than=10**18)
    pending = [in_thread(ask, engine, "", late, 30.0) for _ in range(MOST_WAITING)]
    wait_for(lambda: refused_as_busy(engine, "", late, 0.01))
    put(engine, 1)
    assert ask(engine).groundings[0].found
    assert ask(engine, source=picture(3)).groundings[0].score == 3.0
    engine.stop("the node is not active")
    assert {type(result()) for result in pending} == {NotReady}


def test_the_time_of_a_query_is_bounded_where_it_sets_no_limit(engine, model):
    hold(engine, model, 1)
    with pytest.raises(Timeout, match=r"no answer within 0\.050 s"):
        ask(engine, limit=0.05)


def test_work_that_nobody_waits_for_any_more_is_not_begun(engine, model):
    (working,) = hold(engine, model, 1)
    with pytest.raises(Timeout):
        ask(engine, source=picture(7), timeout=0.05)
    model.go.set()
    working()
    assert ask(engine, source=picture(8)).groundings[0].score == 8.0
    assert model.encoded == [1, 8]


def test_many_texts_are_given_up_when_the_time_is_up(engine, model):
    """Sixty new sentences were encoded to the end after the reply had gone."""
    begun, go = threading.Event(), threading.Event()

    def embed(texts, between):
        for _ in texts:
            model.texts.append("one")
            begun.set()
            assert go.wait(30)
            between()

    model.embed = embed
    put(engine, 1)
    many = Query(tuple(f"thing {number}" for number in range(60)), top_k=1)
    with pytest.raises(Timeout):
        engine.ask(many, "", ANY, 0.05, 30.0)
    assert begun.wait(30)
    go.set()
    wait_for(lambda: not engine.worker.is_busy)
    assert model.texts == ["one"]
    assert model.encoded == []


def test_an_answer_that_is_ready_as_the_time_runs_out_is_the_answer(engine, monkeypatch):
    """It became an error with a traceback."""
    put(engine, 1)
    original = futures.Future.result

    def result(job, timeout=None):
        if timeout is not None:
            wait_for(job.done)
            raise futures.TimeoutError
        return original(job)

    monkeypatch.setattr(futures.Future, "result", result)
    assert ask(engine).groundings[0].score == 1.0


def test_vectors_of_texts(engine):
    found = engine.embed(["red mug", "spoon"], 30.0)
    assert (found.encoder, found.vectors.shape) == ("first pixel", (2, 1))


def test_texts_are_checked_where_there_is_a_model(engine, model):
    def embed(texts, between):
        raise BadText("too long")

    model.embed = embed
    with pytest.raises(BadText, match="too long"):
        engine.check_texts(["red mug"], 30.0)
    engine.unload("no model")
    engine.check_texts(["red mug"], 30.0)


def test_a_model_that_is_still_being_loaded(model):
    loaded = threading.Event()
    engine = Engine(lambda: NOW)
    loading = in_thread(engine.load, lambda: loaded.wait(30) and model, scenes())
    wait_for(lambda: engine.worker)
    with pytest.raises(NotReady, match="still being loaded"):
        ask(engine, source=picture(1))
    waiting = in_thread(ask, engine, picture(1), ANY, 20.0)
    loaded.set()
    assert loading() is model
    engine.start({"": Camera()})
    assert waiting().groundings[0].found
    engine.unload("the test is over")


def test_a_model_that_cannot_be_loaded():
    def load():
        raise ValueError("weights are missing; run textregion fetch clip")

    engine = Engine(lambda: NOW)
    with pytest.raises(NotLoaded, match="could not be loaded: weights are missing"):
        engine.load(load, scenes())
    engine.unload("no model")


def test_stopping_sends_away_who_waits_for_an_image(engine):
    waiting = in_thread(ask, engine, "", ANY, 30.0)
    engine.stop("the node is not active")
    assert isinstance(waiting(), NotReady)
    assert str(waiting()) == "the node is not active"


def test_stopping_sends_away_who_is_waited_on_and_who_is_behind(engine, model):
    model.go.clear()
    put(engine, 1)
    working = in_thread(ask, engine)
    assert model.began.wait(30)
    behind = in_thread(ask, engine, picture(2), ANY, 30.0)
    stopping = in_thread(engine.stop, "the node is not active")
    assert isinstance(working(), NotReady)
    assert (type(behind()), str(behind())) == (NotReady, "the node is not active")
    model.go.set()
    stopping()
    assert model.encoded == [1]


def test_unloading_answers_everybody_at_once_however_long_the_work_takes(engine, model):
    """Pitfall 4, silence: who waits without a time limit is told too."""
    model.go.clear()
    put(engine, 1)
    working = in_thread(ask, engine)
    assert model.began.wait(30)
    behind = in_thread(ask, engine, picture(2))
    unloading = in_thread(engine.unload, "the node is shutting down")
    assert isinstance(working(), NotReady)
    assert (type(behind()), str(behind())) == (NotReady, "the node is shutting down")
    model.go.set()
    unloading()


def test_a_time_limit_of_the_model_itself_is_an_error(engine, model):
    put(engine, 1)
    model.error = TimeoutError("the GPU did not answer")
    model.broken = True
    with pytest.raises(TimeoutError, match="the GPU"):
        ask(engine, timeout=20.0)


def test_images_from_before_a_stop_are_forgotten(engine):
    put(engine, 1)
    engine.stop("the node is not active")
    engine.start({"": Camera()})
    with pytest.raises(NoImage, match="no camera image"):
        ask(engine)


def test_a_model_is_let_go_of():
    engine = Engine(lambda: NOW)
    let_go = weakref.ref(engine.load(FakeModel, scenes()))
    engine.start({"": Camera()})
    put(engine, 1)
    ask(engine)
    engine.unload("the node is not configured")
    with pytest.raises(NotReady, match="not configured"):
        ask(engine, source=picture(1), timeout=20.0)
    gc.collect()
    assert let_go() is None


def test_an_image_that_grows_too_old_while_the_worker_is_busy_is_waited_for_again(model):
    now, looked = [NOW], threading.Event()

    def clock():
        if threading.current_thread().name == "waits":
            looked.set()
        return now[0]

    engine = Engine(clock)
    engine.load(lambda: model, scenes())
    engine.start({"": Camera()})
    model.go.clear()
    put(engine, 1, seconds=99)
    busy = in_thread(ask, engine)
    assert model.began.wait(30)
    waiting = in_thread(ask, engine, "", Freshness(max_age=2_000_000_000), 20.0, name="waits")
    assert looked.wait(30)
    now[0] += 5_000_000_000
    model.go.set()
    assert busy().groundings[0].score == 1.0
    put(engine, 2, seconds=104)
    assert waiting().groundings[0].score == 2.0
    engine.unload("the test is over")


@pytest.fixture
def two_cameras(engine):
    engine.stop("other cameras come")
    engine.start({"left": Camera("left"), "right": Camera("right")})
    return engine


def test_the_camera_is_asked_for_by_name(two_cameras):
    put(two_cameras, 1, camera="left")
    put(two_cameras, 2, camera="right")
    assert ask(two_cameras, "left").groundings[0].score == 1.0
    answer = ask(two_cameras, "right")
    assert (answer.groundings[0].score, answer.image.camera) == (2.0, "right")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", 'camera is empty and there are several: "left", "right"'),
        ("top", 'there is no camera "top"; there are "left", "right"'),
    ],
)
def test_a_camera_that_is_not_there(two_cameras, name, sentence):
    with pytest.raises(BadRequest) as refusal:
        ask(two_cameras, name)
    assert str(refusal.value) == sentence
    assert ask(two_cameras, source=picture(7)).groundings[0].score == 7.0


def test_a_camera_without_a_name_has_none(engine):
    with pytest.raises(BadRequest, match='no camera "left"; the only one has no name'):
        ask(engine, "left")


def test_images_that_nobody_used_while_the_worker_was_busy_are_counted(engine, model):
    for value in range(3):
        put(engine, value)
    assert engine.cameras[""].dropped == 0
    model.go.clear()
    working = in_thread(ask, engine)
    assert model.began.wait(30)
    for value in range(3, 6):
        put(engine, value)
    model.go.set()
    working()
    camera = engine.cameras[""]
    assert (camera.images, camera.used, camera.dropped) == (6, 1, 2)


@pytest.mark.parametrize(
    ("query", "kind", "sentence"),
    [
        (Query(()), BadText, "texts is empty"),
        (Query(("red mug", " \t")), BadText, "text 2 is blank"),
        (Query(("red mug",), ("",)), BadText, "negative 1 is blank"),
        (Query(("red mug",), (), 1.5), BadQuery, "threshold is 1.5 and must be within 0..1"),
        (Query(("red mug",), (), -0.5), BadQuery, "threshold is -0.5"),
        (Query(("red mug",), (), float("nan")), BadQuery, "threshold is nan"),
        (Query(("red mug",), top_k=-1), BadQuery, "top_k is -1"),
    ],
)
def test_a_query_that_is_wrong(query, kind, sentence):
    with pytest.raises(kind, match=sentence):
        query.check()


def test_standing_queries_may_be_none_but_not_wrong():
    """With no texts nothing was checked."""
    Query(()).check_standing()
    with pytest.raises(BadQuery):
        Query((), (), float("nan")).check_standing()
    with pytest.raises(BadText):
        Query((), (" ",)).check_standing()
