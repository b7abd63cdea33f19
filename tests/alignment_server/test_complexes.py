"""Alignments of a server for complexes: what is asked, what is kept, and what becomes of failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from structdiff.alignment_server import AlignmentServer, Patience, ServerError, with_server_alignments
from structdiff.alignment_server import archive as archives
from structdiff.alignment_server import connection as connections
from structdiff.errors import InputError
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.trrosetta.alignment import read_alignment
from tests.alignment_server.imitation import ENVIRONMENT, Clock, archive, imitated, unpaired

ONE, TWO = "MKTAYIAKQRQISFVK", "GSHMLEDPVDAFQ"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("STRUCTDIFF_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "alignments"


@pytest.fixture
def served(cache):
    with imitated() as own:
        yield own


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(served, clock):
    """Asks the imitation, and waits without waiting."""

    def of(**more) -> AlignmentServer:
        return AlignmentServer(served.url, patience=Patience(sleep=clock.sleep, now=clock.now), **more)

    return of


def complex_of(*sequences: str, **more) -> ComplexSpec:
    chains = [
        ChainSpec(ids=(name,), kind="protein", sequence=each) for name, each in zip("ABCDEF", sequences, strict=False)
    ]
    return ComplexSpec(name="c", chains=(*chains, *more.get("others", ())))


def text_of(spec: ComplexSpec, name: str) -> str:
    return Path(spec.chain(name).msa[0]).read_text()


def test_one_protein_has_an_a3m_of_all_databases(served, server) -> None:
    found = with_server_alignments(complex_of(ONE), server=server())
    assert served.submitted == [("/ticket/msa", "env", [ONE])]
    expected = f">101\n{ONE}\n>UniRef100_A0 9\n{ONE[:-1]}gg-\n>meta0 7\n-{ONE[1:]}\n"
    assert text_of(found, "A") == expected
    assert len(read_alignment(found.chain("A").msa, ONE)) == 3


def test_uniref_alone_where_that_is_asked(served, server) -> None:
    found = with_server_alignments(complex_of(ONE), server=server(mode="all"))
    assert served.submitted == [("/ticket/msa", "all", [ONE])]
    assert "meta0" not in text_of(found, "A")


def test_copies_are_asked_for_once_and_are_not_paired(served, server) -> None:
    found = with_server_alignments(complex_of(ONE, ONE), server=server())
    assert served.submitted == [("/ticket/msa", "env", [ONE])]
    assert found.chain("A").msa == found.chain("B").msa
    assert found.chain("A").msa[0].endswith(".a3m")


def test_different_proteins_get_rows_that_belong_together(served, server) -> None:
    found = with_server_alignments(complex_of(ONE, TWO, ONE), server=server())
    # Asked for together in one order, whatever that of the chains is.
    assert served.submitted == [("/ticket/msa", "env", [ONE, TWO]), ("/ticket/pair", "pairgreedy", [TWO, ONE])]
    first, second = text_of(found, "A").splitlines(), text_of(found, "B").splitlines()
    assert first == [
        "key,sequence", f"0,{ONE}", f"1,AA{ONE[2:]}", f"3,GG{ONE[2:]}", f"-1,{ONE[:-1]}gg-", f"-1,-{ONE[1:]}"
    ]  # fmt: skip
    assert second[:5] == ["key,sequence", f"0,{TWO}", f"1,AA{TWO[2:]}", f"2,W{TWO[1:]}", f"3,GG{TWO[2:]}"]
    assert found.chain("C").msa == found.chain("A").msa
    assert read_alignment(found.chain("A").msa, ONE).rows == 5


def test_another_order_of_chains_needs_no_server(served, server) -> None:
    first = with_server_alignments(complex_of(ONE, TWO), server=server())
    count = len(served.asked)
    second = with_server_alignments(complex_of(TWO, ONE), server=server())
    assert len(served.asked) == count
    assert first.chain("A").msa == second.chain("B").msa


def test_pairing_can_be_left_out(served, server) -> None:
    found = with_server_alignments(complex_of(ONE, TWO), server=server(pairing="none"))
    assert [each[0] for each in served.submitted] == ["/ticket/msa"]
    assert found.chain("A").msa[0].endswith(".a3m")


def test_what_has_an_alignment_or_can_have_none_is_left_alone(served, server, tmp_path) -> None:
    (tmp_path / "own.a3m").write_text(f">q\n{TWO}\n")
    others = (
        ChainSpec(ids=("B",), kind="protein", sequence=TWO, msa=(str(tmp_path / "own.a3m"),)),
        ChainSpec(ids=("C",), kind="protein", sequence=TWO, msa=("empty",)),
        ChainSpec(ids=("D",), kind="protein", sequence="MKTAYIAKQ"),
        ChainSpec(ids=("E",), kind="dna", sequence="GATTACAGATTACA"),
        ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",)),
    )
    spec = complex_of(ONE, others=others)
    found = with_server_alignments(spec, server=server())
    assert found.chains[1:] == spec.chains[1:]
    assert served.submitted == [("/ticket/msa", "env", [ONE])]


def test_nothing_is_asked_where_nothing_is_to_be_had(served, server) -> None:
    spec = ComplexSpec(name="c", chains=(ChainSpec(ids=("E",), kind="dna", sequence="GATTACA"),))
    assert with_server_alignments(spec, server=server()) is spec
    assert served.asked == []


def test_only_what_is_new_is_asked_for(served, server) -> None:
    with_server_alignments(complex_of(ONE), server=server())
    with_server_alignments(complex_of(ONE, TWO), server=server())
    assert served.submitted[1:] == [("/ticket/msa", "env", [TWO]), ("/ticket/pair", "pairgreedy", [TWO, ONE])]


def test_other_modes_and_servers_are_other_alignments(served, server) -> None:
    with_server_alignments(complex_of(ONE), server=server())
    with_server_alignments(complex_of(ONE), server=server(mode="nofilter"))
    assert [each[1] for each in served.submitted] == ["env", "nofilter"]


def test_modes_that_are_none(cache) -> None:
    with pytest.raises(InputError, match=r"mode.*did you mean 'env'"):
        AlignmentServer("colabfold", mode="env1")
    with pytest.raises(InputError, match="pairing"):
        AlignmentServer("colabfold", pairing="complete")


def test_it_waits_ever_longer_while_the_search_goes_on(served, server, clock) -> None:
    served.script["submit"] = ["RATELIMIT", "UNKNOWN"]
    served.script["status"] = ["PENDING", "RUNNING", "RATELIMIT", "RUNNING", "RUNNING", "RUNNING", "RUNNING", "RUNNING"]
    said: list[str] = []
    # The ticket that the script's answers carry is not the one of the search: only its states count here.
    with_server_alignments(complex_of(ONE), server=server(), report=said.append)
    assert len(served.submitted) == 1
    assert len(clock.slept) == 10
    assert 0.6 * 2 <= clock.slept[0] <= 2
    assert clock.slept[2] < clock.slept[5]
    assert max(clock.slept) <= 20
    assert said[1].startswith("RATELIMIT (it has many requests), again in ")
    assert [each for each in said if each in ("PENDING", "RUNNING", "downloading")][:2] == ["PENDING", "RUNNING"]
    assert said[-1] == "downloading"


@pytest.mark.parametrize("answer", ["broken", 503, 429, 500, "short"])
@pytest.mark.parametrize("step", ["submit", "status", "download"])
def test_it_asks_again_where_that_may_help(served, server, clock, step: str, answer: object) -> None:
    served.script[step] = [answer, answer]
    found = with_server_alignments(complex_of(ONE), server=server())
    assert "meta0" in text_of(found, "A")
    assert served.asked.count(step) == 3
    assert clock.slept[0] < clock.slept[1] <= 4


def test_it_comes_back_when_the_server_says(served, server, clock) -> None:
    served.script["submit"], served.retry_after = [429], "37"
    with_server_alignments(complex_of(ONE), server=server())
    assert clock.slept == [37.0]


def test_too_many_requests_are_no_failure(served, server, clock) -> None:
    served.script["submit"] = [429] * 20
    with_server_alignments(complex_of(ONE), server=server())
    assert len(clock.slept) == 20
    assert max(clock.slept) <= 60
    began = clock.time
    served.script["submit"] = [429] * 5000
    with pytest.raises(ServerError, match="HTTP 429 Too Many Requests"):
        with_server_alignments(complex_of(TWO), server=server())
    assert clock.time - began < 4.1 * 3600


def test_it_gives_up_and_says_what_else_can_be_done(served, server, clock) -> None:
    served.script["submit"] = ["broken"] * 50
    asked = server()
    with pytest.raises(ServerError, match=r"alignment server http://127\.0\.0\.1.*8 attempts.*msa: empty"):
        with_server_alignments(complex_of(ONE), server=asked)
    assert served.asked == ["submit"] * 8
    # Another complex of the same run does not wait for it once more.
    with pytest.raises(ServerError, match="8 attempts"):
        with_server_alignments(complex_of(TWO), server=asked)
    assert len(served.asked) == 8


def test_what_is_kept_is_had_without_the_server(served, server) -> None:
    asked = server()
    with_server_alignments(complex_of(TWO), server=asked)
    served.script["submit"] = ["MAINTENANCE"]
    with pytest.raises(ServerError, match="MAINTENANCE"):
        with_server_alignments(complex_of(ONE), server=asked)
    assert with_server_alignments(complex_of(TWO), server=asked).chain("A").msa


@pytest.mark.parametrize(
    ("step", "answer", "words"),
    [
        ("submit", "ERROR", r"the search failed there \(ERROR\) for 1 sequence of 16 residues"),
        ("status", "ERROR", r"the search failed there \(ERROR\)"),
        ("submit", "MAINTENANCE", "being maintained"),
        ("status", "MAINTENANCE", "being maintained"),
        ("status", "HAPPY", "its status is 'HAPPY'"),
        ("submit", b"<html>Welcome", "no answer of the MMseqs2 API.*<html>"),
        ("submit", b'{"status": "PENDING", "id": "../x"}', "it has no ticket"),
        ("submit", 401, "STRUCTDIFF_MSA_API_KEY"),
        ("submit", 404, "is this the address of a server"),
        ("submit", 400, "HTTP 400 Bad Request"),
        ("download", 404, "is this the address of a server"),
        ("submit", 302, "sends us elsewhere"),
    ],
)
def test_failures_that_waiting_does_not_mend(served, server, clock, step: str, answer: object, words: str) -> None:
    served.script[step] = [answer]
    with pytest.raises(ServerError, match=words) as caught:
        with_server_alignments(complex_of(ONE), server=server())
    assert "msa: FILE.a3m" in str(caught.value)
    assert clock.slept == []


def test_a_search_without_end_is_left_and_goes_on_later(served, server, clock, cache) -> None:
    served.script["status"] = ["RUNNING"] * 5000
    with pytest.raises(ServerError, match=r"RUNNING for 4\.0 h; the same command goes on with it later"):
        with_server_alignments(complex_of(ONE), server=server())
    assert 3.9 * 3600 < clock.time <= 4 * 3600
    served.script["status"] = []
    with_server_alignments(complex_of(ONE), server=server())
    assert len(served.submitted) == 1


def test_an_interrupted_search_goes_on_with_its_ticket(served, cache, clock) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    served.script["status"] = ["RUNNING"]
    hasty = AlignmentServer(served.url, patience=Patience(sleep=interrupt, now=clock.now))
    with pytest.raises(KeyboardInterrupt):
        with_server_alignments(complex_of(ONE), server=hasty)
    assert len(list(cache.glob("*.ticket"))) == 1
    assert ONE not in "".join(path.read_text() for path in cache.iterdir())
    with_server_alignments(complex_of(ONE), server=hasty)
    assert len(served.submitted) == 1
    assert list(cache.glob("*.ticket")) == []


def test_a_ticket_that_the_server_forgot_is_sent_anew(served, server, cache) -> None:
    served.script["status"] = ["UNKNOWN"] * 4
    with_server_alignments(complex_of(ONE), server=server())
    assert len(served.submitted) == 2
    served.script["status"] = [404]
    with_server_alignments(complex_of(ONE), server=server(mode="all"))
    assert len(served.submitted) == 4
    served.script["status"] = ["UNKNOWN"] * 12
    with pytest.raises(ServerError, match="forgets"):
        with_server_alignments(complex_of(TWO), server=server())


def test_a_ticket_that_failed_is_not_asked_for_again(served, server, cache) -> None:
    served.script["status"] = ["ERROR"]
    with pytest.raises(ServerError):
        with_server_alignments(complex_of(ONE), server=server())
    assert list(cache.glob("*.ticket")) == []


GOOD = unpaired([ONE])
WRONG = {
    "no archive": (b"hello", "it is damaged"),
    "cut short": (archive(GOOD)[:-40], "it is damaged"),
    "a file is missing": (archive({"uniref.a3m": GOOD["uniref.a3m"]}), f"there is no {ENVIRONMENT}"),
    "another query": (archive(unpaired([TWO])), "row '101' of query 101 is not as long"),
    "another sequence": (archive(unpaired([f"W{ONE[1:]}"])), "first row of query 101 is not its sequence"),
    "a query too many": (archive(unpaired([ONE, TWO])), "a query that was not asked for: '102'"),
    "no query": (archive(GOOD | {"uniref.a3m": ""}), "uniref.a3m has nothing of query 101"),
    "no A3M": (archive(GOOD | {"uniref.a3m": "<html>"}), "uniref.a3m is no A3M"),
    "a row of another length": (archive(GOOD | {ENVIRONMENT: f">101\n{ONE}\n>x\nMK\n"}), "row 'x'.*not as long"),
    "no letters": (archive(GOOD | {ENVIRONMENT: f">101\n{ONE}\n>x\n{ONE[:-1]}1\n"}), "row 'x'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_archives_are_not_kept(served, server, cache, name: str) -> None:
    data, words = WRONG[name]
    served.script["download"] = [data] * 3
    with pytest.raises(ServerError, match=words):
        with_server_alignments(complex_of(ONE), server=server())
    assert list(cache.iterdir()) == []
    assert with_server_alignments(complex_of(ONE), server=server()).chain("A").msa


def test_a_damaged_archive_is_fetched_again(served, server) -> None:
    served.script["download"] = [WRONG["cut short"][0]]
    assert with_server_alignments(complex_of(ONE), server=server()).chain("A").msa
    assert served.asked.count("download") == 2


def test_nothing_of_an_archive_comes_onto_the_disk(served, server, cache, tmp_path) -> None:
    with_server_alignments(complex_of(ONE), server=server())
    assert {path.suffix for path in cache.iterdir()} == {".a3m"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]


def test_what_is_too_large_is_refused(served, server, monkeypatch) -> None:
    monkeypatch.setattr("structdiff.alignment_server.search._ARCHIVE_BYTES", 100)
    with pytest.raises(ServerError, match="larger than"):
        with_server_alignments(complex_of(ONE), server=server())
    monkeypatch.undo()


def test_what_becomes_too_large_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(archives, "_UNPACKED_BYTES", 1000)
    with pytest.raises(archives.WrongArchive, match="it holds more than"):
        archives.read_archive(archive(GOOD), [ENVIRONMENT], [ONE])


def test_unequal_pairs_are_refused(served, server) -> None:
    text = f">101\n{TWO}\n>a\n{TWO}\n\0>102\n{ONE}\n\0"
    served.script["download"] = [archive(unpaired([ONE, TWO])), archive({"pair.a3m": text})]
    with pytest.raises(ServerError, match="has not as many rows of each chain"):
        with_server_alignments(complex_of(ONE, TWO), server=server())
    # What was found of each chain is not lost.
    with_server_alignments(complex_of(ONE, TWO), server=server())
    assert [each[0] for each in served.submitted] == ["/ticket/msa", "/ticket/pair", "/ticket/pair"]


def test_it_says_who_it_is_and_hides_what_is_secret(served, cache, clock, monkeypatch) -> None:
    monkeypatch.setenv("STRUCTDIFF_MSA_CONTACT", "me@example.org")
    url = served.url.replace("http://", "http://me:hidden@")
    asked = AlignmentServer(url, patience=Patience(sleep=clock.sleep, now=clock.now))
    with_server_alignments(complex_of(ONE), server=asked)
    assert asked.url == served.url
    assert all(each["User-Agent"] == "structdiff/0.1.0 (me@example.org)" for each in served.headers)
    assert all(each["Authorization"].startswith("Basic ") for each in served.headers)
    served.script["submit"] = [403]
    with pytest.raises(ServerError) as caught:
        with_server_alignments(complex_of(TWO), server=asked)
    assert "hidden" not in str(caught.value)


def test_time_for_connecting_is_not_that_for_answers(served, cache, monkeypatch) -> None:
    seen = []
    real = connections.Connection._body

    def body(self, answer, most):
        seen.append(answer.fp.raw._sock.gettimeout())
        return real(self, answer, most)

    monkeypatch.setattr(connections.Connection, "_body", body)
    asked = AlignmentServer(served.url, patience=Patience(connect=3.0, read=7.0, first=0.01))
    with_server_alignments(complex_of(ONE), server=asked)
    assert set(seen) == {7.0}


def test_a_server_that_is_not_there(cache, clock) -> None:
    with imitated() as own:
        url = own.url
    asked = AlignmentServer(url, patience=Patience(attempts=3, sleep=clock.sleep, now=clock.now))
    with pytest.raises(ServerError, match=r"cannot be reached \(.*refused.*\) \(3 attempts\)"):
        with_server_alignments(complex_of(ONE), server=asked)
    assert len(clock.slept) == 2


def test_the_proxy_of_the_environment_is_used(served, cache, clock, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", served.url.removesuffix("/api"))
    asked = AlignmentServer("http://msa.example.org/api", patience=Patience(sleep=clock.sleep, now=clock.now))
    assert with_server_alignments(complex_of(ONE), server=asked).chain("A").msa
    assert {each["Host"] for each in served.headers} == {"msa.example.org"}


def test_other_servers_get_to_know_nothing_secret(served, cache, clock, monkeypatch) -> None:
    monkeypatch.setenv("STRUCTDIFF_MSA_API_KEY", "hidden")
    asked = AlignmentServer(served.url, patience=Patience(sleep=clock.sleep, now=clock.now))
    with imitated() as other:
        served.script["status"], served.elsewhere = [302], f"{other.url}/ticket/abc"
        assert with_server_alignments(complex_of(ONE), server=asked).chain("A").msa
    assert other.asked == ["status"]
    assert "X-Api-Key" in served.headers[0]
    assert not any("hidden" in value for value in other.headers[0].values())
