"""Connection state of the console: a state machine with exponential backoff, without a clock."""

from typing import Literal

import msgspec

from console.errors import ApiProblem, ConsoleError

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 15.0
SLOW_S = 2.0


class ConnectionState(msgspec.Struct, frozen=True):
    """State of the connection to the api.

    `away`: no answer; `refused`: the key is not accepted; `slow`: a request waits for long;
    `failing`: the api answers with another error. `pause_s` is the backoff before the next request.
    """

    state: Literal["connecting", "online", "slow", "away", "refused", "failing"] = "connecting"
    detail: str = ""
    latency_ms: int | None = None
    n_failures: int = 0
    pause_s: float = 0.0

    @property
    def is_fine(self) -> bool:
        return self.state in {"connecting", "online"}

    def answered(self, latency_s: float) -> "ConnectionState":
        """Return the state after an answer with this latency."""
        return ConnectionState("online", latency_ms=round(latency_s * 1000))

    def waiting(self, waited_s: float) -> "ConnectionState":
        """Return the state while a request is unanswered: `slow` from `SLOW_S` on."""
        if waited_s < SLOW_S or self.state not in {"online", "connecting", "slow"}:
            return self
        return ConnectionState(
            "slow", f"the api is slow: no answer for {waited_s:.0f} s", self.latency_ms
        )

    def failed(self, error: ConsoleError) -> "ConnectionState":
        """Return the state after a failed request; `pause_s` doubles up to `MAX_PAUSE_S`."""
        n_failures = self.n_failures + 1
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.n_failures, 10))
        if isinstance(error, ApiProblem):
            if error.status in {401, 403}:
                return ConnectionState(
                    "refused",
                    "the api does not accept the key: set FRAMEWIRE_KEY",
                    None,
                    n_failures,
                    pause_s,
                )
            return ConnectionState("failing", str(error), self.latency_ms, n_failures, pause_s)
        return ConnectionState("away", str(error), None, n_failures, pause_s)
