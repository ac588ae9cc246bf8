"""History of consumer lag: samples in the table `lag_samples`.

One row per consumer group and topic in `SAMPLE_S`: messages that the group had not committed, in
all partitions together. `at` is the begin of that time. Each process of the index role samples; the
last one's row stays. Rows are kept for `KEEP_DAYS`.
"""

LAG_SAMPLES = "lag_samples"
SAMPLE_S = 10
KEEP_DAYS = 7

COLUMNS = ("at", "consumer_group", "topic", "lag")
TYPES = ("DateTime('UTC')", "LowCardinality(String)", "LowCardinality(String)", "UInt64")

DDL = (
    f"""CREATE TABLE IF NOT EXISTS {LAG_SAMPLES} (
    {", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES, strict=True))}
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(at)
ORDER BY (consumer_group, topic, at)
TTL at + INTERVAL {KEEP_DAYS} DAY""",
)
