"""History of workers: samples of their heartbeats in the table `worker_samples`.

One row per worker and `SAMPLE_S`, of the first heartbeat in that time; `at` is its begin, so that a
replay writes the same row again. Rows are kept for `KEEP_DAYS`.
"""

WORKER_SAMPLES = "worker_samples"
SAMPLE_S = 10
KEEP_DAYS = 7

COLUMNS = (
    *("at", "worker", "host", "fps", "cpu_percent", "rss_bytes", "busy", "slots"),
    "processed_frames",
)
TYPES = (
    *("DateTime('UTC')", "LowCardinality(String)", "LowCardinality(String)", "Float64"),
    *("Nullable(Float64)", "UInt64", "UInt32", "UInt32", "UInt64"),
)

DDL = (
    f"""CREATE TABLE IF NOT EXISTS {WORKER_SAMPLES} (
    {", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES, strict=True))}
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(at)
ORDER BY (worker, at)
TTL at + INTERVAL {KEEP_DAYS} DAY""",
)
