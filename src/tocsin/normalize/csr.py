"""Read the certificate that a CertificateSigningRequest asks for.

The PKCS#10 request is attacker text inside base64 inside JSON: it is parsed by an X.509
library within a size limit, and whatever is wrong with it becomes a field, not an error.
"""

import base64

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

# More than an API server takes at all, so that no padding hides a request from the rules.
MAX_REQUEST_BYTES = 4 * 1024 * 1024

_ERRORS = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def certificate_request(spec: dict[str, object]) -> dict[str, object]:
    """Return the fields of a CSR's spec for rules.

    `subject` with `cn` and `o` (lists of texts), `sans` (DNS names, addresses, mail
    addresses, URIs), `signerName`, `usages`, `expirationSeconds`; `error` says why the
    request itself could not be read.
    """
    found = {key: spec.get(key) for key in ("signerName", "usages", "expirationSeconds")}
    try:
        request = _parse(spec.get("request"))
        names = _alternative_names(request)
    except _ERRORS as error:
        return found | {"error": str(error) or type(error).__name__}
    subject = {
        "cn": _names(request, NameOID.COMMON_NAME),
        "o": _names(request, NameOID.ORGANIZATION_NAME),
    }
    return found | {"subject": subject, "sans": names}


def _parse(encoded: object) -> x509.CertificateSigningRequest:
    if type(encoded) is not str:
        message = "spec.request is no text"
        raise ValueError(message)
    if len(encoded) > MAX_REQUEST_BYTES:
        message = f"spec.request is larger than {MAX_REQUEST_BYTES} bytes"
        raise ValueError(message)
    return x509.load_pem_x509_csr(base64.b64decode(encoded, validate=True))


def _names(request: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in request.subject.get_attributes_for_oid(oid)]


def _alternative_names(request: x509.CertificateSigningRequest) -> list[str]:
    try:
        extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [
        str(name.value)
        for name in extension.value
        if isinstance(
            name, x509.DNSName | x509.IPAddress | x509.RFC822Name | x509.UniformResourceIdentifier
        )
    ]
