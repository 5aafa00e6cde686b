"""What a column's name alone suggests, in English, as logs are called: a guess, always told as one."""

import re

Names = tuple[str, ...]

LABELS: Names = ("click", "clicked", "clk", "label", "target", "y", "subscribed", "response", "responded")
LABELS += ("converted", "conversion", "purchased", "bought", "installed", "engaged", "liked", "outcome")
KEYS: Names = ("id", "key", "uuid", "guid", "index")
KEYED: Names = ("row", "request", "impression", "event", "call", "record", "log", "sample", "bid", "auction", "display")
GROUPS: Names = ("user", "uid", "visitor", "member", "customer", "client", "cookie", "device", "account", "subscriber")
IDS: Names = (
    "id",
    "ids",
    "code",
    "key",
    "hash",
    "uid",
    "uuid",
    "zip",
    "zipcode",
    "postcode",
    "type",
    "category",
    "cat",
)
IDS += ("class", "hour", "weekday", "dayofweek", "dow", "month", "version", "channel", "slot", "position")
AFTER: Names = ("duration", "dwell", "elapsed", "revenue", "purchase", "conversion", "converted", "scroll", "bounce")
AFTER += ("spent", "watched", "listened", "reward", "payout", "clicks", "postclick", "exit")
WEIGHTS: Names = ("weight", "weights", "wt", "importance")


def words(name: str) -> list[str]:
    """Of `userId`, `user_id` and `user-ID` the same two."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^0-9A-Za-z]+", parted.lower()) if word]


def label_rank(name: str) -> int | None:
    """0 of the likeliest label; None of a name that suggests none. `is_clicked` counts as `clicked`."""
    own = [word for word in words(name) if word not in ("is", "was", "has", "flag")]
    return LABELS.index(own[0]) if len(own) == 1 and own[0] in LABELS else None


def is_id(name: str) -> bool:
    """Whether its values, be they integers, are names of things; so are Criteo's and Avazu's C1 to C26."""
    own = words(name)
    return bool(own) and (own[-1] in IDS or own[0] == "id" or re.fullmatch(r"c\d+", own[-1]) is not None)


def key_rank(name: str) -> int:
    """0 of what names a row for certain, 1 of an id, 2 of what is not called one."""
    own = words(name)
    if not own or own[-1] not in KEYS:
        return 2
    return 0 if len(own) == 1 or own[0] in KEYED else 1


def is_group(name: str) -> bool:
    """What a person, or what stands for one, is called."""
    own = words(name)
    return (
        bool(own) and own[0] in GROUPS and (len(own) == 1 or own[1:] in (["id"], ["hash"], ["key"], ["uid"], ["uuid"]))
    )


def is_after(name: str) -> bool:
    """What can be known only when a click, or its absence, is over."""
    return any(word in AFTER for word in words(name))


def is_weight(name: str) -> bool:
    return any(word in WEIGHTS for word in words(name))
