"""How numbers are written in sentences."""


def percent(share: float, places: int = 1) -> str:
    """A share in words, with so many decimal places; one that is not zero never reads as 0.0 %."""
    tiny = 0 < share < 0.5 * 10 ** -(places + 2)
    return f"{100 * share:.1g} %" if tiny else f"{100 * share:.{places}f} %"
