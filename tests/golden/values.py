"""The value that the newest file of every stored format holds, every optional field set."""

from api.http.pagination import AuditCursor, SortedTaskCursor, TaskCursor, TrackCursor, UsageCursor
from console.config.state import State
from console.config.values import View
from console.stack.data_directory import Secrets, Stores
from streamproc.contract.audit import AuditRecord
from streamproc.contract.chunk import (
    CHUNK_OBJECT,
    Chunk,
    ChunkError,
    Delta,
    Gap,
    Notice,
    RecordingLoss,
    Result,
    Roi,
    StreamInfo,
    Target,
    Usage,
)
from streamproc.contract.lag_counts import LagCounts
from streamproc.contract.object_keys import Expired, Final, PictureInfo, SegmentInfo
from streamproc.contract.recordings import PieceInfo
from streamproc.contract.records import (
    Attempt,
    CancelRequested,
    Claim,
    ConsumerBeat,
    Continue,
    DeadLetter,
    FoldPoint,
    KeyEnd,
    KeyUse,
    LiveSourceState,
    Project,
    ProjectKey,
    ProjectLimits,
    RecordingState,
    Submitted,
    TrackVector,
    WorkerBeat,
    encode_vectors,
)
from streamproc.contract.sandbox import Sandbox
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.stored_request import StoredRequest
from streamproc.contract.task_spec import (
    FrameRange,
    LiveOptions,
    Recording,
    Sampling,
    SourceRef,
    Step,
    TaskSpec,
    When,
)
from streamproc.providers.live_state import LiveState
from streamproc.providers.local import AnnouncedStream, LocalState
from streamproc.providers.upstream.position import UpstreamState
from streamproc.sinks.archive.actions import VectorEntry
from streamproc.sinks.archive.live import LiveMark
from streamproc.source.live.hls.place import LastFrame
from streamproc.source.live.recording.picture import RecordedPicture
from streamproc.source.live_source.accounts import Totals
from streamproc.source.types import ResumePoint
from streamproc.stages.tracking.state import PackedArray, TrackerState
from streamproc.worker.checkpoint import Checkpoint

TASK = "vt_0192f0c1d2e37abc8def0123456789ab"
PROJECT = "prj_0123456789abcdef"
KEY = "key_0123456789abcdef"
URL = "https://videos.example.com/gate.mp4?token=***"

POINT = FoldPoint(
    position=41, epoch=17, next_off=1234, next_seq=5, last_frame=120, ckpt_position=40
)
SPEC = TaskSpec(
    source=SourceRef(url=URL, object_key=None, sealed=True),
    steps=(
        Step("detect", "nanodet-g@1.0.0", {"threshold": 0.5, "classes": ["person"]}),
        Step(
            "ocr",
            "ppocr@1.0.0",
            {"threshold": 0.5, "classes": ["person"]},
            When(class_is=("person", "car"), min_confidence=0.25),
        ),
    ),
    sampling=Sampling("interval", 12.0),
    range=FrameRange(1.5, 9.25, "seconds"),
    max_frames=None,
    model_hint="cloud",
    providers=("local", "cloud"),
    stream=1,
    precision="f32",
    live=LiveOptions("udp", "conceal", 1.5, 3600.0, retention_days=14, record=Recording(86400)),
)
CHUNK = Chunk(
    id=TASK,
    object=CHUNK_OBJECT,
    stream_info=StreamInfo(
        frame_index=120,
        total_frames=None,
        decoded_frames=100,
        dropped_frames=110,
        fps=23.976,
        elapsed_ms=5123,
        time_s=5.005,
        total_frames_is_estimate=True,
        sample_aspect_ratio=(4, 3),
        frame_size=(640, 480),
        frame_index_is_estimate=True,
        captured_at="2026-01-01T00:00:05.005Z",
        clock="source",
        lag_ms=157,
        size=(1280, 720),
        gap=Gap("source_lost", 22.3),
        recording_lost=RecordingLoss("no_store", 2, 301, 17, 317),
        source=Notice("lost", "source_timeout", 3),
    ),
    delta=Delta(
        (
            Result(
                0,
                (
                    Target(
                        track_id=7,
                        class_name="person",
                        confidence=0.75,
                        roi=Roi(1, 2, 30, 40),
                        text="GATE 7",
                        text_confidence=0.5,
                        feature_digest="sha256:" + "78" * 32,
                        feature="AAECAw==",
                    ),
                ),
            ),
        )
    ),
    finish_reason="error",
    model="cloud",
    provider="local",
    usage=Usage(11, 4321, 100, 2, 89, {"sampling": 89, "overload": 21}),
    error=ChunkError("source_lost", "The camera is away."),
)
ATTEMPT = Attempt("cloud", "upstream_unavailable", "the upstream answered with status 503")
CLAIM = Claim(
    worker="host-1/4711",
    slice=2,
    provider="local",
    precision="f32",
    device="CPU",
    parent=9,
    attempts=(ATTEMPT,),
    life=1767225500000,
    alone=True,
    started_ms=1767225400000,
)
SUBMITTED = Submitted(TASK, PROJECT, 3, 1767225600123, SPEC, POINT, 2.0)
CONTINUE = Continue(SUBMITTED, 3, POINT, 17, CLAIM, 1767225601000)
CANCEL_REQUESTED = CancelRequested(TASK, PROJECT, 1767225602000)
PROJECT_RECORD = Project(
    PROJECT,
    "Gate cameras",
    1767225000000,
    ProjectLimits(
        submissions_per_minute=60,
        open_streams=100,
        upload_bytes_per_day=10**10,
        stored_bytes=10**12,
        open_tasks=50,
        weight=2,
    ),
)
PROJECT_KEY = ProjectKey(
    hash="ab" * 32,
    project=PROJECT,
    name="gate",
    prefix="fw_Abc",
    created_ms=1767225000001,
    revoked=True,
    scopes=("read", "submit"),
    expires_ms=1798761600000,
    replaces=KEY,
)
KEY_END = KeyEnd("ab" * 32, 1767229200000, "key_fedcba9876543210")
KEY_USE = KeyUse("ab" * 32, 1767225660000)
DEAD_LETTER = DeadLetter(
    task=TASK,
    project=PROJECT,
    code="worker_crash",
    message="three workers were lost",
    dead_ms=1767225700000,
    role="index",
    topic="video.chunks",
    partition=3,
    position=77,
)
WORKER_BEAT = WorkerBeat(
    worker="host-1/4711",
    host="host-1",
    pid=4711,
    started_ms=1767225500000,
    beat_ms=1767225600000,
    device="CPU",
    precision="f32",
    models=("nanodet-g@1.0.0",),
    slots=4,
    busy=2,
    fps=24.5,
    processed_frames=1000,
    partitions=(0, 3),
    rss_bytes=512 * 2**20,
    sandbox=Sandbox(("network_namespace",)),
    standing=(3,),
    waiting_for="kafka",
    waiting_for_store=1,
    device_fault="GPU: nanodet-g@1.1.0/network gives values that are not finite",
    cpu_percent=187.5,
    live_slots=8,
    live_busy=1,
    live=(
        LiveSourceState(
            task=TASK,
            state="lost",
            since_ms=1767225599000,
            code="source_timeout",
            reconnects=3,
            last_frame_ms=1767225598000,
            fps=4.9,
            lag_ms=157,
            keyframe_interval_s=2.0,
            recording=RecordingState(360, 1_800_000_000, 2, 301, 1767225597500),
        ),
    ),
    dropped={"sampling": 89, "overload": 21},
    sources=("gate",),
    pictures={"stored": 12, "no_store": 3},
    recordings={"stored": 360, "no_store": 2},
    lags=LagCounts((0.1, 1.0), (7, 2, 1), 33.5),
)
CONSUMER_BEAT = ConsumerBeat(
    role="index",
    host="host-1",
    pid=4712,
    started_ms=1767225500000,
    beat_ms=1767225600000,
    partitions=(0, 1),
    standing=(1,),
    waiting_for="ClickHouse",
    n_renewals=2,
    cpu_percent=12.5,
    rss_bytes=104857600,
)
AUDIT_RECORD = AuditRecord(
    id="0011223344556677",
    at_ms=1767225600000,
    actor=KEY,
    project=PROJECT,
    action="task.cancel",
    object=TASK,
    address="192.0.2.7",
    outcome="denied",
    status=403,
    detail="scope",
    suppressed=4,
)
VECTORS = (TrackVector(7, 0.75, bytes(range(8))), TrackVector(9, 0.75, bytes(range(8))))
VECTOR_ENTRIES = (VectorEntry(1234, 120, encode_vectors(VECTORS[:1])),)
TRACKER_STATE = TrackerState(
    next_id=8,
    n_frames=11,
    last_time_s=5.005,
    last_frame_index=120,
    columns={"ids": PackedArray("<i4", (1,), b"\x07\0\0\0")},
)
LOCAL_STATE = LocalState(
    frame=ResumePoint(120, 61440, 121, 1, 2, pos=98765, index_is_estimate=True),
    emitted=11,
    tracker=TRACKER_STATE,
    best={7: 0.75},
    seekable=False,
    told=AnnouncedStream(600, False, 23.976),
    content="sha256:" + "12" * 32,
    validators_differ=True,
)
LIVE_STATE = LiveState(
    totals=Totals(120, 100, {"sampling": 89, "overload": 21}),
    processed=11,
    first_wall_s=1767225600.25,
    time_s=5.005,
    size=(1280, 720),
    tracker=TRACKER_STATE,
    best={7: 0.75},
    range_index=17,
    hls=LastFrame(4711, b"\x12" * 8, 61440),
)
UPSTREAM_STATE = UpstreamState("vt_upstream", 4321, 17, b"\x56" * 16)
CHECKPOINT = Checkpoint("local", 1767225601000, 11, "sha256:" + "34" * 32, b"engine's own")
SEGMENT = SegmentInfo(
    17,
    5,
    120,
    42,
    1767225601000,
    closed=True,
    attempts=(ATTEMPT,),
    digest="ab" * 32,
    chain="cd" * 32,
    first_ms=1767225601250,
    last_ms=1767225631250,
    provider="cloud 2 %é",
)
PICTURE = PictureInfo(1920, 1080, 4711, 1767225601250)
EXPIRED = Expired(98765)
LIVE_MARK = LiveMark(14, 86400)
PIECE = PieceInfo("h264", 1920, 1080, 4960, 251, 1767225601250, 1767225611250)
PICTURES = (
    RecordedPicture(
        b"\0\0\0\x01\x09\xf0\0\0\0\x01\x65" + bytes(range(256)) * 2, 4711, 7200, True, 1767225601250
    ),
    RecordedPicture(
        b"\0\0\x01\x09\xf0\0\0\x01\x61" + b"P" * 300, 4714, 18000, False, 1767225601370
    ),
    RecordedPicture(b"\0\0\0\x01\x09\xf0\0\0\x01\x01B", None, 10800, False, 1767225601290),
    RecordedPicture(
        b"\0\0\0\x01\x09\xf0\0\0\x01\x01" + b"b" * 131, 4713, 14400, False, 1767225601330
    ),
)
JPEGS = (
    RecordedPicture(b"\xff\xd8one\xff\xd9", 17, 159050304112500, True, 1767225601250),
    RecordedPicture(b"\xff\xd8\r\n--framewire\xff\xd9", None, 159050304114500, True, 1767225601272),
)
FINAL = Final(
    length=1234,
    sha256="cd" * 32,
    status="failed",
    started_ms=1767225601000,
    finished_ms=1767225700000,
    processed_frames=11,
    provider="local",
    error_code="source_truncated",
    error_message="The video ends early.",
    total_frames=600,
    fps=23.976,
    attempts=(ATTEMPT,),
    total_frames_is_estimate=True,
    chain="ef" * 32,
)
STORED_REQUEST = StoredRequest(
    task=TASK,
    project=PROJECT,
    partition=3,
    created_ms=1767225600123,
    point=POINT,
    body={"input": [{"type": "video_url", "url": URL}], "steps": [{"model": "detect"}]},
    body_sha256="ef" * 32,
    spec=SPEC,
    weight=2,
)
TASK_CURSOR = TaskCursor(1767225600123, TASK)
SORTED_TASK_CURSOR = SortedTaskCursor("-fps", 12_500, 1767229200000, TASK, 1767229260000)
TRACK_CURSOR = TrackCursor(0.25, 1767225600123, TASK, 7)
AUDIT_CURSOR = AuditCursor(1767225600000, "0011223344556677")
USAGE_CURSOR = UsageCursor("2026-01-01", PROJECT)
SECRETS = Secrets(
    s3_access_key="FW0123456789ABCDEF01",
    s3_secret_key="a-secret-of-s3",
    admin_key="fwadmin_of-the-tests",
    token_secret="a-secret-of-tokens",
    project_key="fw_of-the-tests",
    secret_key="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
)
STORES = Stores(
    s3=StoreSettings(
        endpoint="https://s3.example.com:9000",
        bucket="videos",
        key="a-key",
        secret="a-secret",
        session_token="a-token",
        profile="a-profile",
        region="eu-central-1",
        ca_bundle="/etc/ssl/own.pem",
        addressing="virtual",
        unconditional=True,
        tried=True,
    ),
    clickhouse="http://index.example.com:8123/framewire",
    in_memory=True,
)
CONSOLE_STATE = State(
    theme="framewire-light",
    tab="tracks",
    columns={"tasks": ("source", "status"), "tracks": ("class", "text")},
    splits={"task-splitter": 62.5},
    views={
        "gate": View("tasks", "source:gate*", ("failed",), "24 h", "-fps"),
        "persons": View("tracks", "class:person dwell>5"),
    },
    lists={"tasks": View("tasks", "-ocr", ("pending", "running"), "1 h", "progress")},
    acknowledged={"https://video.example.com prj_0123456789abcdef": "2026-01-01T00:00:00+00:00"},
)
