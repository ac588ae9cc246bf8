"""What of an environment each child of a stack is given: its own variables and no other's secrets.

/proc/PID/environ shows a process's variables to whoever takes that process over, and a decoder
or a broker works on what strangers send. So a child gets what any program needs, the settings
that are no secrets, and of the secrets those that its role uses.
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
"""The variables with secrets that a role uses; an engine has none."""

_ALL_SECRETS = frozenset().union(*SECRETS.values()) | {env.KEY}
_OURS = "FRAMEWIRE_"
_AWS = "AWS_"
_COMMON = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV"}
)
_COMMON_PREFIXES = ("LC_", "XDG_", "LD_", "PYTHON", "SSL_CERT_", "MALLOC_", "COVERAGE_")
_JAVA = "JDK_JAVA_OPTIONS"  # read by the Java launcher: the broker's memory, say
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
    """Return what a child of this role is given of the caller's environment.

    `own_s3`: its S3 is the stack's own, and the caller's settings for AWS must not reach it. `more`
    are further variables by name: keys of other services.
    """
    secrets = SECRETS.get(role, frozenset())
    wanted = frozenset(more)

    def passes(name: str) -> bool:
        if name in wanted or name in _COMMON or name.startswith(_COMMON_PREFIXES):
            return True
        if name in _ALL_SECRETS:
            return name in secrets and not (own_s3 and name in _STORE)
        if name.lower() in _PROXIES:  # the broker's jars, another service
            return role in {ENGINE, WORKER}
        if role == ENGINE:
            return name == _JAVA
        if name.startswith(_AWS):
            return not own_s3 and secrets >= _STORE
        if name.startswith(_COMPUTE_PREFIXES):
            return role == WORKER
        return name.startswith(_OURS) and name != env.DATA

    return {name: value for name, value in caller.items() if passes(name)}
