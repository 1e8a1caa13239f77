"""A small hospital of many tongues, and a C-FIND SCU of pynetdicom.

`make FOLDER` writes its objects as files; `ask REQUEST` queries and prints what came as one JSON document. See find.rs,
which calls this.
"""

import json
import sys
import warnings
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

warnings.simplefilter("ignore")

ROOTS = {"P": PatientRootQueryRetrieveInformationModelFind, "S": StudyRootQueryRetrieveInformationModelFind}
CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "SR": "1.2.840.10008.5.1.4.1.1.88.11", "US": "1.2.840.10008.5.1.4.1.1.6.1"}
# Study number, character set, name, Patient ID, date, time, modalities of the series, objects of each.
STUDIES = [
    (1, "ISO_IR 100", "Müller^Jürgen", "A1", "20240110", "101500", ["CT", "SR"], 2),
    (2, ["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "B2", "20240111", "233000", ["CT"], 1),
    (3, "ISO_IR 101", "Łukasz^Nowak", "C3", "20240112", "003000", ["US"], 1),
    (4, "ISO_IR 144", "Люкceмбypг", "D4", "", "", ["CT"], 1),
    (5, "ISO_IR 6", "Doe^Jane", "E5", "20231231", "1200", ["CT"], 3),
]


def make(folder):
    for number, charset, name, patient, date, time, modalities, objects in STUDIES:
        for series, modality in enumerate(modalities, 1):
            for instance in range(1, objects + 1):
                data = FileDataset(None, {}, preamble=bytes(128), file_meta=FileMetaDataset())
                if charset != "ISO_IR 6":
                    data.SpecificCharacterSet = charset
                data.SOPClassUID = CLASSES[modality]
                data.StudyInstanceUID = f"1.2.826.0.1.{number}"
                data.SeriesInstanceUID = f"{data.StudyInstanceUID}.{series}"
                data.SOPInstanceUID = f"{data.SeriesInstanceUID}.{instance}"
                data.PatientName, data.PatientID = name, patient
                data.PatientBirthDate, data.PatientSex = "19700101", "O"
                data.StudyDate, data.StudyTime, data.AccessionNumber = date, time, f"ACC{number}"
                data.StudyDescription = "Schädel" if charset == "ISO_IR 100" else "Head"
                data.Modality, data.SeriesNumber, data.InstanceNumber = modality, series, instance
                data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
                data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
                data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
                data.save_as(Path(folder) / f"{data.SOPInstanceUID}.dcm", enforce_file_format=True)


def identifier(keys, charset):
    query = Dataset()
    if charset:
        query.SpecificCharacterSet = charset
    for keyword, value in keys.items():
        if isinstance(value, dict):
            value = [identifier(value, None)]
        setattr(query, keyword, value)
    return query


def ask(request):
    root = ROOTS[request["root"]]
    entity = AE(ae_title=request["calling"])
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    for syntax in request["syntaxes"]:
        entity.add_requested_context(root, syntax)
    negotiation = []
    if request["extended"]:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid, item.service_class_application_information = root, bytes(request["extended"])
        negotiation.append(item)
    peer = entity.associate("127.0.0.1", request["port"], ae_title=request["called"], ext_neg=negotiation)
    assert peer.is_established, "no association"
    agreed = peer.acceptor.sop_class_extended.get(root, b"")
    rows, pending, end = [], [], {}
    for status, found in peer.send_c_find(identifier(request["keys"], request["charset"]), root, msg_id=7):
        if status.Status in (0xFF00, 0xFF01):
            pending.append(status.Status)
            rows.append(row(found))
            if len(rows) == request["cancel_after"]:
                peer.send_c_cancel(7, query_model=root)
        else:
            offending = status.get("OffendingElement", [])
            offending = [offending] if isinstance(offending, int) else offending
            end = {"status": status.Status, "comment": str(status.get("ErrorComment", "")), "offending": [int(tag) for tag in offending]}
    peer.release()
    return {"rows": rows, "pending": pending, "agreed": list(agreed), **end}


def row(found):
    found.decode()
    return {
        element.keyword or str(element.tag): "SQ" if element.VR == "SQ" else text(element.value) for element in found
    }


def text(value):
    if value is None:
        return ""
    return "\\".join(map(str, value)) if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else str(value)


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    json.dump(ask(json.loads(sys.argv[2])), sys.stdout)
