"""pynetdicom and Python's own TLS as peers: one C-ECHO, or a bare handshake. JSON in, JSON out; see tls.rs."""

import json
import socket
import ssl
import sys

from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import UserIdentityNegotiation


def main():
    wanted = json.loads(sys.argv[1])
    json.dump(resume(wanted) if wanted.get("resume") else echo(wanted), sys.stdout)


def context(wanted):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = True
    made.load_verify_locations(wanted["ca"])
    if wanted.get("cert"):
        made.load_cert_chain(wanted["cert"], wanted["key"])
    version = wanted.get("version")
    if version:
        # As permissive as OpenSSL can be, so that it is not our side that refuses.
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.minimum_version = made.maximum_version = getattr(ssl.TLSVersion, version)
    if wanted.get("ciphers"):
        made.set_ciphers(wanted["ciphers"])
    return made


def echo(wanted):
    """Whether there was an association, how a rejection read, what was negotiated, and the status of a C-ECHO."""
    entity = AE(ae_title=wanted["calling"])
    entity.acse_timeout = entity.network_timeout = entity.connection_timeout = 60
    entity.add_requested_context("1.2.840.10008.1.1")
    items = []
    if wanted.get("user"):
        item = UserIdentityNegotiation()
        item.user_identity_type = 2 if "passcode" in wanted else 1
        item.primary_field = wanted["user"].encode()
        if "passcode" in wanted:
            item.secondary_field = wanted["passcode"].encode()
        item.positive_response_requested = True
        items.append(item)
    tls = None if wanted.get("plain") else (context(wanted), "127.0.0.1")
    rejections = []

    def received(event):
        # Taken from the PDU itself: the association forgets it when the connection ends right behind it.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append([event.pdu.result, event.pdu.source, event.pdu.reason_diagnostic])

    association = entity.associate(
        "127.0.0.1", wanted["port"], ae_title=wanted["called"], ext_neg=items, tls_args=tls,
        evt_handlers=[(evt.EVT_PDU_RECV, received)],
    )
    answer = {"established": association.is_established, "rejected": None, "status": None, "version": None, "said": None}
    if rejections:
        answer["rejected"] = rejections[0]
    if association.is_established:
        stream = association.dul.socket.socket
        answer["version"] = stream.version() if tls else None
        response = association.acceptor.user_information
        answer["said"] = any(type(item).__name__ == "UserIdentityNegotiation" for item in response)
        answer["status"] = association.send_c_echo().Status
        association.release()
    return answer


def resume(wanted):
    """Two handshakes, the second with the session of the first: whether it was taken up again."""
    made = context(wanted)
    session = None
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", wanted["port"])) as plain:
            with made.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as stream:
                session, reused, version = stream.session, stream.session_reused, stream.version()
    return {"reused": reused, "version": version}


if __name__ == "__main__":
    main()
