"""The schema of the SenseNets case: the fields that the sources name, and how sensitive each is.

Sources: F (Forbes), AP, Z (ZDNet). Types are those of BSON, as mongosh names them.
"""

import pandas as pd

from leftopen.cases.schema import Field, frame

FIELDS = (
    Field("people", "_id", "int", "T2", "number of the person here", ""),
    Field("people", "name", "string", "T2", "name", "AP, Z"),
    Field("people", "idNumber", "string", "T1", "national identity number", "F, AP, Z"),
    Field("people", "idIssued", "date", "T3", "day on which the card was issued", "F, Z"),
    Field("people", "idExpires", "date", "T3", "day on which the card expires", "F, Z"),
    Field("people", "sex", "string", "T3", "sex", "F, Z"),
    Field("people", "group", "string", "T0", "label of an ethnic group", "F, AP, Z"),
    Field("people", "homeAddress", "string", "T1", "home address", "F, AP, Z"),
    Field("people", "birthday", "date", "T2", "day of birth", "F, AP, Z"),
    Field("people", "photo", "string", "T0", "photo of the card; here a token, no picture", "F, Z"),
    Field("people", "employer", "string", "T2", "employer", "F, AP, Z"),
    Field("positions", "_id", "objectId", "T4", "number of the sighting", ""),
    Field("positions", "person", "int", "T1", "who was seen", "F, AP, Z"),
    Field("positions", "tracker", "int", "T1", "which camera saw them, so where", "F, AP, Z"),
    Field("positions", "at", "date", "T1", "when", "F, AP, Z"),
    Field("positions", "place", "string", "T0", "kind of place; some tell a belief", "AP, Z"),
    Field("trackers", "_id", "int", "T4", "number of the camera", ""),
    Field("trackers", "name", "string", "T4", "name of the camera", ""),
    Field("trackers", "kind", "string", "T4", "kind of place that it watches", ""),
    Field("trackers", "x", "int", "T4", "metres to the east, on the town's grid", "AP, Z"),
    Field("trackers", "y", "int", "T4", "metres to the north, on the town's grid", "AP, Z"),
)


TIERS = {
    "T0": "belief, ethnic group, a face used for matching: people can be persecuted because of it",
    "T1": "names one person for certain, or follows them: identity number, address, positions",
    "T2": "names a person together with other fields: name, birthday, employer",
    "T3": "says little alone, and helps to tell people apart: sex, dates of a card",
    "T4": "technical: where the cameras are",
}
"""What each tier holds (the course's own scale; T0 follows GDPR Art. 9 and PIPL Art. 28)."""


def table() -> pd.DataFrame:
    """The schema as a table, one row a field."""
    return frame(FIELDS)
