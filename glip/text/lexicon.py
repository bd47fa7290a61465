"""Parts of speech of single words: word lists and word endings.

Closed classes (determiners, prepositions, ...) are close to complete. Open classes hold only what a
rule needs: a word that is in no list is taken for a noun, so nouns are listed only where their
ending suggests otherwise ("building", "bed", "family"). All words are lower case.
"""

from enum import Enum, auto


class Kind(Enum):
    """A part of speech."""

    NOUN = auto()
    ADJECTIVE = auto()
    DETERMINER = auto()
    QUANTIFIER = auto()
    PRONOUN = auto()
    PREPOSITION = auto()
    CONJUNCTION = auto()
    ADVERB = auto()
    AUXILIARY = auto()
    MODAL = auto()
    VERB = auto()
    PUNCTUATION = auto()
    # Undecided until the neighbours are seen:
    NOUN_VERB = auto()  # "rides", "play"
    GERUND = auto()  # "running"
    PARTICIPLE = auto()  # "parked"
    PLACE = auto()  # "left", "top"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _names(text: str) -> frozenset[str]:
    return frozenset(" ".join(name.split()) for name in text.split(","))


def _third_person(base: str) -> str:
    """Return the -s form: carry -> carries, catch -> catches, play -> plays."""
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


def _gerunds(base: str) -> tuple[str, ...]:
    """Return the spellings an -ing form may have; non-words among them never match anything."""
    stem = base[:-1] if base.endswith("e") and not base.endswith(("ee", "ye")) else base
    return (stem + "ing", stem + stem[-1] + "ing")


# --- closed classes ------------------------------------------------------------------------------

SINGULAR_DETERMINERS = _words("a an this that each every another one")
POSSESSIVES = _words("my your his her its our their whose")
DETERMINERS = _words("a an the this that these those such no") | POSSESSIVES

QUANTIFIERS = _words("""
    one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty
    sixty seventy eighty ninety hundred hundreds thousand thousands dozen dozens some any several
    many few much more most various multiple numerous both all each every another either neither
    enough
""")
#: Quantifiers that stand alone before a verb: "one rides a horse", "both wearing helmets".
PRONOMINAL_QUANTIFIERS = _words("one each another both all")
#: Nouns that only count what follows their "of": "a couple of dogs", "a lot of people".
MEASURES = _words("""
    lot lots couple pair pairs group groups bunch bunches number numbers variety plenty handful
    assortment array kind kinds type types sort sorts bit bits dozen dozens hundreds thousands
""")

PRONOUNS = _words("""
    i you he she it we they me him us them myself yourself himself herself itself ourselves
    yourselves themselves mine yours hers ours theirs someone somebody something anyone anybody
    anything everyone everybody everything nobody nothing none others ones who whom which what
    whoever whatever
""")
#: Pronouns that are only ever subjects, so a verb comes next.
SUBJECT_PRONOUNS = _words("i he she we they who")

PREPOSITIONS = _words("""
    aboard about above across after against along alongside amid amidst among amongst around at atop
    before behind below beneath beside besides between beyond by concerning despite down during
    except following for from in inside into like minus near of off on onto opposite out outside
    over past per plus regarding since through throughout to toward towards under underneath unlike
    until up upon versus via vs with within without
""")
#: Prepositions before which an -ing word is a gerund: "for cutting paper".
GERUND_PREPOSITIONS = _words("after before by for since without about")
#: Words whose "to" is no infinitive: "next to", "close to".
BEFORE_PREPOSITION_TO = _words("""
    next close adjacent attached similar opposite connected tied due according belonging up on in
    hooked near prior leading
""")

CONJUNCTIONS = _words("""
    and or but nor yet so as if while because when whenever where wherever than then though although
    whether unless whereas & till
""")
ADVERBS = _words("""
    not very too also just only even still already almost nearly quite rather really always never
    often sometimes ever again once twice soon now today tonight there here everywhere somewhere
    together apart away ahead forward forwards backward backwards upward upwards downward downwards
    sideways alone outdoors indoors elsewhere perhaps maybe instead else how why well far least
    upside etc aside side-by-side up-close please yes ok
""")

AUXILIARIES = _words("""
    is are was were be been being am isn't aren't wasn't weren't has have had having hasn't haven't
    do does did doing done don't doesn't didn't
""")
MODALS = _words("""
    can will would shall should may might must could cannot can't won't couldn't wouldn't shouldn't
""")

# --- places: "on the left", "in front of", "at the top" name a relation, not an object ----------

SIDES = _words("left right")
PLACES = SIDES | _words("""
    top tops front back rear bottom middle center centre side sides background foreground distance
    midst
""")
#: Words before a place that do not make it an object: "the far left side".
PLACE_MODIFIERS = _words("""
    far upper lower other opposite very same left-hand right-hand hand near next different
""")
#: Places that are an object after a possessive: "her top", "on its back".
OWNED_PLACES = _words("top tops back")

# --- adjectives ----------------------------------------------------------------------------------

ADJECTIVES = _words("""
    red blue green yellow black white brown gray grey pink purple beige tan teal turquoise maroon
    violet blond blonde lavender dark bright pale colorful colourful big large small little tiny
    huge giant enormous massive long short tall high low wide narrow thick thin deep shallow fat
    slim skinny heavy broad old young new modern elderly teenage early late fresh round rectangular
    triangular circular flat curved straight steep sharp pointy blunt hot cold warm cool wet dry
    sunny cloudy rainy snowy windy foggy stormy misty muddy dusty dirty clean messy neat tidy
    cluttered empty full open close shut bare plain fancy ornate wooden golden woolen metallic
    electric electronic digital automatic rusty shiny glossy fuzzy furry fluffy hairy shaggy curly
    wavy bald smooth rough soft hard leafy grassy sandy rocky lush tropical rural urban local
    foreign good bad nice great fine pretty beautiful handsome cute adorable ugly lovely elegant
    stylish casual formal traditional typical normal regular ordinary common rare unusual strange
    odd different similar same other special single double triple whole entire half happy sad angry
    excited proud calm quiet loud busy lazy sleepy tired hungry thirsty ready able alive dead asleep
    awake alone afraid scared sick healthy strong weak brave shy silly funny playful friendly famous
    rich poor homeless pregnant naked barefoot shirtless delicious tasty yummy sweet sour spicy
    salty bitter juicy creamy crispy crunchy ripe raw rotten edible organic fast slow quick gentle
    wild domestic american british english french italian german spanish chinese japanese korean
    indian mexican asian african european australian russian greek arabic thai western royal
    historic medical musical electrical natural artificial floral central eastern northern southern
    upper lower inner outer first second third last next previous final certain clear transparent
    visible invisible safe dangerous expensive cheap free true false real fake dim dull crooked live
    chilly woolly wobbly frilly bubbly cozy cosy comfortable spacious opposite adjacent parallel
    vertical horizontal diagonal indoor outdoor public private overcast mini portable checkered
    plaid stripy multicolored foamy homemade sturdy tattered own athletic scenic rustic vivid
    festive cheerful gloomy peaceful decorative lonely lively daily overhead nearby downtown upright
""")
#: Nouns that also shade a colour, so a colour may follow: "light brown horse", "orange and white".
SHADES = _words("""
    light orange gold silver rose cream baby sky lime navy snow olive ice mint chocolate coral rust
    lemon pastel neon charcoal
""")
ADJECTIVE_SUFFIXES = ("ful", "ous", "less", "able", "ible", "ish")

#: Nouns (and names) whose ending looks like a verb's, an adjective's or an adverb's.
NOUNS_BY_EXCEPTION = _words("""
    building ceiling railing clothing wedding evening morning ring string king wing thing spring
    sling awning lighting frosting icing topping filling pudding stuffing earring herring sibling
    duckling gosling seedling dumpling sterling lightning bedding decking siding roofing flooring
    scaffolding plumbing moulding ping lining padding netting paneling fencing bing boeing hamstring
    drawstring offspring bed shed sled seed weed reed speed breed moped bobsled grizzly legging
    crawfish seaweed tumbleweed flatbed daybed riverbed flowerbed thoroughbred family lily belly
    jelly butterfly dragonfly july italy potbelly holly rally tally emily kelly billy sally housefly
    firefly horsefly dolly broccoli ply mouthful spoonful cupful bowlful table cable vegetable
    stable timetable bible tablespoon convertible dish fish radish relish rubbish polish finish
    goldfish starfish jellyfish garnish varnish
""")

# --- verbs ---------------------------------------------------------------------------------------

#: Verbs hardly ever nouns in captions.
_PURE_VERBS = _words("""
    sit hold eat wear carry throw wait lean lie lay bring take give get put make go come see hear
    say ask tell talk speak sing read write draw begin start continue try appear seem become keep
    help want need enjoy prepare perform pose gather grow graze chase pull push toss bounce reach
    approach contain include consist depict overlook surround hang climb crouch kneel squat bend
    stare gaze glance peer laugh cry sleep wake swim dive travel move turn follow lead enter leave
    arrive unload fill pour bake chop stir taste feed wash wipe sweep hug kiss touch grab pick raise
    drop relax perch wrap rise hop leap compete celebrate fix repair build decorate use operate sell
    buy pay sprinkle splash dig bury hunt lick sniff chew swallow peek poke attach connect share
    exchange shake meet greet examine inspect strike tackle dribble shoot hike listen discuss salute
    wander roam stroll crawl trot gallop soar hover drift flow shine glow sparkle burn blow melt
    bloom recline snuggle cuddle huddle assemble admire observe remain exist belong apply receive
    add allow adjust advertise attend beg bathe browse consume converse create demonstrate deliver
    descend ascend emerge engage explore extend flip frolic hurdle inflate interact investigate
    involve maneuver offer participate pretend proceed protect provide peel practise remove return
    scratch seek send separate serve shave sip smell spread squeeze stretch struggle suck tend
    tumble visit wade yawn yell look hurry juggle teach argue
""")
#: Verbs as often nouns: context decides.
NOUN_VERBS = _words("""
    walk run jump fly play stand watch drink park stop rest face smile catch kick hit fall practice
    attempt feature show display sail paddle surf ski skate skateboard snowboard drive cross load
    cook slice mix brush comb dress pet lift point wave float tie cover land roll slide swing race
    dance work paint shop crowd line spray shovel bark bite stick check test pitch bat block score
    camp bike type text call photograph record march smoke lounge nap set exit dock guard guide lock
    mount plow pass pack pump pedal sample support present balance cycle bow cast grill trick tow
    search sunbathe exercise parade queue ride
""")

VERB_FORMS = _PURE_VERBS | {_third_person(verb) for verb in _PURE_VERBS} - {"leaves"}
NOUN_VERB_THIRD_PERSON = frozenset(map(_third_person, NOUN_VERBS)) | {"leaves"}
GERUNDS_OF_VERBS = frozenset(
    form for verb in _PURE_VERBS | NOUN_VERBS for form in _gerunds(verb)
) | {"lying", "tying", "dying"}

#: Irregular past tenses; a noun follows only as their object.
IRREGULAR_PASTS = _words("""
    sat rode ate threw ran wore took gave went came saw stood swam flew drove led fed laid sang drew
    wrote began became kept let met got grew fell told said spoke sold bought shook rose blew slept
    knelt leapt sprang sank drank swung slid shot struck dug bit spun stuck wove froze chose hid
    thought knew meant felt heard underwent
""")
#: Irregular participles, which work like -ed: "a broken chair", "a window broken by a ball".
IRREGULAR_PARTICIPLES = _words("""
    worn torn broken eaten fallen frozen hidden driven ridden shown thrown grown taken given seen
    gone known drawn written woven lit built made bent lost unlit well-lit cut swollen beaten chosen
    stolen blown flown strewn sewn caught held hung brought taught
""")

#: -ing forms that describe rather than act when a noun follows: "sleeping cats".
DESCRIPTIVE_GERUNDS = _words("""
    smiling sleeping standing sitting running walking flying burning falling crying laughing
    flashing flowing floating barking grazing jumping matching rolling sparkling glowing shining
    rising setting swirling crashing moving passing dancing swimming resting hanging blooming
    flowering blossoming towering winding sloping surrounding melting steaming oncoming approaching
    neighboring remaining growing living dying winning leaning glistening stunning amazing
    interesting
""")
#: -ing forms that also name an object: "a painting".
NOUN_GERUNDS = _words("""
    painting drawing landing crossing opening setting writing clearing gathering marking covering
    coating dressing seating parking recording wrapping
""")
#: Participles that take the noun before them along: "a snow covered mountain".
COMPOUND_PARTICIPLES = _words("""
    covered lined filled shaped colored coloured sized topped fired flavored flavoured styled themed
    trimmed printed patterned operated powered controlled made held capped based aged sleeved haired
    lit crusted dipped stained tiled paneled framed decked drawn roofed clad infested laden
""")
#: Two-word names with a verb form in them, second word in the singular.
COMPOUNDS = _names("""
    cleansing agent, bowling alley, dining area, living area, seating area, sitting area,
    waiting area, carrying bag, shopping bag, sleeping bag, bowling ball, dirt bike, motor bike,
    mountain bike, sports bike, chopping board, cutting board, diving board, ironing board,
    skim board, wake board, fishing boat, sailing boat, hiking boot, riding boot, mixing bowl,
    serving bowl, scrubbing brush, batting cage, watering can, walking cane, playing card,
    serving cart, shopping cart, shopping center, dining chair, folding chair, rocking chair,
    shaving cream, drinking cup, measuring cup, baking dish, serving dish, evening dress, sun dress,
    wedding dress, energy drink, fruit drink, soft drink, sports drink, playing field,
    drinking fountain, parking garage, climbing gear, landing gear, riding gear, skiing gear,
    drinking glass, shot glass, boxing glove, baked goods, chewing gum, batting helmet,
    riding helmet, watering hole, writing instrument, curling iron, high jump, long jump, ski jump,
    chair lift, ski lift, stop light, parking lot, sewing machine, vending machine, washing machine,
    shopping mall, coloring material, parking meter, knitting needle, fishing net, baking pan,
    frying pan, roasting pan, wrapping paper, writing paper, amusement park, ball park, car park,
    city park, dog park, skate park, skateboard park, theme park, water park, throw pillow,
    bowling pin, rolling pin, fishing pole, swimming pool, wading pool, cooking pot, amusement ride,
    boat ride, carnival ride, train ride, skating rink, fishing rod, changing room, dining room,
    dressing room, living room, sitting room, waiting room, throw rug, baking sheet, climbing shoe,
    running shoe, walking shoe, stop sign, parking space, mixing spoon, serving spoon, parking spot,
    dog stand, flower stand, food stand, fruit stand, hot-dog stand, ice-cream stand,
    lemonade stand, music stand, news stand, night stand, taxi stand, tv stand, vegetable stand,
    drinking stick, hiking stick, measuring stick, walking stick, bus stop, pit stop, rest stop,
    train stop, tram stop, truck stop, landing strip, bathing suit, diving suit, running suit,
    swimming suit, changing table, dining table, folding table, picnicking table, watch tower,
    baking tray, serving tray, swimming trunk, cooking utensil, climbing wall, pocket watch,
    wrist watch, running water, spinning wheel, steering wheel, gift wrap
""")

IRREGULAR_PLURALS = _words("""
    people men women children sheep cattle police feet teeth mice geese firemen policemen fishermen
    businessmen workmen salesmen snowmen deer crew
""")
#: Nouns in -s that are no -s form of a verb, singular and plural.
PAIRS = _words("""
    pants sweatpants trousers jeans shorts goggles glasses sunglasses scissors clothes headphones
    binoculars pajamas overalls tights pliers
""")
SINGULARS_IN_S = _words("gas tennis lens canvas christmas pancreas atlas texas hummus sports news")

_KINDS_IN_ORDER = (  # a word in two lists is of the first kind
    (QUANTIFIERS, Kind.QUANTIFIER),
    (DETERMINERS, Kind.DETERMINER),
    (PRONOUNS, Kind.PRONOUN),
    (AUXILIARIES, Kind.AUXILIARY),
    (MODALS, Kind.MODAL),
    (PLACES, Kind.PLACE),
    (PREPOSITIONS, Kind.PREPOSITION),
    (CONJUNCTIONS, Kind.CONJUNCTION),
    (ADVERBS, Kind.ADVERB),
    (NOUNS_BY_EXCEPTION | SHADES, Kind.NOUN),
    (ADJECTIVES, Kind.ADJECTIVE),
    (IRREGULAR_PARTICIPLES, Kind.PARTICIPLE),
    (IRREGULAR_PASTS | VERB_FORMS, Kind.VERB),
    (NOUN_VERBS | NOUN_VERB_THIRD_PERSON, Kind.NOUN_VERB),
)
_KIND_OF_WORD = {word: kind for words, kind in reversed(_KINDS_IN_ORDER) for word in words}


def look_up(word: str) -> Kind:
    """Return the kind of a lower-case word (or punctuation mark) before its neighbours are seen."""
    if word in _KIND_OF_WORD:
        return _KIND_OF_WORD[word]
    if not any(char.isalnum() for char in word):
        return Kind.PUNCTUATION
    if word.startswith("'"):
        return Kind.AUXILIARY
    if word.isdecimal():
        return Kind.QUANTIFIER
    last_part = word.rpartition("-")[2]
    if last_part != word:  # "black-and-white", "long-sleeved", "T-shirt", "take-off"
        describing = (Kind.ADJECTIVE, Kind.PARTICIPLE, Kind.GERUND)
        return Kind.ADJECTIVE if look_up(last_part) in describing else Kind.NOUN
    if len(word) > 4 and word.endswith("ing"):
        return Kind.GERUND
    if len(word) > 3 and word.endswith("ed"):
        return Kind.PARTICIPLE
    if len(word) > 4 and word.endswith("ly"):
        return Kind.ADVERB
    if len(word) > 5 and word.endswith(ADJECTIVE_SUFFIXES):
        return Kind.ADJECTIVE
    return Kind.NOUN


def is_plural(noun: str) -> bool:
    """Tell whether a lower-case noun is a plural."""
    if noun in SINGULARS_IN_S or noun.endswith(("ss", "us", "is")):
        return False
    return noun.endswith("s") or noun in IRREGULAR_PLURALS


def is_third_person(verb: str) -> bool:
    """Tell whether a lower-case word may be the -s form of a verb: "sits", but not "pass"."""
    if verb in SINGULARS_IN_S | PAIRS:
        return False
    return verb.endswith("s") and not verb.endswith(("ss", "us", "is"))
