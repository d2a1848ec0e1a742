"""Secrets are taken out of quoted text, and nothing else is."""

import time

import pytest

from tocsin.normalize.redact import MARK, holds_secret, redact

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl-_x"
SECRET = "hunter2hunter2"

SECRETS = [
    (JWT, JWT),
    (f"token {JWT}.", JWT),
    (f"/api/v1/pods?access_token={JWT}&x=1", JWT),
    (f"Bearer {SECRET}", SECRET),
    (f"authorization: bearer {SECRET}", SECRET),
    (f"Authorization:Bearer {SECRET}", SECRET),
    (f"/x?h=Authorization%3A+Bearer+{SECRET}", SECRET),
    (f"Bearer%20{SECRET}", SECRET),
    ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    (f"/api/v1/nodes/n/proxy/run?token={SECRET}", SECRET),
    (f"/x?a=b&password={SECRET}&c=d", SECRET),
    (f"/x?client_secret={SECRET}", SECRET),
    (f"/x?apiKey={SECRET}", SECRET),
    (f"/x?command=mysql&command=--password%3D{SECRET}", SECRET),
    (f"/x?command=kubectl&command=--token&command={SECRET}", SECRET),
    (f"kubectl --token {SECRET} get pods", SECRET),
    (f"kubectl --token={SECRET} get pods", SECRET),
    (f"mysql --password {SECRET}", SECRET),
    (f"vault -token {SECRET}", SECRET),
    (f"curl --proxy-password={SECRET}", SECRET),
    (f"PGPASSWORD={SECRET} psql", SECRET),
    (f"export AWS_SECRET_ACCESS_KEY={SECRET}", SECRET),
    (f"MYSQL_PWD={SECRET} mysql", SECRET),
    (f"echo 'password: {SECRET}'", SECRET),
    (f'{{"password":"{SECRET}"}}', SECRET),
    (f'{{"clientSecret": "{SECRET}"}}', SECRET),
    (f"db_pass={SECRET}", SECRET),
    (f"passphrase={SECRET}", SECRET),
    (f"--private-key={SECRET}", SECRET),
    ("kubeadm join --token abcdef.0123456789abcdef", "0123456789abcdef"),
    ("bootstrap abcdef.0123456789abcdef", "abcdef.0123456789abcdef"),
    (f"git clone https://user:{SECRET}@example.org/r.git", SECRET),
    (f"redis://:{SECRET}@redis:6379", SECRET),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secret_is_taken_out(text: str, secret: str) -> None:
    assert holds_secret(text)
    cleaned = redact(text)
    assert secret not in cleaned
    assert MARK in cleaned


HARMLESS = [
    "",
    "secrets",
    "tokenreviews",
    "serviceaccounts/token",
    "alice",
    "kubectl/v1.36.3 (linux/amd64) kubernetes/abc1234",
    "kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/$Format/tokens-controller",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0",
    "system:serviceaccount:kube-system:token-cleaner",
    "system:serviceaccount:vault:vault-agent-injector",
    "/api/v1/namespaces/shop/secrets/db-password",
    "/api/v1/namespaces/shop/secrets?limit=500",
    "/api/v1/namespaces/shop/secrets/token-abc?watch=true",
    "/api/v1/namespaces/shop/serviceaccounts/default/token",
    "/apis/authentication.k8s.io/v1/tokenreviews",
    "/api/v1/secrets?fieldSelector=metadata.name%3Dtoken",
    "/api/v1/namespaces/shop/pods/web/exec?command=cat&command=%2Fvar%2Frun%2Fsecrets%2Ftoken",
    "cat /var/run/secrets/kubernetes.io/serviceaccount/token",
    "registry.example.com:5000/team/secret:1.2.3",
    "nginx/basic:latest",
    "ghcr.io/org/token:v1.0.0",
    "nginx@sha256:4c0fdaa8b6341bfdeca5f18f7837462c80cff90527ee35ef185571e1c327beac",
    "basic authentication",
    "Authentication failed, attempted: bearer, x509",
    "controller-token requested",
    "--token-ttl 24h",
    "--service-account-token-volume",
    "password",
    "https://example.org:8443/path",
    "bypass=true",
    "10.0.0.7",
    "web-6d4cf56db6-abcde",
    "[::1]:443",
    "tokenExpirationSeconds: 3600",
    "automountServiceAccountToken",
    "secretName",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert redact(text) == text
    assert not holds_secret(text)


def test_reader_sees_what_stood_there() -> None:
    assert redact("/x?token=abc&y=1") == f"/x?token={MARK}&y=1"
    assert redact("Bearer abcdefgh") == f"Bearer {MARK}"
    assert redact("https://u:p@h/") == f"https://{MARK}@h/"


def test_redacted_text_holds_no_secret_to_take_out_again() -> None:
    for text, _ in SECRETS:
        once = redact(text)
        assert redact(once) == once


def test_long_text_takes_no_time() -> None:
    text = ("token-" * 1000 + "Bearer " * 1000 + "eyJ" * 1000 + "a.b:" * 1000) * 5
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 2
