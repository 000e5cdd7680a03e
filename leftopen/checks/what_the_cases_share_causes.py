"""Exercise 04, question 6: which measure stops which step, and who owed what. All invented."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leftopen.checks.probe import BadAnswer
from leftopen.checks.question import RIGHT, Attempt, Question, Task
from leftopen.learner import Draw

_VARIANTS = 60


@dataclass(frozen=True)
class Sentence:
    """Something that happened, the word that belongs to it, and why no other one does."""

    text: str
    word: str
    why: str = ""


_STEPS = {
    "network": (
        "An hour after the server was started, a search engine for devices listed it: it had "
        "answered at its port. Only programs on the same machine have to reach it.",
        "All night somebody far away tried passwords at the database, until it stood still. "
        "Everybody who works with it sits in one building.",
    ),
    "login": (
        "The database has to be reached from the computers of the reading room. At one of them a "
        "visitor opened a connection, was asked for nothing, and read every table.",
        "The service has to be reached from anywhere, by the app of the staff. A stranger called "
        "it without the app, and got the same answers.",
    ),
    "roles": (
        "The screen in the hall logs in, to show how many seats are free. With its account "
        "somebody deleted the table of members.",
        "A trainee logged in with an account of their own, to print lists of rooms, and could open "
        "the medical certificates too.",
    ),
    "encryption": (
        "Nobody had ever got into the server. A disk of it was sent in for repair, and the names "
        "were read out of its files there.",
        "The server let nobody in. A copy of its nightly backup was left on a train.",
    ),
    "deletion": (
        "The one machine that has to read the passages was taken over, with its login. The doors "
        "need those of today; those of six years were taken.",
        "A court ordered that all be handed over that there is on one visitor. The desk needs the "
        "visits of this week; it had those of nine years.",
    ),
    "alarm": (
        "From the usual machine, with a stolen password whose owner needs these tables, a stranger "
        "read them for seven weeks. A newspaper told the operator.",
        "While somebody was on holiday, their login was used every night, from the right machine, "
        "for what it may read. Each night stood in a log that nobody opened.",
    ),
    "purpose": (
        "Nobody got in who may not. The police of the town asked the service, with logins of "
        "their own, who goes to the prayer house on Fridays. It was built to answer that.",
        "Everybody logged in, in their own role, over an encrypted line. The programme named those "
        "who use much electricity as suspicious, and they were visited.",
    ),
}
_DUTIES = {
    "operator": (
        "A firm rented a machine, installed a database on it, and opened its port to everybody.",
        "On Monday the hosting firm passed a warning on to its customer. On Friday the customer's "
        "port was still open.",
    ),
    "provider": (
        "A hosting firm sold a database that it makes and runs itself as a private one. It had a "
        "public address, and no setting by which the customer could see or change that.",
        "Three notices about a customer's open port came to the hosting firm's address for abuse. "
        "Nobody there passed them on.",
    ),
    "vendor": (
        "Those who make a database learned that a misspelt setting leaves the login off without a "
        "word. They mended it in the next version, and told nobody.",
        "Those who make a database ship it so that whoever reaches it is its administrator, and "
        "have been asked for years to change that default.",
    ),
    "finder": (
        "Somebody came upon an open server and told its owner the same day. 40,000 records were "
        "copied first, to have a proof.",
        "Somebody came upon an open server, put its address into a public post, and wrote to its "
        "owner an hour later.",
    ),
    "newspaper": (
        "A newspaper's article came out while the server was still open, with a picture in which "
        "its address can be read. Its author had known both.",
        "An article in a newspaper showed a page of the table, with the names of people who stand "
        "in it. The server had been closed long before.",
    ),
}
# Why, in the order of the texts, for the words whose texts differ in it.
_WHY = {
    "network": (
        "It was listed for answering at its port, and a login answers there too.",
        "The tries at its login alone brought it to a stand; nobody who works with it has to come "
        "from far away.",
    ),
    "deletion": (
        "Whoever took it over had the one machine and the one login that have to be let in.",
        "The court has to be obeyed, whoever else is kept out.",
    ),
    "operator": (
        "Whoever rents a machine, and installs a database on it, decides at which address it "
        "answers.",
        "The warning was passed on. Since then it was the customer's to act on.",
    ),
    "provider": (
        "The customer could neither see the address nor change it: it was the provider's platform.",
        "The notices lay in the provider's letterbox, and the customer never had them.",
    ),
    "vendor": (
        "The flaw was mended without a word, so that nobody knew that they had to look.",
        "Whoever installs it has it as it comes, and how it comes is the vendor's choice.",
    ),
    "finder": (
        "The owner was told the same day; but a look would have been proof enough, and 40,000 "
        "records were copied.",
        "The owner was told an hour too late: by then the address stood in public.",
    ),
    "newspaper": (
        "The article printed the address while everybody could still go there, and its author "
        "knew that.",
        "The server was closed, and the article itself told the names to everybody who reads it.",
    ),
}
# What is overlooked with each measure, where several are wrong.
_OVERLOOKED = {
    "network": "Who has to reach it at all?",
    "login": "It has to be reached from where the stranger was; nobody asked who is calling.",
    "roles": "It was the right account, and could do more than its work needs.",
    "encryption": "Nobody came through the server: a disk or a copy was read somewhere else.",
    "deletion": "Whoever got it had to be let in; why was so much of it still there?",
    "alarm": "Machine, login and role were the right ones; what was missing is who notices.",
    "purpose": "Everybody was let in rightly, and the system did what it was built for.",
}
MEASURES, PARTIES = tuple(_STEPS), tuple(_DUTIES)
_ACCESS = {"network", "login", "roles", "encryption"}
_MISSED = {
    "network": "login_hides_nothing",
    "login": "closed_to_all",
    "roles": "login_is_enough",
    "encryption": "disk_forgotten",
    "deletion": "kept_for_ever",
    "alarm": "nobody_looked",
    "purpose": "access_for_purpose",
    "operator": "operator_excused",
    "provider": "customer_blamed",
    "vendor": "vendor_excused",
    "finder": "finder_excused",
    "newspaper": "newspaper_excused",
}


def sentences(number: int) -> dict[str, Sentence]:
    """A learner's sentences under letters: eight steps from A to H, five duties from I to M."""
    draw = Draw(f"set {number}", "04 question 6")
    twice = draw.pick("twice", MEASURES)
    steps = [_sentence(twice, n, _STEPS[twice]) for n in (0, 1)]
    steps += [_one(draw, word, texts) for word, texts in _STEPS.items() if word != twice]
    duties = [_one(draw, word, texts) for word, texts in _DUTIES.items()]
    shown = [*draw.shuffle("steps", steps), *draw.shuffle("duties", duties)]
    return dict(zip("ABCDEFGHIJKLM", shown, strict=True))


def _one(draw: Draw, word: str, texts: tuple[str, ...]) -> Sentence:
    return _sentence(word, texts.index(draw.pick(word, texts)), texts)


def _sentence(word: str, n: int, texts: tuple[str, ...]) -> Sentence:
    return Sentence(texts[n], word, _WHY[word][n] if word in _WHY else "")


def _task(draw: Draw) -> Task:
    number = draw.number("sentences", _VARIANTS)
    shown = {
        letter: (each.text, "a step" if each.word in MEASURES else "a duty")
        for letter, each in sentences(number).items()
    }
    return Task(number=(number, "the number of your sentences"), **shown)


def _check(at: Attempt, stops: dict, owed: dict) -> str:
    """For each step its measure, and for each duty who did not do theirs."""
    asked = sentences(at.task["number"])
    steps = {letter: each.word for letter, each in asked.items() if each.word in MEASURES}
    duties = {letter: each.word for letter, each in asked.items() if each.word in PARTIES}
    stops, owed = _plain(stops), _plain(owed)
    _must_be_complete("stops", stops, steps, MEASURES)
    _must_be_complete("owed", owed, duties, PARTIES)
    for given, right, what in ((stops, steps, "steps"), (owed, duties, "duties")):
        wrong = [letter for letter in right if given[letter] != right[letter]]
        at.note("your answer", what, ", ".join(f"{k} {given[k]}" for k in right))
        if wrong:
            at.values.update(letter=wrong[0], given=given[wrong[0]], count=len(wrong))
            at.values.update(why=asked[wrong[0]].why, reasons=_reasons(asked, wrong))
            return _verdict(what, given, right, wrong)
    return RIGHT


def _verdict(what: str, given: Mapping, right: Mapping, wrong: list[str]) -> str:
    """Name what the wrong words have in common."""
    words = {right[letter] for letter in wrong}
    said = {given[letter] for letter in wrong}
    if len(set(given.values())) == 1:
        return f"one_word_for_all_{what}"
    if said == {"alarm"} and "purpose" not in words:
        return "alarm_for_a_lock"
    if said == {"encryption"} and "purpose" not in words:
        return "encryption_for_the_running"
    if words == {"purpose"} and not said <= _ACCESS:
        return "purpose_missed"
    if words == {"operator"} and said == {"provider"}:
        return "provider_blamed"
    return _MISSED[words.pop()] if len(words) == 1 else f"several_{what}"


def _reasons(asked: Mapping[str, Sentence], wrong: list[str]) -> str:
    """A reason for each of the first two letters that are wrong and have different words."""
    first = {asked[letter].word: letter for letter in reversed(wrong)}
    told = sorted(first.values())[:2]
    return " ".join(f"{k}: {_OVERLOOKED.get(asked[k].word, asked[k].why)}" for k in told)


def _plain(given: dict) -> dict:
    """The answers, each word in small letters and without spaces around it."""
    return {k: v.strip().casefold() if isinstance(v, str) else v for k, v in given.items()}


def _must_be_complete(
    name: str, given: dict, right: Mapping[str, str], words: Iterable[str]
) -> None:
    if set(given) != set(right):
        raise BadAnswer(
            f"`{name}` must have the letters {min(right)} to {max(right)} as keys, and no others"
        )
    if strange := [word for word in given.values() if word not in words]:
        raise BadAnswer(
            f"`{name}` holds {strange[0]!r}. Use the words {', '.join(map(repr, words))}"
        )


QUESTION = Question(asks={"stops": dict, "owed": dict}, check=_check, task=_task, value=True)
