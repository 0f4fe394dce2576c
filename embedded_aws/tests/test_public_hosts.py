"""Public host names of the account: which names they are, who is answered under them, and where functions get with them."""

from __future__ import annotations

import http.client
import json

import pytest

from embedded_aws.public_hosts import names
from embedded_aws.public_hosts.function_side import turn_public_hosts
from embedded_aws.public_hosts.names import Kind
from embedded_aws.testing.web import Site

DISTRIBUTION, SIGN_IN, API = "d111abc.cloudfront.net", "people.auth.eu-west-1.amazoncognito.com", "a1b2.execute-api.us-east-1.amazonaws.com"


def test_three_kinds_of_hosts_and_the_issuer_are_known() -> None:
    found = [names.parse(name) for name in (DISTRIBUTION, SIGN_IN, API.upper(), "cognito-idp.us-east-1.amazonaws.com")]

    assert [(host.kind, host.label, host.region) for host in found if host] == [
        (Kind.DISTRIBUTION, "d111abc", ""),
        (Kind.SIGN_IN, "people", "eu-west-1"),
        (Kind.HTTP_API, "a1b2", "us-east-1"),
        (Kind.ISSUER, "cognito-idp", "us-east-1"),
    ]


@pytest.mark.parametrize(
    "name",
    ["cloudfront.net", "a.b.cloudfront.net", "d1.cloudfront.net.evil.example", "bucket.s3.amazonaws.com", "x.amazoncognito.com", ""],
)
def test_other_names_are_not(name: str) -> None:
    assert names.parse(name) is None


def test_an_address_leads_back_to_its_host() -> None:
    assert names.address(DISTRIBUTION, 4566) == "http://d111abc.cloudfront.net.localhost:4566"
    assert names.asked_for("d111abc.cloudfront.net.localhost:4566") == names.parse(DISTRIBUTION)
    assert [names.asked_for(header) for header in (DISTRIBUTION, "d111abc.cloudfront.net.localhost.evil.example", "[::1", "")] == [None] * 4


def test_only_whole_hosts_of_the_account_are_turned() -> None:
    text = f"https://{DISTRIBUTION}/a?to=https://{API}/b https://{DISTRIBUTION}.evil.example/ https://{DISTRIBUTION}:8443/ http://{DISTRIBUTION}/"

    assert names.for_browser(text, 1, lambda host: host.kind is Kind.DISTRIBUTION) == text.replace(
        f"https://{DISTRIBUTION}/a", f"http://{DISTRIBUTION}.localhost:1/a"
    )
    assert names.for_service(f"http://{API}.localhost:4566/x") == f"https://{API}/x"
    assert [names.for_service(url) for url in ("null", "http://127.0.0.1:3000")] == ["null", "http://127.0.0.1:3000"]


def test_a_public_host_is_open_to_pages_of_other_sites_as_it_is_on_aws(site: Site) -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}

    assert site.ask(site.outputs["Domain"], **link).status == 200
    assert site.ask(site.outputs["Domain"], "/api/x", method="POST", Origin="https://elsewhere.example").status == 200


def test_a_page_that_makes_the_public_name_resolve_to_this_machine_is_refused(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.emulator.port, timeout=30)
    connection.request("GET", "/", headers={"Host": f"{site.outputs['Domain']}:{site.emulator.port}"})

    assert connection.getresponse().status == 403
    connection.close()


@pytest.mark.parametrize("path", ["/_ministack/health", "/worker", "/_embedded/raters", "/2015-03-31/functions"])
def test_nothing_else_of_the_account_is_served_under_it(site: Site, path: str) -> None:
    assert b"AccessDenied" in site.ask(site.outputs["Domain"], path).body, "the bucket has no such object"
    assert site.ask(site.outputs["SignIn"], path).status == 404


def test_a_host_that_the_account_does_not_have_is_named(site: Site) -> None:
    for host in ("dnobody.cloudfront.net", "nobody.auth.us-east-1.amazoncognito.com", "abcd.execute-api.us-east-1.amazonaws.com"):
        reply = site.ask(host)
        assert (reply.status, reply.json()) == (404, {"message": f"This account has no {host}."})


def test_redirects_for_a_browser_lead_to_the_account_and_nowhere_else(site: Site) -> None:
    sign_in, domain = site.outputs["SignIn"], site.outputs["Domain"]

    def location(target: str) -> str:
        return site.ask(domain, f"/api/leaves?to={target}").header("location")

    assert location(f"https://{sign_in}/oauth2/authorize") == f"{site.address(sign_in)}/oauth2/authorize"
    assert location("https://dnobody.cloudfront.net/") == "https://dnobody.cloudfront.net/"
    assert site.address(sign_in) in site.ask(domain).header("content-security-policy")


def test_the_service_sees_its_public_name(site: Site) -> None:
    domain = site.outputs["Domain"]

    sent = {"Origin": site.address(domain), "Referer": f"{site.address(domain)}/page"}
    headers = site.ask(domain, "/api/x", method="POST", **sent).json()["headers"]

    assert (headers["origin"], headers["referer"]) == (f"https://{domain}", f"https://{domain}/page")


def opened_by_a_function(site: Site, url: str, **more: str) -> dict[str, object]:
    reply = site.ask(site.outputs["Domain"], "/api/opens", method="POST", body=json.dumps({"url": url, **more}).encode())
    found: dict[str, object] = reply.json()
    return found


def test_a_function_opens_a_public_host(site: Site) -> None:
    assert opened_by_a_function(site, f"https://{site.outputs['Domain']}/") == {"status": 200, "body": "<!doctype html><p>start page"}
    keys = opened_by_a_function(site, f"https://cognito-idp.us-east-1.amazonaws.com/{site.outputs['Pool']}/.well-known/jwks.json")
    assert {key["use"] for key in json.loads(str(keys["body"]))["keys"]} == {"sig"}


def test_a_function_posts_to_a_public_host(site: Site) -> None:
    found = opened_by_a_function(
        site, f"https://{site.outputs['SignIn']}/oauth2/token", data="grant_type=authorization_code&client_id=nobody"
    )

    assert json.loads(str(found["body"])) == {"error": "invalid_client"}


def test_a_redirect_leads_a_function_to_a_public_name(site: Site) -> None:
    domain = site.outputs["Domain"]

    assert opened_by_a_function(site, f"https://{domain}/api/leaves?to=https://{domain}/")["status"] == 200


def test_a_function_reaches_nothing_else_by_that(site: Site) -> None:
    assert "HTTPError" in str(opened_by_a_function(site, "https://dnobody.cloudfront.net/")["error"])
    assert "HTTPError" in str(opened_by_a_function(site, "https://cognito-idp.us-east-1.amazonaws.com/")["error"]), "no API without an SDK"


def test_only_the_https_port_of_a_public_name_is_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    secure, stayed, turned = http.client.HTTPSConnection, list[tuple[str, int]](), list[tuple[str, int]]()
    monkeypatch.setattr(secure, "connect", lambda self: stayed.append((self.host, self.port)))
    monkeypatch.setattr(secure, "putheader", secure.putheader)
    turn_public_hosts(names.PATTERN, names.SUFFIX, 4566, names.FROM_FUNCTION)

    for host, port in ((DISTRIBUTION, 443), (DISTRIBUTION, 8443), ("bucket.s3.amazonaws.com", 443), ("elsewhere.example", 443)):
        connection = secure(host, port)
        monkeypatch.setattr(connection, "_create_connection", lambda address, *_: turned.append(address), raising=False)
        connection.connect()

    assert turned == [("127.0.0.1", 4566)]
    assert stayed == [(DISTRIBUTION, 8443), ("bucket.s3.amazonaws.com", 443), ("elsewhere.example", 443)]
