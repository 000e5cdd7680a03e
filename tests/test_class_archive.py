"""Java's class archives: named for one build, passed over when they do not fit."""

from pathlib import Path

import psutil
import pytest
from kernels import folder_for_servers

from leftopen.engines import class_archive, opensearch_home, opensearch_prepare
from leftopen.engines.class_archive import NODE, TOOL
from leftopen.engines.java import Java
from leftopen.engines.java import find as find_java
from leftopen.engines.opensearch import SearchServer

AS_FOUND = {"network.host": "0.0.0.0", "plugins.security.disabled": "true"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(opensearch_home.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def a_java(folder, build):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "release").write_text(build)
    return Java(folder / "bin" / "java", folder, 17)


def test_an_archive_is_for_one_build_of_java_one_home_and_one_program(cache, tmp_path):
    home, one = Path("/opt/opensearch"), a_java(tmp_path / "jdk", "17.0.15+6")
    places = {class_archive.path(home, one, NODE), class_archive.path(home, one, TOOL)}
    places.add(class_archive.path(Path("/opt/other"), one, NODE))
    places.add(class_archive.path(home, a_java(tmp_path / "jdk", "17.0.16+8"), NODE))
    assert len(places) == 4
    assert {place.parent for place in places} == {cache}


def test_it_is_used_where_it_is_and_an_older_one_goes(cache, tmp_path):
    made = tmp_path / "made"
    made.write_bytes(b"classes")
    home, old = Path("/opt/opensearch"), a_java(tmp_path / "old", "17.0.1")
    new = a_java(tmp_path / "new", "17.0.2")
    assert class_archive.options(home, old, NODE) == []
    class_archive.keep(made, home, old, NODE)
    class_archive.keep(made, home, old, TOOL)
    assert str(class_archive.path(home, old, NODE)) in class_archive.options(home, old, NODE)[0]
    class_archive.keep(made, home, new, NODE)
    assert class_archive.options(home, old, NODE) == []
    assert class_archive.options(home, new, NODE)
    assert class_archive.options(home, old, TOOL)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.needs("opensearch")
def test_a_node_reads_the_archive_that_was_prepared(monkeypatch):
    opensearch_prepare.prepare()
    monkeypatch.setattr(opensearch_prepare, "SearchServer", None)
    opensearch_prepare.prepare()  # a second call does nothing
    server = SearchServer()
    try:
        server.start(AS_FOUND)
        archive = class_archive.path(server.home, server.java, NODE)
        maps = Path(f"/proc/{server.process.pid}/maps")
        assert not maps.exists() or str(archive) in maps.read_text()
    finally:
        server.close()


@pytest.mark.needs("opensearch")
def test_a_node_starts_beside_an_archive_that_does_not_fit(monkeypatch):
    home, java = opensearch_home.find(), find_java()
    monkeypatch.setenv(opensearch_home.VARIABLE, str(home))
    with folder_for_servers("archive-") as cache:
        monkeypatch.setenv(opensearch_home.CACHE, str(cache))
        broken = class_archive.path(home, java, NODE)
        broken.write_bytes(b"half of an archive")
        broken.chmod(0o644)
        server = SearchServer()
        try:
            server.start(AS_FOUND)
            command = psutil.Process(server.process.pid).cmdline()
            assert any(str(broken) in word for word in command)
        finally:
            server.close()
