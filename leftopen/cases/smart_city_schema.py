"""The schema of the smart-city case: the fields that the sources name, and how sensitive each is.

Sources: F (Forbes), M (MobyGeek, which retells TechCrunch), TN (TechNode), TZ (Techzine). Types are
those of a mapping of OpenSearch. The face-scan image, which F and M name, is left out here, and so
is any measure of a face: what stands in `ATTRIBUTES` is noise.
"""

import pandas as pd

from leftopen.cases.schema import Field, frame

FIELDS = (
    Field("residents", "_id", "_id", "T2", "number of the person here", ""),
    Field("residents", "name", "keyword", "T2", "name", ""),
    Field("residents", "idNumber", "keyword", "T1", "national identity number", ""),
    Field("residents", "estate", "keyword", "T1", "the estate where the home is", ""),
    Field("residents", "flat", "keyword", "T1", "building, floor and door of the home", ""),
    Field("residents", "phoneImsi", "keyword", "T1", "number of the phone's SIM card", ""),
    Field("residents", "phoneImei", "keyword", "T1", "number of the phone itself", ""),
    Field("watchlist", "_id", "_id", "T4", "number of the entry", ""),
    Field("watchlist", "name", "keyword", "T2", "who is on the list", ""),
    Field("watchlist", "idNumber", "keyword", "T1", "identity number of who is on it", ""),
    Field(
        "watchlist",
        "reason",
        "keyword",
        "T0",
        "why: a crime or drug use, says M; here invented",
        "M",
    ),
    Field("watchlist", "addedOn", "date", "T4", "when the entry was made", ""),
    Field("watchlist", "addedBy", "keyword", "T4", "the clerk who made it", ""),
    Field("faces", "_id", "_id", "T4", "number of the scan", ""),
    Field("faces", "at", "date", "T1", "when a face was seen", "F, M"),
    Field("faces", "camera", "keyword", "T1", "by which camera, so where", ""),
    Field("faces", "estate", "keyword", "T1", "on which estate", "F, M"),
    Field("faces", "place", "keyword", "T1", "at which place of the estate", "F, M"),
    Field("faces", "note", "text", "T1", "coming, going, or how long the stay was", "F, M"),
    Field("faces", "resident", "integer", "T1", "whom the system took it for, or nothing", ""),
    Field("faces", "name", "keyword", "T2", "the name of that person", "M, TN"),
    Field("faces", "idNumber", "keyword", "T1", "the identity number of that person", "M, TN"),
    Field("faces", "group", "keyword", "T0", "label of an ethnic group", "F, M"),
    Field("faces", "ageEstimate", "integer", "T3", "estimated age; here noise", "M"),
    Field("faces", "eyesOpen", "boolean", "T3", "eyes open; here noise", "M"),
    Field("faces", "mouthOpen", "boolean", "T3", "mouth open; here noise", "M"),
    Field("faces", "mask", "boolean", "T3", "with a mask; here noise", "M"),
    Field("faces", "sunglasses", "boolean", "T3", "with sunglasses; here noise", "M"),
    Field("faces", "smile", "boolean", "T3", "smiling; here noise", "M"),
    Field("faces", "beard", "boolean", "T3", "with a beard; here noise", "M"),
    Field("faces", "attractive", "integer", "T3", "score, 0 to 100; degrading; noise", "M, TZ"),
    Field("faces", "watchlistHit", "boolean", "T0", "whether the person is on the list", "M"),
    Field("faces", "reason", "keyword", "T0", "the reason in the list", "M"),
    Field("devices", "_id", "_id", "T4", "number of the sighting", ""),
    Field("devices", "at", "date", "T1", "when a phone was near", "M"),
    Field("devices", "sensor", "keyword", "T1", "which Wi-Fi sensor heard it, so where", ""),
    Field("devices", "estate", "keyword", "T1", "on which estate", ""),
    Field("devices", "place", "keyword", "T1", "at which place of the estate", ""),
    Field("devices", "mac", "keyword", "T1", "address that the phone sends with", ""),
    Field("devices", "imsi", "keyword", "T1", "number of the phone's SIM card", "M"),
    Field("devices", "imei", "keyword", "T1", "number of the phone itself", "M"),
    Field("alarms", "_id", "_id", "T4", "number of the alarm", ""),
    Field("alarms", "at", "date", "T4", "when", ""),
    Field("alarms", "sensor", "keyword", "T4", "smoke detector, door, camera or Wi-Fi sensor", ""),
    Field("alarms", "estate", "keyword", "T4", "on which estate", ""),
    Field("alarms", "place", "keyword", "T4", "at which place of the estate", ""),
    Field("alarms", "kind", "keyword", "T4", "smoke alarm, access fault, equipment failure", "M"),
    Field("alarms", "note", "text", "T4", "what was wrong", ""),
)

TIERS = {
    "T0": "ethnic group, a hit on a watchlist and its reason: people can be persecuted for it",
    "T1": "names one person for certain, or follows them: identity number, phone, place and time",
    "T2": "names a person together with other fields: name",
    "T3": "says little alone, and helps to tell people apart: age, what a face looks like",
    "T4": "technical: alarms, and numbers of entries",
}
"""What each tier holds (the course's own scale; T0 follows GDPR Art. 9, 10 and PIPL Art. 28)."""

ATTRIBUTES = tuple(field.field for field in FIELDS if field.tier == "T3")
"""What is said of a face: random numbers, tied to nothing."""


def table() -> pd.DataFrame:
    """The schema as a table, one row a field."""
    return frame(FIELDS).rename(columns={"collection": "index"})
