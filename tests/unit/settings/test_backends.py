from pathlib import Path

import pytest
from support.certificates import Authority
from unit.settings.backends_file import one, parse, problems

from worker.backends.mrs import MrsOptions
from worker.backends.oracle_ess import OracleEssOptions
from worker.backends.oracle_ml import OracleMlOptions
from worker.backends.registry import TABLES
from worker.backends.sahara import SaharaOptions
from worker.settings.backends_file.backend_table import Breaker, Poll, RemoteProbe
from worker.settings.backends_file.load import load_deployment
from worker.settings.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[3] / "config" / "backends.toml"
ESS = 'kind = "oracle-ess"\nbase_url = "https://h"\nauth = { type = "none" }\n'
MRS = 'kind = "mrs"\nbase_url = "https://h"\nproject_id = "p"\n'
USER = 'username_env = "USER_NAME", password_env = "PASS"'


def test_the_example_loads_without_any_variable() -> None:
    backends = load_deployment(EXAMPLE, TABLES, environ={}).backends
    assert {name: type(backend) for name, backend in backends.items()} == {
        "ess": OracleEssOptions,
        "oml": OracleMlOptions,
        "mrs": MrsOptions,
        "mrs-v2": MrsOptions,
        "sahara": SaharaOptions,
        "sahara-v2": SaharaOptions,
    }


def test_the_example_explains_every_key_at_its_default() -> None:
    comments = EXAMPLE.read_text(encoding="utf-8")
    own = {"kind", "base_url", "auth"}
    assert not [key for key in OracleEssOptions.model_fields.keys() - own if f"#   {key} " not in comments]


def test_the_defaults_are_the_contracts() -> None:
    backend = one(ESS)
    assert isinstance(backend, OracleEssOptions)
    assert backend.model_dump(exclude={"kind", "base_url", "auth"}) == {
        "force": "attested",
        "attest": "anyone",
        "force_after": 1800.0,
        "give_up_after": 86400.0,
        "warn_after": 3600.0,
        "poll": {"first": 2.0, "max": 60.0, "factor": 2.0},
        "timeout": 10.0,
        "max_in_flight": 64,
        "rate": None,
        "breaker": {"failures": 10, "pause": 15.0},
        "look_many": True,
        "require": frozenset(),
        "gone_means_stopped": None,
        "watch_after": (),
        "reopen": False,
        "believe_after": 120.0,
        "appears_within": 0.0,
        "ca_file": None,
        "client_cert": None,
        "client_key": None,
        "max_reply": 1_000_000,
        "remote_probe": None,
        "headers": {},
        "headers_env": {},
        "proxy": None,
        "proxy_env": None,
    }


def test_every_key_is_read(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    for name, made in zip(("c.pem", "k.pem"), authority.certificate("us"), strict=True):
        Path(made).rename(tmp_path / name)
    backend = one(
        ESS
        + """
        force = "auto"
        force_after = "45m"
        give_up_after = 7200
        warn_after = "2h"
        poll = { first = 0, max = "10s", factor = 3 }
        timeout = "5s"
        max_in_flight = 8
        rate = 20
        breaker = { failures = 3, pause = "1m" }
        look_many = false
        require = ["reason", "requested_by"]
        gone_means_stopped = false
        believe_after = "90s"
        appears_within = 30
        ca_file = "ca.pem"
        client_cert = "c.pem"
        client_key = "k.pem"
        max_reply = "512KB"
        remote_probe = { url = "https://agent/alive/{job_id}", gone_when = "404, 410" }
        """,
        directory=tmp_path,
    )
    assert (backend.force, backend.force_after, backend.give_up_after, backend.warn_after) == ("auto", 2700, 7200, 7200)
    assert (backend.poll, backend.breaker) == (Poll(first=0, max=10, factor=3), Breaker(failures=3, pause=60))
    assert (backend.timeout, backend.max_in_flight, backend.rate, backend.max_reply) == (5, 8, 20, 512_000)
    assert sorted(backend.require) == ["reason", "requested_by"]
    assert (backend.look_many, backend.gone_means_stopped) == (False, False)
    assert (backend.believe_after, backend.appears_within) == (90, 30)
    assert backend.ca_file == tmp_path / "ca.pem"
    assert (backend.client_cert, backend.client_key) == (tmp_path / "c.pem", tmp_path / "k.pem")
    assert backend.remote_probe == RemoteProbe(url="https://agent/alive/{job_id}", gone_when=(404, 410))


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        pytest.param('ca_file = "none.pem"', "ca_file", id="no-certificate"),
        pytest.param('client_cert = "ca-a.pem"\nclient_key = "ca-b.key"', "client_key", id="another-certificates-key"),
        pytest.param('client_cert = "none.pem"\nclient_key = "ca-b.key"', "client_key", id="no-client-certificate"),
        pytest.param('client_cert = "ca-a.pem"\nclient_key = "none.pem"', "client_key", id="no-key"),
    ],
)
def test_tls_files_that_are_of_no_use_are_mistakes_of_the_file(tmp_path: Path, keys: str, key: str) -> None:
    authority = Authority(tmp_path, "ca")
    for host in "ab":
        authority.certificate(host)
    (tmp_path / "none.pem").write_text("x", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=rf"{key}: file .* (holds no certificate|is not the key)"):
        one(ESS + keys, directory=tmp_path)


@pytest.mark.parametrize("key", ["give_up_after", "believe_after", "appears_within"])
def test_a_wait_of_years_is_a_mistake(key: str) -> None:
    assert getattr(one(f'{ESS}{key} = "366d"'), key) == 366 * 86400
    (problem,) = problems(f'[backends.a]\n{ESS}{key} = "36500d"')
    assert f"{key}: must be 366 days at most" in problem


@pytest.mark.parametrize("key", ["believe_after", "appears_within"])
def test_a_wait_before_something_is_believed_may_be_none(key: str) -> None:
    assert getattr(one(f"{ESS}{key} = 0"), key) == 0


def test_each_kind_has_its_own_keys() -> None:
    oml = one('kind = "oracle-ml"\nbase_url = "https://h"\nauth = { type = "none" }\nservice = "LOW"')
    mrs = one(f'{MRS}auth = {{ type = "none" }}\ndialect = "v2"\ncluster_id = "c"')
    assert isinstance(oml, OracleMlOptions)
    assert (oml.scripts, oml.service) == ("r-scripts", "LOW")
    assert isinstance(mrs, MrsOptions)
    assert (mrs.project_id, mrs.dialect, mrs.cluster_id) == ("p", "v2", "c")


@pytest.mark.parametrize(
    ("table", "field", "text"),
    [
        pytest.param('kind = "oracle-es"\n' + ESS.partition("\n")[2], "kind", "did you mean oracle-ess", id="kind"),
        pytest.param(ESS.partition("\n")[2], "kind", "is required", id="no-kind"),
        pytest.param(ESS + "time_out = 1", "time_out", "did you mean timeout?", id="unknown-key"),
        pytest.param(ESS + "poll = { frist = 1 }", "poll.frist", "did you mean first?", id="unknown-inner-key"),
        pytest.param(ESS + 'poll = { first = "2m" }', "poll.max", "shorter than poll.first", id="first-after-max"),
        pytest.param(ESS + "poll = { factor = 0.5 }", "poll.factor", "must be 1 or more", id="factor"),
        pytest.param(ESS + "poll = { factor = inf }", "poll.factor", "finite", id="factor-inf"),
        pytest.param(ESS + "poll = 3", "poll", "must be a table, such as { key = value }", id="no-table"),
        pytest.param(ESS + "timeout = 0", "timeout", "more than 0", id="timeout"),
        pytest.param(ESS + 'force_after = "-1s"', "force_after", "not a duration", id="force-after"),
        pytest.param(ESS + "give_up_after = 0", "give_up_after", "more than 0", id="give-up-after"),
        pytest.param(ESS + 'believe_after = "soon"', "believe_after", "not a duration", id="believe-after"),
        pytest.param(ESS + "believe_after = true", "believe_after", "not a duration", id="believe-after-bool"),
        pytest.param(ESS + "believes_after = 1", "believes_after", "did you mean believe_after?", id="misspelt"),
        pytest.param(ESS + 'appears_within = "-1s"', "appears_within", "not a duration", id="appears-within"),
        pytest.param(ESS + "appears_within = inf", "appears_within", "not a duration", id="appears-within-inf"),
        pytest.param(ESS + "max_in_flight = 0", "max_in_flight", "1 or more", id="max-in-flight"),
        pytest.param(ESS + "max_in_flight = true", "max_in_flight", "whole number", id="bool-is-no-number"),
        pytest.param(ESS + "rate = 0", "rate", "more than 0", id="rate"),
        pytest.param(ESS + 'gone_means_stopped = "no"', "gone_means_stopped", "true or false", id="text-is-no-bool"),
        pytest.param(ESS + 'require = ["who"]', "require[0]", "'reason' or 'requested_by'", id="require"),
        pytest.param(ESS + 'max_reply = "big"', "max_reply", "not a size", id="max-reply"),
        pytest.param(ESS + 'force = "maybe"', "force", "'auto', 'attested' or 'never'", id="force"),
        pytest.param(ESS + 'ca_file = "/absent"', "ca_file", "cannot be read", id="ca-file"),
        pytest.param(ESS + f'client_cert = "{EXAMPLE}"', "client_key", "give both or neither", id="cert-without-key"),
        pytest.param(ESS + f'client_key = "{EXAMPLE}"', "client_key", "give both or neither", id="key-without-cert"),
        pytest.param(ESS + 'project_id = "p"', "project_id", "no such key", id="another-kinds-key"),
        pytest.param(MRS + 'auth = { type = "barer" }', "auth", "'bearer'", id="auth-type"),
        pytest.param(MRS + "auth = {}", "auth", "the key 'type'", id="no-auth-type"),
        pytest.param(MRS, "auth", "is required", id="no-auth"),
        pytest.param(
            'kind = "mrs"\nbase_url = "http://h"\nauth = { type = "none" }', "project_id", "is required", id="project"
        ),
        pytest.param(
            MRS.replace('"p"', '"../p"') + 'auth = { type = "none" }', "project_id", "128", id="project-is-a-segment"
        ),
        pytest.param(
            ESS.replace('"none"', f'"keystone", url = "https://k", {USER}'), "auth", "project_id", id="no-project"
        ),
    ],
)
def test_a_mistake_is_told_with_file_table_and_field(table: str, field: str, text: str) -> None:
    (problem,) = problems(f"[backends.x]\n{table}")
    assert problem.startswith(f"b.toml: [backends.x] {field}: ")
    assert text in problem


def test_how_to_write_a_duration_is_said_once() -> None:
    told = problems(f'[backends.a]\n{ESS}timeout = "x"\nforce_after = "y"\nmax_reply = "z"\npoll = {{ first = "x" }}')

    assert ["write " in problem for problem in told] == [True, False, False, True]
    assert all("is not a" in problem for problem in told)


def test_all_mistakes_of_all_backends_are_listed_at_once() -> None:
    found = problems("""
        [backend.typo]
        [backends.a]
        kind = "oracle-es"
        auth = { type = "basic", username_env = "ABSENT", password = "hunter2" }
        scripts = "r-scripts"
        poll = { first = "5s", max = "1s", factor = 0 }
        [backends.b]
        kind = "mrs"
        base_url = "http://h"
        auth = { type = "none" }
        timeout = "soon"
        [backends]
        "c c" = 1
    """)
    places = [problem.removeprefix("b.toml: ").rpartition(": ")[0].partition(": ")[0] for problem in found]
    assert places == [
        "backend",
        "[backends.a] kind",
        "[backends.a] base_url",
        "[backends.a] auth.username_env",
        "[backends.a] auth.password",
        "[backends.a] poll.max",
        "[backends.a] poll.factor",
        "[backends.b] timeout",
        "[backends.b] project_id",
        "[backends.c c]",
        "[backends.c c]",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("[backends.x]\nkind = \n", "line 2, column 8", id="syntax"),
        pytest.param("", "there is none", id="empty"),
        pytest.param("# only a comment", "there is none", id="comment"),
        pytest.param("[backends]", "there is none", id="no-table"),
        pytest.param("backends = 3", "there is none", id="no-table-at-all"),
    ],
)
def test_a_file_without_backends_says_so(text: str, expected: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("b.toml: ")
    assert expected in problem


def test_a_missing_file_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"/absent\.toml: no such file: set CANCELLER_BACKENDS"):
        load_deployment("/absent.toml", TABLES)


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_deployment(tmp_path, TABLES)


def test_a_file_in_another_encoding_says_so(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"# \xe4")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_deployment(tmp_path / "b.toml", TABLES)


@pytest.mark.parametrize("name", ["ess", "ESS", "a-b_c", "0", "a" * 64])
def test_a_name_may_be(name: str) -> None:
    assert list(parse(f"[backends.{name}]\n{ESS}")) == [name]


@pytest.mark.parametrize("name", ["", "a b", "-a", "a.b", "a" * 65, "ä", "a\\n"])
def test_a_name_may_not_be(name: str) -> None:
    (problem,) = problems(f'[backends."{name}"]\n{ESS}')
    assert "the name must match" in problem


def test_backends_are_frozen() -> None:
    backends = parse(f"[backends.x]\n{ESS}")
    with pytest.raises(ValueError, match="frozen"):
        backends["x"].timeout = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        backends["y"] = backends["x"]  # type: ignore[index]


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text('[backends.x]\nkind = "oracle-ess"\nbase_url = "http://h"\nauth = { type = "none" }', "utf-8-sig")

    assert ["x"] == list(load_deployment(file, TABLES).backends)


def test_looks_after_the_end_are_counted_from_it() -> None:
    assert one(ESS + 'watch_after = ["1m", "5m", 900, "1h"]\nreopen = true').watch_after == (60, 300, 900, 3600)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('watch_after = ["5m", "1m"]', "watch_after: must be in ascending order"),
        ('watch_after = ["0s"]', "watch_after[0]"),
        ('watch_after = "1m"', "watch_after"),
        ("reopen = true", "reopen: needs watch_after"),
    ],
    ids=["falling", "at-once", "no-list", "nobody-looks"],
)
def test_mistakes_about_looks_after_the_end_are_named(lines: str, problem: str) -> None:
    (found,) = problems(f"[backends.x]\n{ESS}{lines}")
    assert problem in found
