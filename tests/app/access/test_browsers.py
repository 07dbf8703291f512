"""Which requests a browser may make for a page, rule by rule."""

from __future__ import annotations

import pytest

from app.access.browsers import BrowserRules, browser_rules, check_request, is_own_host
from app.domain.errors import AccessError, ForeignHostError, ForeignOriginError
from app.infra.settings import Settings

LOCAL = BrowserRules("127.0.0.1", requires_keys=False, allowed_origins=("https://lab.example",))
OPEN = BrowserRules("0.0.0.0", requires_keys=False, machine_name="Box.Lab.example")
KEYED = BrowserRules("0.0.0.0", requires_keys=True, allowed_origins=("https://lab.example",))
OWN = {"host": "localhost:8000"}


@pytest.mark.parametrize(
    ("rules", "host", "is_own"),
    [
        (LOCAL, "localhost", True),
        (LOCAL, "LOCALHOST:8000", True),
        (LOCAL, "localhost.", True),
        (LOCAL, "vtt.localhost:1", True),
        (LOCAL, "127.0.0.1:8000", True),
        (LOCAL, "127.8.9.10", True),
        (LOCAL, "[::1]:8000", True),
        (LOCAL, "evil.example", False),
        (LOCAL, "evil.example:8000", False),
        (LOCAL, "localhost.evil.example", False),
        (LOCAL, "127.0.0.1.evil.example", False),
        (LOCAL, "evil-localhost", False),
        (LOCAL, "192.168.1.5:8000", False),
        (LOCAL, "0.0.0.0:8000", False),
        (LOCAL, "[::1", False),
        (LOCAL, "", False),
        (LOCAL, "localhost@evil.example", False),
        (LOCAL, "evil.example/localhost", False),
        (LOCAL, "localhost:8000:9000", False),
        (OPEN, "192.168.1.5:8000", True),
        (OPEN, "[fe80::1]:8000", True),
        (OPEN, "box.lab.example", True),
        (OPEN, "BOX:8000", True),
        (OPEN, "other.lab.example", False),
        (OPEN, "evil.example", False),
        (BrowserRules("vtt.lan", requires_keys=False), "vtt.lan:8000", True),
        (BrowserRules("::1", requires_keys=False), "[::1]", True),
        (BrowserRules("127.0.0.1", requires_keys=False, allowed_hosts=("A.example",)), "a.example:80", True),
        (BrowserRules("127.0.0.1", requires_keys=False, allowed_hosts=("a.example",)), "b.a.example", False),
        (BrowserRules("127.0.0.1", requires_keys=False, allowed_hosts=("*.a.example",)), "b.a.example", True),
        (BrowserRules("127.0.0.1", requires_keys=False, allowed_hosts=(".a.example",)), "evila.example", False),
        (BrowserRules("127.0.0.1", requires_keys=False, allowed_hosts=("*",)), "evil.example", True),
    ],
)
def test_a_host_is_own_or_foreign(rules: BrowserRules, host: str, is_own: bool) -> None:
    assert is_own_host(rules, host) is is_own


@pytest.mark.parametrize(
    ("rules", "method", "headers", "refusal"),
    [
        # Tools send none of the browsers' headers.
        (LOCAL, "POST", OWN, None),
        (LOCAL, "POST", {}, None),
        (LOCAL, "GET", {"host": "evil.example"}, ForeignHostError),
        (LOCAL, "OPTIONS", {"host": "evil.example"}, ForeignHostError),
        # Pages of this service.
        (LOCAL, "POST", OWN | {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}, None),
        (LOCAL, "POST", {"host": "localhost", "origin": "http://localhost"}, None),
        (LOCAL, "POST", {"host": "localhost", "origin": "http://localhost:80"}, None),
        (LOCAL, "POST", {"host": "localhost:443", "origin": "https://localhost"}, None),
        (LOCAL, "POST", {"host": "[::1]:8000", "origin": "http://[::1]:8000"}, None),
        (LOCAL, "POST", OWN | {"sec-fetch-site": "none"}, None),
        # Pages of others.
        (LOCAL, "POST", OWN | {"origin": "http://evil.example"}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"origin": "http://localhost:3000"}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"origin": "http://localhost"}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"origin": "null"}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"origin": ""}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"origin": "http://["}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"origin": "http://localhost:99999999"}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"origin": "file://localhost:8000"}, ForeignOriginError),
        (LOCAL, "POST", {"origin": "http://evil.example"}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"sec-fetch-site": "cross-site"}, ForeignOriginError),
        (LOCAL, "DELETE", OWN | {"origin": "http://evil.example"}, ForeignOriginError),
        (LOCAL, "BREW", OWN | {"origin": "http://evil.example"}, ForeignOriginError),
        # Reading is no change, and browsers do not show the answer to a foreign page.
        (LOCAL, "GET", OWN | {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}, None),
        (LOCAL, "HEAD", OWN | {"origin": "http://evil.example"}, None),
        (LOCAL, "OPTIONS", OWN | {"origin": "http://evil.example"}, None),
        # Sites that the operator trusts.
        (LOCAL, "POST", OWN | {"origin": "https://lab.example", "sec-fetch-site": "cross-site"}, None),
        (LOCAL, "POST", OWN | {"origin": "https://LAB.example"}, None),
        (LOCAL, "POST", OWN | {"origin": "http://lab.example"}, ForeignOriginError),
        (LOCAL, "POST", OWN | {"origin": "https://lab.example:8443"}, ForeignOriginError),
        # With keys only cookies matter: a browser sends them by itself.
        (KEYED, "GET", {"host": "evil.example"}, None),
        (KEYED, "POST", {"host": "h", "origin": "http://evil.example"}, None),
        (KEYED, "POST", {"host": "h", "origin": "http://evil.example", "cookie": "s=1"}, ForeignOriginError),
        (KEYED, "POST", {"host": "h", "sec-fetch-site": "cross-site", "cookie": "s=1"}, ForeignOriginError),
        (KEYED, "POST", {"host": "h", "origin": "http://evil.example", "cookie": "s=1", "authorization": "Bearer k"}, None),
        (KEYED, "POST", {"host": "h", "origin": "https://lab.example", "cookie": "s=1"}, None),
        (KEYED, "POST", {"host": "h", "origin": "https://h", "cookie": "s=1"}, None),
        (KEYED, "GET", {"host": "h", "origin": "http://evil.example", "cookie": "s=1"}, None),
    ],
)
def test_a_request_passes_or_is_refused(
    rules: BrowserRules, method: str, headers: dict[str, str], refusal: type[AccessError] | None
) -> None:
    if refusal is None:
        check_request(rules, method, headers)
    else:
        with pytest.raises(refusal):
            check_request(rules, method, headers)


def test_a_star_allows_all_origins() -> None:
    rules = BrowserRules("127.0.0.1", requires_keys=False, allowed_origins=("*",))
    check_request(rules, "POST", OWN | {"origin": "null"})


def test_a_refusal_says_which_variable_allows_it() -> None:
    with pytest.raises(ForeignHostError, match=r"'evil\.example'.*VTT_ALLOWED_HOSTS"):
        check_request(LOCAL, "GET", {"host": "evil.example"})
    with pytest.raises(ForeignOriginError, match=r"'http://evil\.example'.*VTT_CORS_ORIGINS"):
        check_request(LOCAL, "POST", OWN | {"origin": "http://evil.example"})
    with pytest.raises(ForeignHostError) as refused:
        check_request(LOCAL, "GET", {"host": "e" * 10_000})
    assert len(refused.value.got) < 150


def test_the_rules_follow_the_settings() -> None:
    rules = browser_rules(Settings(host="::1", require_keys=True, allowed_hosts=("a",), cors_origins=("https://b",)))
    assert (rules.bind_host, rules.requires_keys) == ("::1", True)
    assert (rules.allowed_hosts, rules.allowed_origins) == (("a",), ("https://b",))
    assert rules.machine_name
