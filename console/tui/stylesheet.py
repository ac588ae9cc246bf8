"""Stylesheet that looks for a widget's rules only among those that name it.

Textual (8.2) compares each of some thousand rules with each widget, and with each part of it that
has a style of its own, whenever a class or the focus changes. Which rules name a widget depends on
its id, classes and types alone, so it is worked out once for all widgets that are alike in these.

What is parsed is kept for the process. Textual parses everything a second time when it starts, with
the same variables, and again at each change of the theme.
"""

from typing import Any

from textual.cache import LRUCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode

_Parsed = LRUCache[tuple[Any, ...], list[RuleSet]]
_N_THEMES = 8
_N_SOURCES = 256
"""The console has some ninety: its file, and one or two of each kind of widget."""
_parsed: LRUCache[frozenset[tuple[str, str]], _Parsed] = LRUCache(_N_THEMES)
"""Rules by variables, then by all else that they are parsed from. Nothing changes a rule."""


class IndexedStylesheet(Stylesheet):
    """Applies the same rules as Textual's, in the same order."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache = _parsed_with(self._variables)
        self._indexed: list[RuleSet] | None = None
        self._extracts: dict[frozenset[str], _Extract] = {}

    def set_variables(self, variables: dict[str, str]) -> None:
        self._parse_cache = LRUCache(1)  # what Textual clears is not what others use
        super().set_variables(variables)
        self._parse_cache = _parsed_with(variables)

    def reparse(self) -> None:
        """Parse what the variables change; after an error the rules are those from before."""
        self.parse()

    def apply(
        self,
        node: DOMNode,
        *,
        animate: bool = False,
        cache: dict[tuple[Any, ...], Any] | None = None,
    ) -> None:
        rules_map, rules = self.rules_map, self.rules
        if rules is not self._indexed:  # parsed again: another theme, or a new kind of widget
            self._indexed, self._extracts = rules, {}
        names = frozenset(rules_map.keys() & node._selector_names)  # noqa: SLF001 - Textual has no other name for it
        extract = self._extracts.get(names)
        if extract is None:
            extract = self._extracts[names] = _Extract(self, names)
        extract.apply_to(node, animate=animate, cache=cache)


class _Extract(Stylesheet):
    """The rules of a stylesheet that have one of some names in their selectors."""

    def __init__(self, whole: IndexedStylesheet, names: frozenset[str]) -> None:
        super().__init__()
        self._whole = whole
        rules_map = whole.rules_map
        ids = {id(rule) for name in names for rule in rules_map[name]}
        self._own_map = {name: rules_map[name] for name in names}
        self._own = [rule for rule in whole.rules if id(rule) in ids]

    @property
    def rules(self) -> list[RuleSet]:
        return self._own

    @property
    def rules_map(self) -> dict[str, list[RuleSet]]:
        return self._own_map

    def apply_to(
        self, node: DOMNode, *, animate: bool, cache: dict[tuple[Any, ...], Any] | None
    ) -> None:
        super().apply(node, animate=animate, cache=cache)

    def apply(
        self,
        node: DOMNode,
        *,
        animate: bool = False,
        cache: dict[tuple[Any, ...], Any] | None = None,
    ) -> None:
        """Apply the whole stylesheet: `node` is a part of a widget, and has other names."""
        self._whole.apply(node, animate=animate, cache=cache)


def _parsed_with(variables: dict[str, str]) -> _Parsed:
    key = frozenset(variables.items())
    parsed = _parsed.get(key)
    if parsed is None:
        parsed = _parsed[key] = LRUCache(_N_SOURCES)
    return parsed
