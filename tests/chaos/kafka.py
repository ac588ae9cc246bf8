"""A broker that its clients reach through a fault proxy, and the test itself directly."""

from pathlib import Path

from streamproc.contract import env
from tests.brokers import KafkaNode, Listener
from tests.chaos.proxy import FaultProxy
from tests.ports import free_ports


class ProxiedKafka(KafkaNode):
    """`bootstrap` is the way past the proxy; `environ` and all that it leads to lies behind it."""

    def __init__(self, directory: Path) -> None:
        (port,) = free_ports(1)
        self.proxy = FaultProxy(port)
        super().__init__(directory, Listener("EXTERNAL", port, self.proxy.port))

    @property
    def environ(self) -> dict[str, str]:
        return {env.KAFKA: f"127.0.0.1:{self.proxy.port}"}

    def stop(self) -> None:
        super().stop()
        self.proxy.close()
