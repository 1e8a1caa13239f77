"""A storage commitment SCU of pynetdicom: `ask` sends an N-ACTION, `listen` takes reports on a port of its own.

Both speak JSON on standard output; see commit.rs, which calls this.
"""

import json
import sys
import threading
import warnings

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

warnings.simplefilter("ignore")


def main():
    request = json.loads(sys.argv[2])
    {"ask": ask, "listen": listen}[sys.argv[1]](request)


def told(event, arrived):
    data = event.event_information
    pairs = lambda items: [[str(i.ReferencedSOPClassUID), str(i.ReferencedSOPInstanceUID)] for i in items]
    failed = data.get("FailedSOPSequence", [])
    arrived(
        {
            "event": event.event_type,
            "instance": str(event.request.AffectedSOPInstanceUID),
            "transaction": str(data.TransactionUID),
            "retrieve": str(data.get("RetrieveAETitle", "")),
            "committed": pairs(data.get("ReferencedSOPSequence", [])),
            "failed": [[*pair, item.FailureReason] for pair, item in zip(pairs(failed), failed)],
            "requestor": event.assoc.requestor.ae_title,
        }
    )
    return 0x0000, None


def ask(request):
    reports, reported = [], threading.Event()

    def arrived(report):
        reports.append(report)
        reported.set()

    ae = AE(request["calling"])
    ae.add_requested_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: told(event, arrived))]
    association = ae.associate("127.0.0.1", request["port"], ae_title=request["called"], evt_handlers=handlers)
    if not association.is_established:
        print(json.dumps({"status": None, "reports": []}))
        return
    data = Dataset()
    if request["transaction"]:
        data.TransactionUID = request["transaction"]
    data.ReferencedSOPSequence = [item(*pair) for pair in request["instances"]]
    status, _ = association.send_n_action(
        data, request["action"], StorageCommitmentPushModel, request["instance"] or StorageCommitmentPushModelInstance
    )
    if request["stay"]:
        reported.wait(60)
    association.release()
    print(json.dumps({"status": status.get("Status"), "reports": reports}))


def item(sop_class, instance):
    one = Dataset()
    one.ReferencedSOPClassUID = sop_class
    one.ReferencedSOPInstanceUID = instance
    return one


def listen(request):
    ae = AE(request["calling"])
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: told(event, lambda report: print(json.dumps(report), flush=True)))]
    ae.start_server(("127.0.0.1", request["port"]), evt_handlers=handlers, block=True)


main()
