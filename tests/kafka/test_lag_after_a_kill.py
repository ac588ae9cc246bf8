"""How far the roles are behind is known again as soon as a killed broker is back."""

import asyncio
import time
from pathlib import Path

import pytest

from api.lag import GROUPS, Lag
from api.settings import Settings
from tests.brokers import N_PARTITIONS, KafkaNode, wait_for_port

pytestmark = pytest.mark.usefixtures("engines")
_AGAIN_S = 30.0


def test_the_lag_is_known_again_after_the_broker_was_killed(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    node = KafkaNode(tmp_path / "kafka")
    node.start()
    try:
        lag = Lag(Settings(kafka=node.bootstrap, clickhouse="chdb:///none"))

        def known() -> int:
            return len(asyncio.run(lag.get(N_PARTITIONS)))

        def wait_until_known() -> None:
            deadline_s = time.monotonic() + _AGAIN_S
            while known() != (len(GROUPS) - 1) * N_PARTITIONS + 1:
                assert time.monotonic() < deadline_s, "the lag is not known"
                time.sleep(0.2)

        wait_until_known()
        node.kill()
        node.launch()
        wait_for_port(node.node.port)
        time.sleep(1.1)  # what was known before is taken for a second
        wait_until_known()
    finally:
        node.stop()
