"""Progress without a terminal: plain log lines."""

import structlog

log = structlog.get_logger()


class PlainProgress:
    """Says in the log what begins; the output of tests is in their test_output.log."""

    def stage(self, name: str) -> None:
        """Say which stage begins."""
        log.info(f"stage {name}")

    def step(self, text: str) -> None:
        """Say what takes a while."""
        log.info(text)

    def test(self, test_id: str, number: int, total: int) -> None:
        """Say which test begins."""
        log.info(f"test {test_id} ({number} of {total})")

    def output(self, block: bytes) -> None:
        """Pass over the output of a test."""

    def close(self) -> None:
        """Have nothing to end."""
