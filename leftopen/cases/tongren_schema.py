"""The schema of the Tongren case: the fields that the source names, and how sensitive each is.

Source: A (The Australian, as copies of its report retell it). Types are those of PostgreSQL. The
images of faces, which A names, are left out here, and so is the risk profile.
"""

import pandas as pd

from leftopen.cases.schema import Field, frame

FIELDS = (
    Field("buildings", "building", "text", "T4", "name of the building", ""),
    Field("buildings", "storeys", "integer", "T4", "how many storeys it has", ""),
    Field("buildings", "flats", "integer", "T4", "how many flats it has", ""),
    Field("residents", "person", "integer", "T2", "number of the person here", ""),
    Field("residents", "name", "text", "T2", "name", "A"),
    Field("residents", "id_number", "text", "T1", "national identity number", "A"),
    Field("residents", "born", "date", "T2", "day of birth: tells who is a child", ""),
    Field("residents", "sex", "text", "T3", "sex", ""),
    Field("residents", "phone", "text", "T1", "telephone; a child has an adult's", "A"),
    Field("residents", "plate", "text", "T1", "number plate of the car, or nothing", "A"),
    Field("residents", "building", "text", "T1", "the building where the home is", ""),
    Field("residents", "flat", "text", "T1", "building, storey and door of the home", ""),
    Field("visitors", "visitor", "integer", "T2", "number of the visitor here", ""),
    Field("visitors", "name", "text", "T2", "name", ""),
    Field("visitors", "id_number", "text", "T1", "national identity number", ""),
    Field("visitors", "phone", "text", "T1", "telephone", ""),
    Field("visitors", "plate", "text", "T1", "number plate of the car, or nothing", ""),
    Field("passages", "passage", "bigint", "T4", "number of the passage in this log", ""),
    Field("passages", "at", "timestamp with time zone", "T1", "when", "A"),
    Field("passages", "building", "text", "T1", "where", ""),
    Field("passages", "door", "text", "T1", "main door or garage", ""),
    Field("passages", "direction", "text", "T1", "in or out", "A"),
    Field("passages", "person", "integer", "T1", "the resident who passed, or nothing", "A"),
    Field("passages", "visitor", "integer", "T1", "the visitor who passed, or nothing", "A"),
    Field("passages", "flat", "text", "T1", "the flat that is visited: who knows whom", ""),
    Field("passages", "status", "text", "T1", "normal or abnormal; here by lot", "A"),
)

TIERS = {
    "T0": "a face used for matching, an image of a child, a risk profile: named, and left out here",
    "T1": "names one person for certain, or follows them: identity number, flat, place and time",
    "T2": "names a person together with other fields: name, day of birth",
    "T3": "says little alone, and helps to tell people apart: sex",
    "T4": "technical: the buildings, and numbers of entries",
}
"""What each tier holds (the course's own scale; T0 follows GDPR Art. 9, 10 and PIPL Art. 28)."""


def table() -> pd.DataFrame:
    """The schema as a table, one row a field."""
    return frame(FIELDS).rename(columns={"collection": "table"})
