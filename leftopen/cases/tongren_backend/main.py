"""Building access control: the service in front of the four door logs.

Played as it was found: nobody has to log in, and whoever asks is told everything.
"""

from fastapi_offline import FastAPIOffline  # FastAPI; /docs needs no network

import passages
import people
import stream

app = FastAPIOffline(title="Building access control", version="1.4", debug=True)
app.include_router(people.router)
app.include_router(passages.router)
app.include_router(stream.router)


@app.get("/")
def about() -> dict:
    """Say what this is."""
    return {"service": app.title, "version": app.version, "servers": [1, 2, 3, 4]}
