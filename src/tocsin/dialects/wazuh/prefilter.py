"""Tell from the bytes of an event that no rule can make anything of it, without decoding it.

Most events end at a rule that neither alerts nor is counted by another. The filter lets
through whatever might end elsewhere; it may be wrong in that direction only.
"""

from collections import defaultdict
from contextlib import suppress

from tocsin.dialects.wazuh.decoders import DecoderTree
from tocsin.dialects.wazuh.evaluate import Thresholds
from tocsin.dialects.wazuh.literals import ODD, Term
from tocsin.dialects.wazuh.needs import LOG_START, Ground, ground_of, reached
from tocsin.dialects.wazuh.rules import Rule
from tocsin.dialects.wazuh.tree import RuleTree
from tocsin.rules.bytepatterns import PatternSet
from tocsin.rules.regex import PatternError

_ODD_INDEX = 0

Needs = frozenset[Term]


class Prefilter:
    """Lets through every event that could alert, be remembered, or be decoded otherwise.

    `always` are the rules for which any event could do; while there is one, or if too little
    is known of the decoders, everything is let through.
    """

    def __init__(self, decoders: DecoderTree, tree: RuleTree, thresholds: Thresholds) -> None:
        """Look at decoders and rules."""
        self.always: tuple[int, ...] = ()
        self._patterns: PatternSet | None = None
        # By the index of a pattern, the sets of patterns that must all be there with it.
        self._behind: dict[int, list[frozenset[int]]] = {}
        ground = ground_of(decoders)
        if ground is None:
            return
        needs = _needs(tree, ground, thresholds)
        self.always = tuple(rule for rule, terms in needs.items() if not terms)
        if self.always:
            return
        with suppress(PatternError):
            self._compile({*needs.values(), *map(frozenset, ground.others)})

    @property
    def open(self) -> bool:
        """Whether everything is let through."""
        return self._patterns is None

    def __call__(self, raw: bytes) -> bool:
        """Return whether the event with these bytes has to be evaluated."""
        if self._patterns is None or not raw.startswith(LOG_START):
            return True
        found = self._patterns.found(raw)
        for index in found:
            for needs in self._behind.get(index, ()):
                if needs.issubset(found):
                    return True
        return False

    def _compile(self, all_needs: set[Needs]) -> None:
        """Index the sets of needs by their rarest one, for few of them are ever looked at."""
        terms = list({term for needs in all_needs for term in needs})
        numbers = {term: index for index, term in enumerate(terms, start=_ODD_INDEX + 1)}
        behind: defaultdict[int, list[frozenset[int]]] = defaultdict(list)
        behind[_ODD_INDEX].append(frozenset())
        for needs in all_needs:
            rarest = numbers[max(needs, key=_rarity)]
            behind[rarest].append(frozenset(numbers[term] for term in needs))
        self._behind = dict(behind)
        self._patterns = PatternSet([ODD, *(term.source for term in terms)])


def _rarity(term: Term) -> tuple[int, bytes]:
    return term.weight, term.source


def _needs(tree: RuleTree, ground: Ground, thresholds: Thresholds) -> dict[int, Needs]:
    """Return what is needed for each rule that makes a difference."""
    found = reached(tree, ground)
    counted = _counted(tree)
    return {
        rule.id: found.of(rule.id)
        for rule in tree.rules()
        if rule.id in found.needs and (rule.id in counted or _acts(rule, thresholds))
    }


def _acts(rule: Rule, thresholds: Thresholds) -> bool:
    """Whether a rule alerts, or keeps something of the events that come to it."""
    return thresholds.alerts(rule) or rule.first_time or rule.on_change


def _counted(tree: RuleTree) -> set[int]:
    """Return the rules whose events correlations count."""
    counted: set[int] = set()
    for rule in tree.rules():
        correlation = rule.correlation
        if correlation is None:
            continue
        if correlation.sid is not None:
            counted.add(correlation.sid)
        elif correlation.group is not None:
            counted |= tree.group_members.get(rule.id, frozenset())
        else:
            counted.update(rule.id for rule in tree.rules() if rule.level)
    return counted
