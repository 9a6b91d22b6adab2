import gc
import threading
import time
import weakref

import numpy as np
import pytest
from std_msgs.msg import Header

from textregion_ros.node.answers import Freshness, Question, Refusal
from textregion_ros.node.cameras import Camera
from textregion_ros.node.encodings import Encodings, KeptFrames
from textregion_ros.node.engine import MOST_WAITING, Engine
from textregion_ros.node.frames import Frame
from textregion_ros.node.images import to_message
from textregion_ros.node.worker import NotLoaded
from textregion_ros.regions import EncodedFrame, Grounding
from textregion_ros.srv import Query

QUESTION = Question(("red mug",))
ANY = Freshness()
NOW = 100_000_000_000


class FakeModel:
    """Answers with the first pixel of the frame as the score; may be held up, or fail."""

    def __init__(self):
        self.encoded = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()
        self.threads = set()
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
        return EncodedFrame((1, 1), none, none, np.full((1, 1), rgb[0, 0, 0]), none)

    def ground(self, frame, texts, negatives, threshold, top_k):
        score = float(frame.tokens[0, 0])
        return [Grounding(text, True, score, (), None) for text in texts]


def image(value=0, seconds=0):
    header = Header()
    header.stamp.sec = seconds
    return to_message(np.full((1, 1, 3), value, np.uint8), header)


def frame(value=0, seconds=0):
    return Frame(image(value, seconds))


@pytest.fixture
def model():
    return FakeModel()


def encodings():
    return Encodings(KeptFrames(2, 1 << 20))


@pytest.fixture
def engine(model):
    engine = Engine(lambda: NOW)
    engine.load(lambda: model, encodings())
    engine.start({"": Camera()})
    yield engine
    model.go.set()
    engine.unload("the test is over")


def put(engine, value=0, seconds=0, camera=""):
    engine.cameras[camera].put_image(image(value, seconds), is_busy=engine.worker.is_busy)


def ask(engine, given=None, freshness=ANY, timeout=0.0, camera=""):
    return engine.ask(QUESTION, given, freshness, timeout, camera)


def in_thread(function, *arguments):
    """Start the function and return a function that waits for what it returned or raised."""
    outcome = []

    def run():
        try:
            outcome.append(function(*arguments))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
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
    second = in_thread(ask, engine, None, ANY, 20.0)
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
    assert ask(engine, given=frame(5)).encode_ms == 0.0
    assert model.encoded == [5]


def test_a_frame_given_comes_before_the_camera(engine):
    put(engine, 1)
    given = frame(9)
    answer = ask(engine, given, Freshness(newer_than=10**18))
    assert answer.frame is given
    assert answer.groundings[0].score == 9.0


@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_no_image(engine, timeout):
    with pytest.raises(Refusal, match="no camera image") as refusal:
        ask(engine, timeout=timeout)
    assert refusal.value.status == Query.Response.NO_IMAGE


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
    with pytest.raises(Refusal, match=sentence) as refusal:
        ask(engine, freshness=freshness, timeout=timeout)
    assert refusal.value.status == Query.Response.STALE


@pytest.mark.parametrize(
    "freshness", [Freshness(newer_than=49_999_999_999), Freshness(max_age=50_000_000_000)]
)
def test_an_image_that_is_just_fresh(engine, freshness):
    put(engine, seconds=50)
    assert ask(engine, freshness=freshness).groundings[0].found


def test_a_query_waits_for_a_newer_image(engine):
    put(engine, 1, seconds=50)
    answer = in_thread(ask, engine, None, Freshness(newer_than=50_000_000_000), 20.0)
    put(engine, 2, seconds=50)
    put(engine, 3, seconds=51)
    assert answer().groundings[0].score == 3.0


def test_work_that_takes_too_long(engine, model):
    model.go.clear()
    put(engine, 1)
    with pytest.raises(Refusal, match=r"no answer within 0\.050 s") as refusal:
        ask(engine, timeout=0.05)
    assert refusal.value.status == Query.Response.TIMEOUT
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


def test_too_many_queries_are_turned_away(engine, model):
    model.go.clear()
    put(engine, 1)
    waiting = [in_thread(ask, engine) for _ in range(MOST_WAITING)]
    assert model.began.wait(30)
    while engine._places.acquire(blocking=False):  # until all of them have their place
        engine._places.release()
    with pytest.raises(Refusal, match="waiting already") as refusal:
        ask(engine)
    assert refusal.value.status == Query.Response.NOT_READY
    model.go.set()
    assert all(result().groundings for result in waiting)
    assert ask(engine).groundings


def test_a_model_that_is_still_being_loaded(model):
    loaded = threading.Event()
    engine = Engine(lambda: NOW)
    loading = in_thread(engine.load, lambda: loaded.wait(30) and model, encodings())
    wait_for(lambda: engine.worker)
    with pytest.raises(Refusal, match="still being loaded") as refusal:
        ask(engine, given=frame(1))
    assert refusal.value.status == Query.Response.NOT_READY
    waiting = in_thread(ask, engine, frame(1), ANY, 20.0)
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
        engine.load(load, encodings())
    engine.unload("no model")


def test_stopping_sends_away_who_waits_for_an_image(engine):
    waiting = in_thread(ask, engine, None, ANY, 30.0)
    engine.stop("the node is not active")
    assert isinstance(waiting(), Refusal)
    assert waiting().status == Query.Response.NOT_READY
    assert str(waiting()) == "the node is not active"


def test_stopping_waits_for_the_work_and_sends_away_what_is_behind_it(engine, model):
    model.go.clear()
    put(engine, 1)
    working = in_thread(ask, engine)
    assert model.began.wait(30)
    behind = in_thread(ask, engine, frame(2), ANY, 30.0)
    stopping = in_thread(engine.stop, "the node is not active")
    wait_for(lambda: engine.gate.why)
    model.go.set()
    stopping()
    assert working().groundings[0].score == 1.0
    assert isinstance(behind(), Refusal)
    assert model.encoded == [1]


def test_unloading_sends_away_who_is_behind_the_work(engine, model):
    """Pitfall 4, silence: who waits without a time limit is told too."""
    model.go.clear()
    put(engine, 1)
    working = in_thread(ask, engine)
    assert model.began.wait(30)
    behind = in_thread(ask, engine, frame(2))
    wait_for(lambda: engine._places._value == MOST_WAITING - 2)
    time.sleep(0.1)
    unloading = in_thread(engine.unload, "the node is shutting down")
    wait_for(lambda: engine.gate.why)
    assert str(behind()) == "the node is shutting down"
    model.go.set()
    unloading()
    assert working().groundings[0].score == 1.0


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
    with pytest.raises(Refusal, match="no camera image"):
        ask(engine)


def test_a_model_is_let_go_of():
    engine = Engine(lambda: NOW)
    let_go = weakref.ref(engine.load(FakeModel, encodings()))
    engine.start({"": Camera()})
    put(engine, 1)
    ask(engine)
    engine.unload("the node is not configured")
    with pytest.raises(Refusal, match="not configured"):
        ask(engine, given=frame(1), timeout=20.0)
    gc.collect()
    assert let_go() is None


def test_a_frame_that_grows_too_old_while_the_worker_is_busy_is_waited_for_again(model):
    now = [NOW]
    engine = Engine(lambda: now[0])
    engine.load(lambda: model, encodings())
    engine.start({"": Camera()})
    model.go.clear()
    put(engine, 1, seconds=99)
    busy = in_thread(ask, engine)
    assert model.began.wait(30)
    waiting = in_thread(ask, engine, None, Freshness(max_age=2_000_000_000), 20.0)
    wait_for(lambda: engine._places._value == MOST_WAITING - 2)
    time.sleep(0.1)
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
    assert ask(two_cameras, camera="left").groundings[0].score == 1.0
    answer = ask(two_cameras, camera="right")
    assert (answer.groundings[0].score, answer.frame.camera) == (2.0, "right")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", 'camera is empty and there are several: "left", "right"'),
        ("top", 'there is no camera "top"; there are "left", "right"'),
    ],
)
def test_a_camera_that_is_not_there(two_cameras, name, sentence):
    with pytest.raises(Refusal) as refusal:
        ask(two_cameras, camera=name)
    assert refusal.value.status == Query.Response.BAD_REQUEST
    assert str(refusal.value) == sentence
    assert ask(two_cameras, given=frame(7), camera=name).groundings[0].score == 7.0


def test_a_camera_without_a_name_has_none(engine):
    with pytest.raises(Refusal, match='no camera "left"; the only one has no name'):
        ask(engine, camera="left")


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
    ("question", "sentence"),
    [
        (Question(()), "texts is empty"),
        (Question(("red mug", " \t")), "text 2 is blank"),
        (Question(("red mug",), ("",)), "negative 1 is blank"),
        (Question(("red mug",), (), 1.5), "threshold is 1.5 and must be 0..1"),
        (Question(("red mug",), (), -0.5), "threshold is -0.5"),
        (Question(("red mug",), (), float("nan")), "threshold is nan"),
    ],
)
def test_a_question_that_is_wrong(question, sentence):
    with pytest.raises(Refusal, match=sentence) as refusal:
        question.check()
    assert refusal.value.status == Query.Response.BAD_REQUEST
