"""Random JSON, random audit events of hostile shapes, random rules over the fields of both."""

import json

from hypothesis import strategies as st

from tests.unit.audit import HERE, event_list
from tocsin.model.event import AuditEvent
from tocsin.normalize.decode import decode
from tocsin.rules import ir

TEXTS = st.sampled_from(
    [
        *("", "a", "A", "ab", "B", "İ", "ß", "x y", "\x00", "true", "5", "-7", "1e3", "0.10"),
        *("get", "Get", "create", "patch", "pods", "Pods", "exec", "proxy", "nodes", "kube-system"),
        *("10.0.0.1", "10.9.9.9", "::1", "2026-11-23T10:45:16Z", "0001-01-01T00:00:00+23:59"),
        *("system:node:n1", "allow", "certificatesigningrequests", "ephemeralcontainers"),
    ]
)
KEYS = st.sampled_from(
    [
        *("", "a", "b", "a.b", "b/c", "a.b/c", "spec", "template", "containers", "volumes"),
        *("image", "name", "securityContext", "privileged", "capabilities", "add", "hostPath"),
        *("path", "metadata", "labels", "annotations", "ownerReferences", "controller", "kind"),
        *("rules", "verbs", "request", "initContainers", "spec.containers", "items"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-10, 10) | st.floats(-2, 2) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=4),
    max_leaves=20,
)
# Bodies that look right at first sight; any part may be something else.
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "image": TEXTS | JSON,
            "name": TEXTS,
            "securityContext": st.fixed_dictionaries({}, optional={"privileged": st.booleans()})
            | JSON,
        },
    )
    | SCALARS,
    max_size=3,
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "containers": CONTAINERS | JSON,
        "initContainers": CONTAINERS | JSON,
        "volumes": st.lists(st.fixed_dictionaries({"hostPath": JSON}) | JSON, max_size=2) | JSON,
        "template": st.fixed_dictionaries({"spec": JSON}) | JSON,
        "request": TEXTS,
    },
)
BODIES = JSON | st.fixed_dictionaries(
    {},
    optional={
        "spec": SPECS | JSON,
        "metadata": st.fixed_dictionaries({}, optional={"labels": JSON, "ownerReferences": JSON}),
        "rules": st.lists(
            st.fixed_dictionaries({}, optional={"verbs": JSON, "name": TEXTS}), max_size=3
        )
        | JSON,
        "labels": st.dictionaries(KEYS, TEXTS, max_size=3),
    },
)


def _optional(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | st.fixed_dictionaries({}, optional=fields)


NULLABLE = st.none() | TEXTS
VERBS = st.sampled_from(["get", "create", "update", "patch", "Create", "", "x"])
RESOURCES = st.sampled_from(
    ["pods", "Pods", "nodes", "cronjobs", "certificatesigningrequests", "x1", "x2", "", None]
)
SUBRESOURCES = st.sampled_from(["exec", "proxy", "ephemeralcontainers", "attach", "zz", "", None])
USERS = _optional(
    username=NULLABLE,
    groups=st.none() | st.lists(TEXTS, max_size=3),
    extra=JSON | st.dictionaries(KEYS, st.lists(TEXTS, max_size=2), max_size=2),
)
URIS = st.sampled_from(
    [
        "",
        "/",
        "/api/v1/namespaces/a/pods/p/exec?command=a&command=b+c&container=ab",
        "/api/v1/nodes/n/proxy/run/a?x=y",
        "/api/v1/nodes/n/%70roxy/../b",
        "/api/v1/namespaces/a/pods/p/proxy",
    ]
)


@st.composite
def events(draw: st.DrawFn) -> AuditEvent:
    optional = {
        "user": USERS,
        "impersonatedUser": USERS,
        "sourceIPs": st.none() | st.lists(TEXTS, max_size=3),
        "userAgent": NULLABLE,
        "objectRef": _optional(
            resource=RESOURCES, subresource=SUBRESOURCES, namespace=NULLABLE, apiGroup=NULLABLE
        ),
        "responseStatus": _optional(code=st.none() | st.sampled_from([101, 201, 401, 403, 500, 5])),
        "annotations": JSON | st.dictionaries(KEYS, TEXTS, max_size=3),
        "requestObject": BODIES,
        "responseObject": BODIES,
    }
    required = {"auditID": TEXTS, "stage": TEXTS, "requestURI": URIS, "verb": VERBS}
    item = draw(st.fixed_dictionaries(required, optional=optional))
    batch = decode(event_list([json.dumps(item).encode()]))
    assert not batch.rejects, batch.rejects
    return batch.events[0]


PATHS = st.sampled_from(
    [
        *("verb", "objectRef.resource", "objectRef.subresource", "objectRef.namespace"),
        *("objectRef", "user", "user.username", "user.groups", "user.extra.a.b/c", "user.extra"),
        *(
            "impersonatedUser.username",
            "sourceIPs",
            "userAgent",
            "annotations.a.b/c",
            "annotations",
        ),
        *("responseStatus.code", "responseStatus.message", "requestURI", "auditID", "stage"),
        *("requestObject", "requestObject.a.b", "requestObject.spec.containers.image"),
        *("requestObject.labels.a.b/c", "requestObject.metadata.labels.a", "requestObject.a.b/c"),
        *("responseObject", "responseObject.spec", "responseObject.rules.verbs"),
        *("podspec", "podspec.containers", "podspec.containers.image", "podspec.source"),
        *("podspec.containers.securityContext.privileged", "podspec.volumes.hostPath.path"),
        *("exec.command", "exec.commandLine", "exec.container", "proxy.path", "proxy.query"),
        *("csr", "csr.error", "outcome", "owner.name", "credential.id", "actor.kind", "actor.name"),
        *("no.such.field", "verb.x", "user.nope", "sourceIPs.x"),
    ]
)
NEAR = st.sampled_from(["image", "name", "verbs", "securityContext.privileged", "a.b", "a", "b/c"])
LISTS = st.sampled_from(
    [
        *("podspec.containers", "requestObject.spec.containers", "requestObject.rules"),
        *("responseObject", "sourceIPs", "requestObject.labels", "verb", "no.such", "podspec"),
    ]
)
HOWS: list[ir.How] = ["equals", "startswith", "endswith", "contains"]
HOW = st.sampled_from(HOWS)


@st.composite
def text_tests(draw: st.DrawFn) -> ir.TextIs:
    fold = draw(st.booleans())
    texts = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    lowered = tuple(text.lower() for text in texts) if fold else tuple(texts)
    return ir.TextIs(draw(HOW), lowered, fold)


OPERATORS = st.one_of(
    text_tests(),
    st.sampled_from(["a", "(?i)po", "^$", "x*", r"\Aab?\z"]).map(ir.Pattern),
    st.sampled_from([("10.0.0.0/8",), ("::/0", "10.0.0.1/32")]).map(ir.InNetwork),
    st.builds(
        ir.Compare, st.sampled_from(["lt", "lte", "gt", "gte"]), st.sampled_from([0, 5, 200, 0.1])
    ),
    st.builds(
        ir.InTime, st.sampled_from(["hour", "week", "year"]), st.sampled_from([10, 48, 2026])
    ),
    st.builds(ir.Present, st.booleans()),
)
TOP = OPERATORS | st.builds(ir.SameAs, PATHS, HOW)


def _joined(leaves: st.SearchStrategy[ir.Expr]) -> st.SearchStrategy[ir.Expr]:
    return st.recursive(
        leaves,
        lambda terms: st.one_of(
            st.lists(terms, max_size=3).map(lambda found: ir.AllOf(tuple(found))),
            st.lists(terms, max_size=3).map(lambda found: ir.AnyOf(tuple(found))),
            terms.map(ir.Not),
        ),
        max_leaves=6,
    )


def _tests(
    paths: st.SearchStrategy[str], ops: st.SearchStrategy[ir.Operator]
) -> st.SearchStrategy[ir.Expr]:
    return st.builds(ir.Test, paths, ops, st.just(HERE))


INSIDE = _joined(_tests(NEAR, OPERATORS | st.builds(ir.SameAs, NEAR, HOW)))
LEAVES = st.one_of(
    _tests(PATHS, TOP),
    _tests(st.sampled_from(["verb", "objectRef.resource", "objectRef.subresource"]), TOP),
    st.builds(ir.Anywhere, OPERATORS, st.just(HERE)),
    st.builds(ir.Each, LISTS, INSIDE, st.just(HERE)),
)
EXPRESSIONS = _joined(LEAVES)
