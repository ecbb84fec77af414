"""The command line."""


def main() -> None:
    """Run `dsi`."""
    raise SystemExit("dsi: not built yet")
