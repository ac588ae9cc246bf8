"""Environment variables of each child of a stack: only the secrets that its role uses.

An attacker who controls a process can read its variables in /proc/PID/environ, and decoders and
brokers process untrusted input. So a child receives the variables that any program needs, the
settings that are not secret, and the secrets of its role (least privilege).
"""

from collections.abc import Iterable, Mapping

from streamproc.contract import env

ENGINE = "engine"
API = "api"
ARCHIVE = "archive"
BUCKET = "bucket"
INDEX = "index"
MAINTENANCE = "maintenance"
TOPICS = "topics"
WORKER = "worker"

_STORE = frozenset({env.S3_KEY, env.S3_SECRET})
_KAFKA = frozenset({env.KAFKA_OPTIONS})
_TABLES = frozenset({env.CLICKHOUSE})
SECRETS: Mapping[str, frozenset[str]] = {
    API: _STORE | _KAFKA | _TABLES | {env.ADMIN_KEY, env.TOKEN_SECRET, env.SECRET_KEY},
    ARCHIVE: _STORE | _KAFKA,
    BUCKET: _STORE,
    INDEX: _KAFKA | _TABLES,
    MAINTENANCE: _STORE | _TABLES,
    TOPICS: _KAFKA,
    WORKER: _STORE | _KAFKA | {env.SECRET_KEY},
}
"""Variables with secrets, by the roles that use them; an engine uses none."""

OPTIONS = frozenset(
    {
        *(env.PORT, env.WORKERS, env.KAFKA, env.S3_ENDPOINT, env.CLICKHOUSE, env.FILE_ROOTS),
        env.SOURCES,
    }
)
"""Variables that `framewire up` reads where its option is absent, besides the data directory."""

_ALL_SECRETS = frozenset().union(*SECRETS.values()) | {env.KEY}
_OURS = "FRAMEWIRE_"
_AWS = "AWS_"
_COMMON = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV"}
)
_COMMON_PREFIXES = ("LC_", "XDG_", "LD_", "PYTHON", "SSL_CERT_", "MALLOC_", "COVERAGE_")
_JAVA = "JDK_JAVA_OPTIONS"  # read by the Java launcher, e.g. for the broker's memory
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
_COMPUTE_PREFIXES = (
    *("OMP_", "KMP_", "MKL_", "OPENBLAS_", "OV_", "OPENVINO_"),
    *("OCL_", "ZE_", "NEO", "LIBVA_", "SYCL_"),
)


def environ_for(
    role: str,
    caller: Mapping[str, str],
    *,
    own_s3: bool = True,
    more: Iterable[str] = (),
) -> dict[str, str]:
    """Return the variables of the caller's environment that a child of this role receives.

    `own_s3`: the S3 is the stack's own, so the caller's AWS settings are left out. `more` has names
    of additional variables: keys of other services, logins of cameras.
    """
    secrets = SECRETS.get(role, frozenset())
    wanted = frozenset(more)

    def passes(name: str) -> bool:
        if name in wanted or name in _COMMON or name.startswith(_COMMON_PREFIXES):
            return True
        if name in _ALL_SECRETS:
            return name in secrets and not (own_s3 and name in _STORE)
        if name.lower() in _PROXIES:  # for downloads of the broker's jars, and other services
            return role in {ENGINE, WORKER}
        if role == ENGINE:
            return name == _JAVA
        if name.startswith(_AWS):
            return not own_s3 and secrets >= _STORE
        if name.startswith(_COMPUTE_PREFIXES):
            return role == WORKER
        if name == env.SOURCES:
            return role == WORKER
        return name.startswith(_OURS) and name != env.DATA

    return {name: value for name, value in caller.items() if passes(name)}


def without_options(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's variables for a stack whose options they shall not change."""
    return {name: value for name, value in caller.items() if name not in OPTIONS}
