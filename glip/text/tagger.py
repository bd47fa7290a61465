"""Tag words by their context, and group adjectives and nouns into phrases.

The groups follow the grammar ``NP: {<DT>?<JJ.*>*<NN.*>+}`` that the original GLIP gives to NLTK,
without the determiner, and with "black and white cat" as one phrase.
"""

from collections.abc import Sequence

from glip.text import lexicon as lex
from glip.text.lexicon import Kind


class Tagger:
    """Tag each word from left to right, then extract the phrases.

    Args:
        words: The W words and punctuation marks of a caption, in lower case.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.texts = tuple(words)
        self.kinds = [lex.look_up(text) for text in self.texts]  # (W,), by themselves
        self.compounds = self._find_compounds()
        self.before_noun = self._find_words_before_noun()
        self.tags: list[Kind] = []  # (W,), in context
        # What lies before a word is kept for each word, since a search backwards from every word
        # would take quadratic time. (W + 1,) each:
        self.run_starts = [0]  # where the adjectives and nouns right before a word begin
        self.adverb_starts = [0]  # where the adverbs right before a word begin
        self.has_verb = [False]  # whether the clause has a finite verb before a word
        for index in range(len(self.texts)):
            tag = self._decide(index)
            is_in_run = tag in (Kind.ADJECTIVE, Kind.NOUN)
            self.tags.append(tag)
            self.run_starts.append(self.run_starts[index] if is_in_run else index + 1)
            self.adverb_starts.append(
                self.adverb_starts[index] if tag is Kind.ADVERB else index + 1
            )
            ends_clause = tag in (Kind.PUNCTUATION, Kind.CONJUNCTION)
            self.has_verb.append(
                not ends_clause and (self.has_verb[index] or self._is_finite_verb(index))
            )

    def find_phrases(self) -> list[tuple[int, int]]:
        """Return for each phrase the index of its first word and the one past its last."""
        phrases = []
        start = 0
        while start < len(self.tags):
            stop = end = self._find_phrase_end(start)
            while end > start and self.tags[end - 1] is not Kind.NOUN:
                end -= 1
            if end > start and self._names_object(start, end):
                phrases.append((start, end))
            start = max(stop, start + 1)
        return phrases

    # --- neighbours; beyond either end of the caption there is punctuation ------------------------

    def _text(self, index: int) -> str:
        return self.texts[index] if 0 <= index < len(self.texts) else ""

    def _kind(self, index: int) -> Kind:
        return self.kinds[index] if 0 <= index < len(self.kinds) else Kind.PUNCTUATION

    def _tag(self, index: int) -> Kind:
        return self.tags[index] if 0 <= index < len(self.tags) else Kind.PUNCTUATION

    def _find_compounds(self) -> frozenset[int]:
        """Return the indices of the words that are part of a listed two-word name."""
        found: set[int] = set()
        for index in range(len(self.texts) - 1):
            first, second = self.texts[index : index + 2]
            # A plural verb form stays: "a bus stops" is a bus that stops.
            if self.kinds[index + 1] is Kind.NOUN:
                second = second.removesuffix("es") if second.endswith("shes") else second
                second = second.removesuffix("s") if lex.is_plural(second) else second
            if f"{first} {second}" in lex.COMPOUNDS:
                found |= {index, index + 1}
        return frozenset(found)

    def _find_words_before_noun(self) -> list[bool]:
        """Tell of each word whether it is a noun or describes one that follows, (W + 1,)."""
        result = [False] * (len(self.texts) + 1)
        for index in reversed(range(len(self.texts))):
            kind = self.kinds[index]
            if kind in (Kind.NOUN, Kind.NOUN_VERB) or index in self.compounds:
                result[index] = not self._is_measure(index)
            elif kind in (Kind.ADJECTIVE, Kind.PARTICIPLE, Kind.GERUND, Kind.PLACE):
                result[index] = result[index + 1]
        return result

    def _is_measure(self, index: int) -> bool:
        """Tell whether a word only counts: "a *lot* of people", "a *couple* dogs"."""
        text, following = self._text(index), self._text(index + 1)
        if text == "couple" and self._kind(index + 1) is Kind.NOUN and lex.is_plural(following):
            return True
        return text in lex.MEASURES and following == "of"

    def _opener(self, index: int) -> int:
        """Return the index of the word before a phrase, skipping adverbs: "*a* very old"."""
        opener = self.adverb_starts[index] - 1
        return opener if self._tag(opener) is Kind.DETERMINER else index - 1

    # --- deciding ---------------------------------------------------------------------------------

    def _decide(self, index: int) -> Kind:
        kind, text = self.kinds[index], self.texts[index]
        if index in self.compounds:
            return Kind.NOUN
        if self._is_measure(index):
            return Kind.QUANTIFIER
        if text == "'s":  # "the dog's bowl", but "it's"
            return Kind.DETERMINER if self._tag(index - 1) is Kind.NOUN else Kind.AUXILIARY
        if text == "that" and self._tag(index - 1) is Kind.NOUN:  # "a dog that runs"
            return Kind.PRONOUN
        if text == "can" and self._is_noun_can(index):
            return Kind.NOUN
        if kind is Kind.PLACE:
            return self._decide_place(index)
        if kind is Kind.GERUND:
            return self._decide_gerund(index)
        if kind is Kind.PARTICIPLE:
            return self._decide_participle(index)
        if kind is Kind.VERB:
            return self._decide_verb(index)
        if kind is Kind.NOUN_VERB:
            return self._decide_noun_verb(index)
        if kind is Kind.NOUN and self._is_unlisted_verb(index):
            return Kind.VERB
        return kind

    def _is_noun_can(self, index: int) -> bool:
        """Tell the can that holds from the one that is able to, before which a verb comes next."""
        if self._tag(index - 1) in (Kind.DETERMINER, Kind.ADJECTIVE, Kind.QUANTIFIER):
            return True
        able = (Kind.VERB, Kind.NOUN_VERB, Kind.AUXILIARY, Kind.ADVERB, Kind.PRONOUN)
        return self._kind(index + 1) not in able or lex.is_third_person(self._text(index + 1))

    def _decide_place(self, index: int) -> Kind:
        """Settle "left", "top": a relation before "of"; else what it is not is dropped later."""
        if self.texts[index] in lex.SIDES:
            describes = self.before_noun[index + 1] and self._tag(index - 1) is not Kind.NOUN
            return Kind.ADJECTIVE if describes else Kind.ADVERB
        return Kind.ADVERB if self._text(index + 1) == "of" else Kind.NOUN

    def _decide_gerund(self, index: int) -> Kind:
        """Settle "running": an adjective before a noun, a noun after "a", mostly a verb."""
        text, describes = self.texts[index], self.before_noun[index + 1]
        before = self._tag(self._opener(index))
        is_alone = self._tag(index - 1) is self._kind(index + 1) is Kind.PUNCTUATION
        if text in lex.NOUN_GERUNDS and (is_alone or self._text(index + 1) == "of"):
            return Kind.NOUN
        if before is Kind.NOUN or self._kind(index + 1) is Kind.DETERMINER:
            return Kind.VERB
        is_listed = text in lex.GERUNDS_OF_VERBS
        if before is Kind.ADJECTIVE:
            before = self._tag(self._opener(self.run_starts[index]))
            if before is Kind.PUNCTUATION:  # a headline leaves "a" out: "Old painting of a ship"
                before = Kind.DETERMINER
            elif describes and text == "looking":  # "tired looking"
                return Kind.ADJECTIVE
        if before is Kind.DETERMINER:
            if describes:
                return Kind.ADJECTIVE
            return Kind.VERB if is_listed and text not in lex.NOUN_GERUNDS else Kind.NOUN
        if not describes:
            return Kind.VERB
        if before is Kind.QUANTIFIER:  # "two sleeping cats", but "one wearing glasses"
            alone = self._text(index - 1) in lex.PRONOMINAL_QUANTIFIERS
            return Kind.VERB if alone else Kind.ADJECTIVE
        if before in (Kind.CONJUNCTION, Kind.PUNCTUATION):
            return Kind.ADJECTIVE if text in lex.DESCRIPTIVE_GERUNDS else Kind.VERB
        if before in (Kind.PREPOSITION, Kind.VERB):
            # What is in no list describes more often than it acts: "with trailing vines".
            acts = is_listed and text not in lex.DESCRIPTIVE_GERUNDS
            is_gerund = acts or self._text(index - 1) in lex.GERUND_PREPOSITIONS
            return Kind.VERB if is_gerund else Kind.ADJECTIVE
        return Kind.VERB

    def _decide_participle(self, index: int) -> Kind:
        """Settle "parked": an adjective before a noun unless it has a subject, else a verb."""
        if not self.before_noun[index + 1] or self._tag(index - 1) is Kind.PRONOUN:
            return Kind.VERB
        if self._tag(index - 1) is Kind.NOUN:
            return Kind.NOUN if self.texts[index] in lex.COMPOUND_PARTICIPLES else Kind.VERB
        return Kind.ADJECTIVE

    def _decide_verb(self, index: int) -> Kind:
        """Settle "throw", "saw": verbs, but for "a throw pillow"."""
        text, before = self.texts[index], self._tag(self._opener(index))
        if before is Kind.DETERMINER:
            return Kind.NOUN
        if before is Kind.ADJECTIVE and text not in lex.IRREGULAR_PASTS:
            before = self._tag(self._opener(self.run_starts[index]))
            if before is Kind.DETERMINER and not lex.is_third_person(text):
                return Kind.VERB if self._kind(index + 1) is Kind.DETERMINER else Kind.NOUN
        return Kind.VERB

    def _decide_noun_verb(self, index: int) -> Kind:
        """Settle "rides", "play": verbs where they agree with a subject, else nouns."""
        text, before = self.texts[index], self._tag(self._opener(index))
        takes_object = self._kind(index + 1) is Kind.DETERMINER
        if before is Kind.NOUN:
            return Kind.VERB if takes_object or self._agrees(index) else Kind.NOUN
        if before in (Kind.PRONOUN, Kind.MODAL) or self._follows_infinitive_to(index):
            return Kind.VERB
        if before is Kind.QUANTIFIER and self._text(index - 1) in lex.PRONOMINAL_QUANTIFIERS:
            plural_subject = self._text(index - 1) in ("both", "all")
            return Kind.NOUN if lex.is_third_person(text) is plural_subject else Kind.VERB
        if before is Kind.ADJECTIVE:  # "a man in red rides a horse", but "a red ride"
            before = self._tag(self._opener(self.run_starts[index]))
            is_verb = takes_object and before is not Kind.DETERMINER
            return Kind.VERB if is_verb else Kind.NOUN
        if before is Kind.CONJUNCTION and self._tag(index - 2) is Kind.VERB:  # "sits and watches"
            return Kind.VERB
        if before is Kind.ADVERB and self._kind(index + 1) is Kind.PREPOSITION:
            return Kind.VERB
        if takes_object and before in (Kind.CONJUNCTION, Kind.PUNCTUATION, Kind.ADVERB):
            return Kind.VERB
        return Kind.NOUN

    def _agrees(self, index: int) -> bool:
        """Tell whether a form agrees in number with the nouns before it: "a man walks"."""
        run_start = self.run_starts[index]
        opener = self._tag(self._opener(run_start))
        subject_is_plural = lex.is_plural(self._text(index - 1))
        if not lex.is_third_person(self.texts[index]):
            return subject_is_plural or self._is_coordinated(run_start)
        if opener is Kind.PREPOSITION and self._kind(index + 1) is Kind.PREPOSITION:
            return not self.has_verb[index]  # "a fridge with magnets *stands* in a corner"
        # Else a bare singular after a preposition is half a compound: "in evening dresses".
        return not subject_is_plural and opener not in (Kind.PREPOSITION, Kind.VERB)

    def _is_finite_verb(self, index: int) -> bool:
        """Tell whether a tagged word is a verb that can have a subject."""
        if self.tags[index] in (Kind.AUXILIARY, Kind.MODAL):
            return True
        is_finite = self.kinds[index] not in (Kind.GERUND, Kind.PARTICIPLE)
        return self.tags[index] is Kind.VERB and is_finite

    def _is_coordinated(self, run_start: int) -> bool:
        """Tell whether a phrase follows another and an "and": "a man *and a woman*"."""
        opener = run_start - 1
        if self._tag(opener) in (Kind.DETERMINER, Kind.QUANTIFIER):
            opener -= 1
        return self._text(opener) in ("and", "&") and self._tag(opener - 1) is Kind.NOUN

    def _follows_infinitive_to(self, index: int) -> bool:
        is_after_to = self._text(index - 1) == "to"
        return is_after_to and self._text(index - 2) not in lex.BEFORE_PREPOSITION_TO

    def _is_unlisted_verb(self, index: int) -> bool:
        """Tell whether a word in no list stands where only a verb can."""
        text, before = self.texts[index], self._tag(index - 1)
        if before is Kind.MODAL or self._text(index - 1) in lex.SUBJECT_PRONOUNS:
            return True
        takes_object = self._kind(index + 1) is Kind.DETERMINER
        if self._follows_infinitive_to(index):
            return takes_object
        if before is Kind.PRONOUN and self._text(index - 1) == "that":
            return lex.is_third_person(text)
        if before is not Kind.NOUN or not lex.is_third_person(text):
            return False
        if lex.is_plural(self._text(index - 1)):
            return False
        # After "a" the last noun is singular, so "begs" in "a man begs for cash" is none.
        opener = self._text(self._opener(self.run_starts[index]))
        is_singular = opener in lex.SINGULAR_DETERMINERS and not self.before_noun[index + 1]
        return takes_object or is_singular

    # --- cutting ----------------------------------------------------------------------------------

    def _find_phrase_end(self, start: int) -> int:
        """Return where the adjectives and nouns that begin at a word end."""
        end = start
        while True:
            tag = self._tag(end)
            after_noun = end > start and self._tag(end - 1) is Kind.NOUN
            if tag is Kind.ADJECTIVE and after_noun and self.texts[end - 1] not in lex.SHADES:
                break
            if tag not in (Kind.ADJECTIVE, Kind.NOUN) and not (end > start and self._joins(end)):
                break
            end += 1
        return end

    def _joins(self, index: int) -> bool:
        """Tell whether an "and" joins two adjectives of one noun: "a black *and* white cat"."""
        if self._text(index) not in ("and", "&"):
            return False
        left, right = index - 1, index + 1
        if self._tag(right) is Kind.NOUN and self._tag(right + 1) is not Kind.NOUN:
            return False
        return all(
            self._tag(side) is Kind.ADJECTIVE or self._text(side) in lex.SHADES
            for side in (left, right)
        )

    def _names_object(self, start: int, end: int) -> bool:
        """Tell an object from a place: "on the far left side" names no object."""
        *describing, head = self.texts[start:end]
        if head not in lex.PLACES:
            return True
        if not set(describing) <= lex.PLACES | lex.PLACE_MODIFIERS:
            return True
        owner = self._text(self._opener(start))
        return head in lex.OWNED_PLACES and owner in lex.POSSESSIVES | {"a", "an", "'s"}
