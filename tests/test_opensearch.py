"""OpenSearch: found or brought, its words understood, its settings the lab's where they must be."""

import os
import stat
from pathlib import Path

import psutil
import pytest

from leftopen.engines import account, java, opensearch, opensearch_home
from leftopen.errors import EngineFailed, EngineMissing

posix = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")


def program(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with a PATH and a cache of its own, and a Java that says that it is 17."""
    for name in (opensearch_home.VARIABLE, "CONDA_PREFIX", "JAVA_HOME", "OPENSEARCH_JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(opensearch_home.CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr("sys.prefix", str(tmp_path / "environment"))
    says = "    java.home = /usr/lib/jvm\n    java.version = 17.0.1"
    program(tmp_path / "bin" / "java", f"echo '{says}' >&2")
    return tmp_path


def zipped(folder, name, files):
    import zipfile

    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


@pytest.fixture
def maven(bare):
    """A Maven that has both files, and an opensearch-plugin that unpacks what it is given."""
    home = f"opensearch-{opensearch_home.VERSION}"
    plugin = (
        '#!/bin/sh\nhere=$(dirname "$0")/..\nmkdir -p "$here/plugins/opensearch-security"\n'
        'touch "$here/plugins/opensearch-security/plugin-descriptor.properties"\n'
    )
    jar = f"{home}/lib/{home}.jar"
    zipped(bare, f"{home}.zip", {jar: "", f"{home}/bin/opensearch-plugin": plugin})
    zipped(bare, f"opensearch-security-{opensearch_home.VERSION}.0.zip", {"x": ""})
    program(
        bare / "bin" / "mvn",
        f'echo "$*" >> {bare}/calls\n'
        'for word in "$@"; do case "$word" in -DoutputDirectory=*) to=${word#*=};; esac; done\n'
        f"cp {bare}/*.zip $to",
    )
    return bare


@posix
def test_it_is_brought_once_with_checksums_verified(maven):
    home = opensearch_home.install()
    assert home == maven / "cache" / f"opensearch-{opensearch_home.VERSION}"
    assert opensearch_home.find() == home
    calls = (maven / "calls").read_text().splitlines()
    assert len(calls) == 2
    assert all(" -C " in call for call in calls)
    assert f"-Dartifact={opensearch_home.SERVER}" in calls[0]
    assert f"-Dartifact={opensearch_home.PLUGIN}" in calls[1]
    assert (home / "bin" / "opensearch-plugin").stat().st_mode & 0o111
    opensearch_home.install()
    assert len((maven / "calls").read_text().splitlines()) == 2
    assert [path.name for path in (maven / "cache").iterdir()] == [home.name]


@posix
@pytest.mark.parametrize(
    ("mvn", "says"),
    [
        ("echo '[ERROR] no network here'; exit 1", "mvn says: no network here"),
        ("exit 0", "cannot be put into"),  # it says that all is well, and brings nothing
    ],
)
def test_what_maven_cannot_bring_is_one_sentence_and_leaves_nothing(bare, mvn, says):
    program(bare / "bin" / "mvn", mvn)
    with pytest.raises(EngineFailed, match="leftopen engines") as caught:
        opensearch_home.install()
    assert says in str(caught.value)
    assert list((bare / "cache").iterdir()) == []


@posix
def test_a_cache_that_cannot_be_written_is_one_sentence(bare, monkeypatch):
    program(bare / "bin" / "mvn", "exit 0")
    (bare / "file").touch()
    monkeypatch.setenv(opensearch_home.CACHE, str(bare / "file" / "cache"))
    with pytest.raises(EngineFailed, match="Set LEFTOPEN_CACHE to a folder"):
        opensearch_home.install()


@posix
def test_without_java_or_maven_the_message_names_the_packages(bare):
    (bare / "bin" / "java").unlink()
    bare_path = os.environ["PATH"].split(":")[0]
    os.environ["PATH"] = bare_path  # the fixture's monkeypatch puts it back
    with pytest.raises(EngineMissing, match=r"conda install .*openjdk.* maven && leftopen engines"):
        opensearch_home.find()
    program(bare / "bin" / "apt-get", "")
    with pytest.raises(EngineMissing, match=r"apt-get install openjdk-\d+-jre-headless maven &&"):
        opensearch_home.find()


def test_a_variable_that_names_no_home_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv(opensearch_home.VARIABLE, str(tmp_path))
    with pytest.raises(EngineMissing, match=f"{opensearch_home.VARIABLE} names"):
        opensearch_home.find()


@posix
def test_a_java_of_the_variable_goes_first(bare, monkeypatch):
    assert java.find().program == bare / "bin" / "java"
    says = "    java.home = /chosen\n    java.version = 21.0.2"
    program(bare / "chosen" / "bin" / "java", f"echo '{says}' >&2")
    monkeypatch.setenv("JAVA_HOME", str(bare / "chosen"))
    assert java.find().version == 21


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (
            "…\nuncaught exception in thread [main]\njava.lang.IllegalArgumentException: unknown "
            "setting [foo.bar] please check it\n\tat a.b.C(D.java:1)\n",
            "unknown setting [foo.bar] please check it",
        ),
        (
            "uncaught exception in thread [main]\njava.lang.IllegalStateException: failed to load "
            "plugin class [P]\nLikely root cause: OpenSearchException[No SSL configuration found]\n"
            "\tat a.b.C(D.java:1)\n",
            "No SSL configuration found",
        ),
        ("Error: Could not create the Java Virtual Machine.\n", "Error: Could not create the Java"),
        ("", "it ended without a reason"),
    ],
)
def test_the_reason_of_a_refusal(printed, reason):
    assert opensearch.refusal(printed).startswith(reason)


def test_too_little_memory_is_told_before_the_start(monkeypatch):
    few = type("M", (), {"available": 300 * 2**20})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: few)
    with pytest.raises(EngineFailed, match="300 MB are free"):
        opensearch._check_memory()
    many = type("M", (), {"available": 3 * 2**30})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: many)
    opensearch._check_memory()


@posix
def test_root_gives_the_server_another_account_and_nobody_else_does(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account.for_servers() is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert account.for_servers().uid != 0
    monkeypatch.setattr(account, "NAME", "no-such-account")
    with pytest.raises(EngineFailed, match="as an ordinary user"):
        account.for_servers()


@pytest.mark.parametrize(
    ("settings", "secured", "tls"),
    [
        ({}, True, False),
        ({"plugins.security.disabled": "true"}, False, False),
        ({"plugins.security.ssl.http.enabled": "true"}, True, True),
        ({"plugins.security.ssl_only": "true"}, False, False),
        (
            {
                "plugins.security.ssl_only": "true",
                "plugins.security.ssl.http.enabled": "true",
            },
            False,
            True,
        ),
        (
            {
                "plugins.security.disabled": "true",
                "plugins.security.ssl.http.enabled": "true",
            },
            False,
            False,
        ),
    ],
)
def test_what_settings_mean(settings, secured, tls):
    assert opensearch.secured(settings) is secured
    assert opensearch.speaks_tls(settings) is tls


def test_every_file_of_the_plugin_that_can_be_named_has_a_type():
    assert set(opensearch.TYPES.values()) >= {"internalusers", "roles", "rolesmapping", "config"}
    added = opensearch.lab_settings(Path("f"), 1, 2)
    assert added["network.host"] == "127.0.0.1"


@pytest.mark.skipif(os.name != "posix", reason="the modes of a folder are POSIX's")
def test_a_folder_that_the_servers_account_cannot_reach_is_one_sentence(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "lab").mkdir()
    with pytest.raises(EngineFailed, match=r"is closed to it\. Set TMPDIR"):
        account.Account(1, 1).give(tmp_path / "lab")
