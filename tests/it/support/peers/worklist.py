"""A Modality Worklist that answers with what no worklist should: worklist.py PORT FINAL_STATUS."""
import sys

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import ModalityWorklistInformationFind

FINAL = int(sys.argv[2], 16)


def entry(patient_id):
    answer = Dataset()
    answer.SpecificCharacterSet = "ISO_IR 192"
    answer.PatientID = patient_id
    answer.IssuerOfPatientID = "x" * 500
    answer.PatientName = "\x1b[31mEvil^" + "y" * 5000
    return answer


def answers(_event):
    for patient_id in ["", "*", "?", "a\\b", "z" * 4000, "' OR 1=1 --", "P\x07", "../../etc", "P1", "P1 "]:
        yield 0xFF00, entry(patient_id)
    nobody = Dataset()
    nobody.PatientName = "Nobody"
    yield 0xFF01, nobody
    if FINAL:
        yield FINAL, None


ae = AE("RIS")
ae.add_supported_context(ModalityWorklistInformationFind)
ae.start_server(("127.0.0.1", int(sys.argv[1])), block=True, evt_handlers=[(evt.EVT_C_FIND, answers)])
