"""Names of the environment variables that more than one process reads. Values never reach logs."""

KAFKA = "FRAMEWIRE_KAFKA"  # bootstrap servers, host:port[,host:port]
KAFKA_OPTIONS = "FRAMEWIRE_KAFKA_OPTIONS"  # JSON: further librdkafka properties (TLS, SASL)
PARTITIONS = "FRAMEWIRE_PARTITIONS"  # of video.tasks, .live and .chunks; frozen
REPLICATION = "FRAMEWIRE_REPLICATION"  # replication factor of our topics
S3_ENDPOINT = "FRAMEWIRE_S3_ENDPOINT"  # http(s)://host:port; unset: AWS itself
S3_BUCKET = "FRAMEWIRE_S3_BUCKET"
S3_KEY = "AWS_ACCESS_KEY_ID"
S3_SECRET = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the variable's name, not a secret
S3_SESSION_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - the variable's name, not a secret
S3_PROFILE = "AWS_PROFILE"  # profile in AWS's own files, used if no key is set
S3_REGION = "AWS_REGION"
S3_DEFAULT_REGION = "AWS_DEFAULT_REGION"  # used if AWS_REGION is not set
S3_CA_BUNDLE = "AWS_CA_BUNDLE"  # PEM file of the CAs that verify S3's certificate
S3_ADDRESSING = "FRAMEWIRE_S3_ADDRESSING"  # path | virtual: where a request has the bucket's name
S3_UNCONDITIONAL = "FRAMEWIRE_S3_UNCONDITIONAL"  # 1: S3 lacks If-None-Match; only one writer
S3_TRIED = "FRAMEWIRE_S3_TRIED"  # 1: the parent process knows that S3 honours If-None-Match
CLICKHOUSE = "FRAMEWIRE_CLICKHOUSE"  # chdb:///path, or http(s)://user:password@host:port/database
MODELS = "FRAMEWIRE_MODELS"  # directory of the user's own models
PROVIDERS = "FRAMEWIRE_PROVIDERS"  # path of providers.toml
FILE_ROOTS = "FRAMEWIRE_FILE_ROOTS"  # os.pathsep-separated directories that file:// may read
PRIVATE_HOSTS = "FRAMEWIRE_PRIVATE_HOSTS"  # hosts, networks [:port] exempt from the SSRF guard
SOURCES = "FRAMEWIRE_SOURCES"  # path of sources.toml: named cameras; read by workers only
SOURCE_PORTS = "FRAMEWIRE_SOURCE_PORTS"  # allowed ports of public hosts, in addition to 80 and 443
REQUIRE_SANDBOX = "FRAMEWIRE_REQUIRE_SANDBOX"  # 1: do not decode if the sandbox is incomplete
SECRET_KEY = "FRAMEWIRE_SECRET_KEY"  # noqa: S105 - keys that encrypt sources' URLs, newest first
AUDIT_DAYS = "FRAMEWIRE_AUDIT_DAYS"  # retention of the audit trail, in Kafka and ClickHouse
LIVE_RETENTION_DAYS = "FRAMEWIRE_LIVE_RETENTION_DAYS"  # of live tasks' logs and rows; 0: for ever
WATCHDOG_S = "FRAMEWIRE_WATCHDOG_S"  # a consumer stalled for this long is renewed; 0: off
LOG = "FRAMEWIRE_LOG"  # debug | info | warning; default info

# api
HOST = "FRAMEWIRE_HOST"  # default 127.0.0.1
PORT = "FRAMEWIRE_PORT"  # default 8080; 0: any free port
PORT_FILE = "FRAMEWIRE_PORT_FILE"  # the api writes its port here once it listens
ADMIN_KEY = "FRAMEWIRE_ADMIN_KEY"  # bearer key of the operator's endpoints
TOKEN_SECRET = "FRAMEWIRE_TOKEN_SECRET"  # noqa: S105 - signs ?token=; shared by all api instances
INDEX_IN_API = "FRAMEWIRE_INDEX_IN_API"  # 1: run the index role inside the api (chDB has one owner)

DISK = "FRAMEWIRE_DISK"  # directory on the disk that the embedded engines write to

# worker
DEVICE = "FRAMEWIRE_DEVICE"  # OpenVINO device, default AUTO:GPU,CPU
PRECISION = "FRAMEWIRE_PRECISION"  # auto | f32 | bf16 | f16
MODEL_CACHE = "FRAMEWIRE_MODEL_CACHE"  # directory of compiled networks; default: none are kept
SLOTS = "FRAMEWIRE_SLOTS"  # tasks processed at the same time in one worker
SESSIONS = "FRAMEWIRE_SESSIONS"  # tasks that one worker keeps open; default 4 for each slot
SLICE_S = "FRAMEWIRE_SLICE_S"  # length of a slice of work, seconds
LIVE_SLOTS = "FRAMEWIRE_LIVE_SLOTS"  # live tasks that the api gives one worker, besides its slots
LIVE_SLICE_S = "FRAMEWIRE_LIVE_SLICE_S"  # length of a slice of a live task, seconds
LIVE_STALL_S = "FRAMEWIRE_LIVE_STALL_S"  # a live source without a picture for so long is lost
LIVE_PICTURE_S = "FRAMEWIRE_LIVE_PICTURE_S"  # time between pictures kept of a live task; 0: none
WORKER_ID = "FRAMEWIRE_WORKER_ID"
SESSION_TIMEOUT_S = "FRAMEWIRE_SESSION_TIMEOUT_S"  # Kafka evicts a silent worker after this time
MAX_SOURCE_BYTES = "FRAMEWIRE_MAX_SOURCE_BYTES"  # size of the largest source that is fetched
OPEN_TIMEOUT_S = "FRAMEWIRE_OPEN_TIMEOUT_S"  # time limit for opening a source
MIN_SOURCE_RATE = "FRAMEWIRE_MIN_SOURCE_RATE"  # minimum transfer rate of an origin, bytes/s
MIN_FREE_BYTES = "FRAMEWIRE_MIN_FREE_BYTES"  # free disk space that copies of sources leave
PROJECT_SPOOL_BYTES = "FRAMEWIRE_PROJECT_SPOOL_BYTES"  # of that disk, limit for one project
OPENINGS = "FRAMEWIRE_OPENINGS"  # sources opened at the same time in one worker
PROJECT_OPENINGS = "FRAMEWIRE_PROJECT_OPENINGS"  # of these, maximum for one project
READY_FILE = "FRAMEWIRE_READY_FILE"  # a role without a port writes its pid here once it is ready

# console
URL = "FRAMEWIRE_URL"
KEY = "FRAMEWIRE_KEY"
CONTEXT = "FRAMEWIRE_CONTEXT"  # a context of console.toml: which api commands use
READONLY = "FRAMEWIRE_READONLY"  # 1: the console submits and cancels nothing
BELL = "FRAMEWIRE_BELL"  # 1: the console rings for alerts
DATA = "FRAMEWIRE_DATA"  # data directory of the embedded stack
WORKERS = "FRAMEWIRE_WORKERS"  # workers of the embedded stack
