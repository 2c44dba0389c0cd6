"""x."""

HELP = ""


def demo() -> None:
    """."""
