"""pydicom's and pynetdicom's sample files: `samples` lists them, `send` puts them on the wire, `different` and `changes`
compare, `retrieve` fetches.

Both speak JSON on standard output; see samples.rs, which calls this.
"""

import json
import sys
import warnings
from io import BytesIO
from pathlib import Path

import pydicom
import pynetdicom
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_primitives import C_STORE

warnings.simplefilter("ignore")
FALLBACK = "2.25.1"


def main():
    if sys.argv[1] == "samples":
        answer = samples()
    elif sys.argv[1] == "retrieve":
        answer = retrieve(json.loads(Path(sys.argv[2]).read_text()))
    elif sys.argv[1] == "changes":
        answer = [changes(one, other) for one, other in json.loads(Path(sys.argv[2]).read_text())]
    elif sys.argv[1] == "different":
        pairs = json.loads(Path(sys.argv[2]).read_text())
        answer = [what for one, other in pairs if (what := different(one, other))]
    else:
        port, called, listing = sys.argv[2:]
        answer = [send(int(port), called, s) for s in json.loads(Path(listing).read_text())]
    json.dump(answer, sys.stdout)


def samples():
    roots = [
        Path(pydicom.__file__).parent / "data" / "test_files",
        Path(pydicom.__file__).parent / "data" / "charset_files",
        Path(pynetdicom.__file__).parent / "tests" / "dicom_files",
    ]
    paths = sorted(p for root in roots for p in root.rglob("*") if p.is_file())
    return [found for path in paths if (found := describe(path))]


def describe(path):
    """None when the file is no Part 10 file that pydicom reads, or is a directory (DICOMDIR)."""
    try:
        data = pydicom.dcmread(path)
        meta = data.file_meta
        offset = data_set_offset(path)
    except Exception:  # a sample made to be unreadable
        return None
    if "DirectoryRecordSequence" in data:
        return None
    return {
        "path": str(path),
        "offset": offset,
        "sop_class": str(data.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "1.2.840.10008.5.1.4.1.1.7"),
        "sop_instance": str(data.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID") or FALLBACK),
        "transfer_syntax": str(meta.get("TransferSyntaxUID") or "1.2.840.10008.1.2"),
        "study": str(data.get("StudyInstanceUID") or "") or None,
        "series": str(data.get("SeriesInstanceUID") or "") or None,
        "identified": bool(data.get("SOPInstanceUID")),
        "texts": texts(data),
    }


def texts(data):
    """What pydicom shows of some attributes, by keyword; the absent and the empty left out."""
    keywords = (
        "StudyInstanceUID SeriesInstanceUID SOPInstanceUID SOPClassUID PatientName "
        "PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber StudyDescription "
        "ReferringPhysicianName SeriesNumber Modality SeriesDescription BodyPartExamined InstanceNumber Rows Columns"
    )
    shown = {}
    for keyword in keywords.split():
        value = data.get(keyword)
        if value is not None and (text := str(value).strip(" ")):
            shown[keyword] = text
    return shown


def data_set_offset(path):
    with open(path, "rb") as file:
        pydicom.filereader.read_preamble(file, force=False)
        pydicom.filereader._read_file_meta_info(file)
        return file.tell()


def send(port, called, sample):
    """The status of one C-STORE of the file's data set, byte by byte as the file has it."""
    ae = AE("SAMPLES")
    ae.add_requested_context(sample["sop_class"], sample["transfer_syntax"])
    association = ae.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        sys.exit(f"no association for {sample['path']}")
    try:
        if not association.accepted_contexts:
            sys.exit(f"{sample['sop_class']} in {sample['transfer_syntax']} was refused: {sample['path']}")
        request = C_STORE()
        request.MessageID = 1
        request.Priority = 2
        request.AffectedSOPClassUID = sample["sop_class"]
        request.AffectedSOPInstanceUID = sample["sop_instance"]
        with open(sample["path"], "rb") as file:
            file.seek(sample["offset"])
            request.DataSet = BytesIO(file.read())
        # The reactor must not take the answer for a request of the peer's.
        association._reactor_checkpoint.clear()
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        if answer is None:
            sys.exit(f"no answer for {sample['path']}")
        return answer.Status
    finally:
        association.release()


def retrieve(wanted):
    """C-GET or, where there is a port to listen at, C-MOVE; status and counters of every response. The data sets that
    come are left in a folder, by their UIDs."""

    def keep(event):
        uid = str(event.request.AffectedSOPInstanceUID)
        (Path(wanted["folder"]) / uid).write_bytes(event.request.DataSet.getvalue())
        return 0x0000

    handlers = [(evt.EVT_C_STORE, keep)]
    keys = pydicom.Dataset()
    for keyword, value in wanted["keys"]:
        setattr(keys, keyword, value)
    ae, server = AE("VIEWER"), None
    ae.add_requested_context(wanted["model"])
    for name in wanted["classes"]:
        if wanted.get("listen"):
            ae.add_supported_context(name, wanted["syntaxes"])
        else:
            ae.add_requested_context(name, wanted["syntaxes"])
    if wanted.get("listen"):
        server = ae.start_server(("127.0.0.1", wanted["listen"]), block=False, evt_handlers=handlers)
    roles = [] if server else [build_role(name, scp_role=True) for name in wanted["classes"]]
    association = ae.associate(
        "127.0.0.1", wanted["port"], ae_title=wanted["called"], ext_neg=roles, evt_handlers=[] if server else handlers
    )
    if not association.is_established:
        sys.exit("no association")
    if server:
        responses = association.send_c_move(keys, "VIEWER", wanted["model"])
    else:
        responses = association.send_c_get(keys, wanted["model"])
    names = [f"NumberOf{what}Suboperations" for what in ("Remaining", "Completed", "Failed", "Warning")]
    answer = [[status.Status, *(status.get(name) for name in names)] for status, _ in responses]
    association.release()
    if server:
        server.shutdown()
    return answer


def different(one, other):
    """The first difference of two files in the values of their elements, whatever their encodings."""
    first, second = values(pydicom.dcmread(one)), values(pydicom.dcmread(other))
    for key in sorted(first.keys() | second.keys()):
        if first.get(key) != second.get(key):
            return f"{one}: {key}: {str(first.get(key))[:80]} is now {str(second.get(key))[:80]}"
    return None


def changes(one, other):
    """Where two files differ, and what the second one tells of the first in Original Attributes Sequence."""
    try:
        before, after = pydicom.dcmread(one), pydicom.dcmread(other)
    except Exception as error:
        return {"paths": [[str(error)]], "told": {}, "now": {}}
    first, second = values(before), values(after)
    found = sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))
    originals = after.get("OriginalAttributesSequence")
    told = originals[-1].ModifiedAttributesSequence[0] if originals else pydicom.Dataset()
    return {"paths": [[str(part) for part in key] for key in found], "told": texts(told), "now": texts(after)}


def values(data, path=(), found=None):
    """Every value by its path of tags and item numbers."""
    found = {} if found is None else found
    big = data.original_encoding[1] is False
    for element in data:
        here = (*path, str(element.tag))
        if element.tag.element == 0:  # a group length
            continue
        if element.VR == "SQ":
            found[here] = len(element.value)
            for number, item in enumerate(element.value):
                values(item, (*here, number), found)
        else:
            # Implicit VR does not say what a private element is: that its bytes are the same is tested elsewhere.
            found[here] = "private" if element.tag.is_private else plain(element, big)
    return found


def plain(element, big):
    value = element.value
    if isinstance(value, bytes):
        units = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
        unit = units.get(element.VR, 1) if big else 1
        if unit > 1:
            value = b"".join(value[at : at + unit][::-1] for at in range(0, len(value), unit))
        return value.rstrip(b"\0")
    return str(value).rstrip(" \0") if value is not None else ""


main()
