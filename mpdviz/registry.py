"""One kind of registry for all that has names: networks, neurons, data, surrogates, strategies, figures, ...

What is ours is one file and one line of a registry. What is somebody else's is the same class and an entry
point of their package, in the registry's group:

    [project.entry-points."mpdviz.strategies"]
    mine = "their_package:Mine"

Things with options are written as one string, options after colons: `fixed:kappa=2.5`; `made` makes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from keyword import iskeyword
from typing import Any, Generic, TypeVar

from mpdviz.errors import BadInput, unknown_name

Entry = TypeVar("Entry")
Thing = TypeVar("Thing")
Part = TypeVar("Part")


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by name, imported when asked for; ours first, then those of installed packages."""

    def __init__(
        self, kind: str, group: str, places: Mapping[str, str], expected: type | None = None
    ) -> None:
        """Know where the entries are; nothing is imported.

        Args:
            kind: what errors call an entry, e.g. `strategy`.
            group: entry points to look among, e.g. `mpdviz.strategies`.
            places: our entries, name -> `package.module:attribute`.
            expected: what an entry must be a subclass, or an instance, of; None takes anything.
        """
        self.kind, self.group = kind, group
        self._places, self._expected = dict(places), expected
        self._loaded: dict[str, Entry] = {}

    def find(self, name: str) -> Entry:
        """The entry called `name`.

        Raises:
            BadInput: there is none, and the closest name is suggested; or a package's cannot be used.
        """
        if name not in self:
            raise unknown_name(self.kind, name, self)
        return self[name]

    def __getitem__(self, name: str) -> Entry:
        """The entry called `name`; KeyError where there is none."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is an entry called `name`."""
        return name in self._places or name in self._others

    def __iter__(self) -> Iterator[str]:
        """The names, ours first."""
        return iter([*self._places, *self._others])

    def __len__(self) -> int:
        """The number of entries."""
        return len(self._places) + len(self._others)

    @cached_property
    def _others(self) -> dict[str, EntryPoint]:
        # A package cannot take the place of what a paper's name stands for.
        points = _installed().select(group=self.group)
        return {point.name: point for point in points if point.name not in self._places}

    def _load(self, name: str) -> Entry:
        if name in self._places:
            module, _, attribute = self._places[name].partition(":")
            ours: Entry = getattr(import_module(module), attribute)
            return ours
        point = self._others[name]
        remedy = "update that package, or remove it"
        try:
            found: Any = point.load()
        except Exception as error:  # whatever their module raises
            problem = f"{self.kind} {name!r} of {point.value} cannot be loaded: {error}"
            raise BadInput(problem, remedy) from None
        wanted = self._expected
        if wanted is not None and not (
            issubclass(found, wanted) if isinstance(found, type) else isinstance(found, wanted)
        ):
            raise BadInput(f"{self.kind} {name!r} of {point.value} is no {wanted.__name__}", remedy)
        theirs: Entry = found
        return theirs


@cache
def _installed() -> Any:  # of one type in Python 3.11, and of another since
    """All entry points there are; each installed package has a file of them, read once for all registries."""
    return entry_points()


def made(
    registry: Registry[type[Thing]],
    text: str,
    *,
    example: str,
    parts: Mapping[str, Registry[type[Part]]] = {},
) -> tuple[Thing, dict[str, Part]]:
    """A new object from its string, e.g. `fixed:kappa=2.5`, its options numbers.

    An option called like a keyword of Python, `lambda`, is the argument `lambda_`. A class may name options
    that are text in `texts`; what stands without a name is the first of these (`prescribed:FILE`).

    Args:
        registry: of classes.
        text: a name, then options.
        example: for errors, of a name with an option.
        parts: options that are not the class's own and name an entry of another registry. What follows one
            and is an argument of that entry is given to it: `fixed:shape=fast-sigmoid:k=10`.

    Returns:
        The object, and the `parts` that were given, by option.

    Raises:
        BadInput: unknown name or option, or a value that is no number or out of range.
    """
    name, *pairs = text.split(":")
    kind = registry.find(name)
    texts: Sequence[str] = getattr(kind, "texts", ())
    options: dict[str, float | str] = {}
    named: dict[str, str] = {}  # the parts, each as a string of its own
    latest, inner = "", frozenset[str]()
    for pair in pairs:
        option, given, value = pair.partition("=")
        if option in parts:
            latest, named[option] = option, value
            inner = frozenset(signature(parts[option].find(value)).parameters)
            continue
        if given and option in inner:
            named[latest] += f":{pair}"
            continue
        if texts and not given:
            option, value = texts[0], pair
        if option in texts:
            options[option] = value
            continue
        try:
            options[option] = float(value)
        except ValueError:
            raise BadInput(
                f"{registry.kind} {text!r}: {pair!r} is no option",
                f"write NAME:option=number, e.g. {example}",
            ) from None
    arguments = {f"{option}_" if iskeyword(option) else option: value for option, value in options.items()}
    make: Any = kind
    others = {option: made(parts[option], part, example=example)[0] for option, part in named.items()}
    try:
        return make(**arguments), others
    except TypeError:
        unknown = [option.rstrip("_") for option in arguments if option not in signature(kind).parameters]
        raise BadInput(
            f"{registry.kind} {name!r} has no option {' or '.join(map(repr, unknown))}",
            f"see `mpdviz list {registry.group.removeprefix('mpdviz.')}`",
        ) from None
