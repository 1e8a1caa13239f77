"""Objects as a test describes them, and what is in files that came out of an archive.

`make FOLDER LIST` writes a file for each object of a JSON list; `show LIST` prints the elements of files by keyword;
`moved LIST` says what differs in pairs of files beyond what a move to another study may change. See ward.rs, which calls
this.
"""

import json
import sys
import warnings
from pathlib import Path

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

warnings.simplefilter("ignore")

# What a move to another study may change at the top level: patient, study, order, and what it adds or removes.
MOVES = set(
    """
    SpecificCharacterSet PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence
    TypeOfPatientID OtherPatientIDs OtherPatientIDsSequence OtherPatientNames PatientBirthDate PatientBirthTime PatientSex
    PatientSexNeutered PatientBirthName PatientMotherBirthName PatientAddress PatientTelephoneNumbers EthnicGroup PatientComments
    PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence
    BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization PatientIdentityRemoved
    DeidentificationMethod DeidentificationMethodCodeSequence ReferencedPatientSequence QualityControlSubject
    PatientInsurancePlanCodeSequence PatientPrimaryLanguageCodeSequence MilitaryRank BranchOfService CountryOfResidence
    RegionOfResidence PatientReligiousPreference PatientInstitutionResidence ConfidentialityConstraintOnPatientDataDescription
    PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar PatientAlternativeCalendar
    SourcePatientGroupIdentificationSequence GroupOfPatientsIdentificationSequence StrainDescription
    PatientAge PatientSize PatientWeight PatientSizeCodeSequence PatientBodyMassIndex MeasuredAPDimension MeasuredLateralDimension
    AdmissionID IssuerOfAdmissionIDSequence ServiceEpisodeID IssuerOfServiceEpisodeID IssuerOfServiceEpisodeIDSequence
    ServiceEpisodeDescription MedicalAlerts Allergies SmokingStatus PregnancyStatus LastMenstrualDate PatientState Occupation
    AdditionalPatientHistory AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence ReasonForVisit
    ReasonForVisitCodeSequence AdmittingDate AdmittingTime VisitStatusID CurrentPatientLocation SpecialNeeds
    PatientClinicalTrialParticipationSequence
    StudyInstanceUID StudyDate StudyTime StudyID AccessionNumber IssuerOfAccessionNumberSequence StudyDescription
    ProcedureCodeSequence ReferringPhysicianName ReferringPhysicianIdentificationSequence ReferringPhysicianAddress
    ReferringPhysicianTelephoneNumbers ConsultingPhysicianName
    ConsultingPhysicianIdentificationSequence PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
    NameOfPhysiciansReadingStudy PhysiciansReadingStudyIdentificationSequence ReferencedStudySequence
    RequestingService RequestingServiceCodeSequence RequestingPhysician RequestingPhysicianIdentificationSequence
    ReasonForPerformedProcedureCodeSequence ReasonForStudy StudyVerifiedDate StudyReadDate StudyComments
    RequestAttributesSequence RequestedProcedureDescription RequestedProcedureCodeSequence RequestedProcedureID
    ReasonForTheRequestedProcedure ReasonForRequestedProcedureCodeSequence ScheduledProcedureStepID
    PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest ReferencedPerformedProcedureStepSequence
    ReferencedRequestSequence
    ReferencedPatientAliasSequence ReferencedVisitSequence
    OriginalAttributesSequence ContributingEquipmentSequence DigitalSignaturesSequence MACParametersSequence
    DataSetTrailingPadding TimezoneOffsetFromUTC
    """.split()
)


def main():
    if sys.argv[1] == "make":
        for number, what in enumerate(json.loads(Path(sys.argv[3]).read_text())):
            write(Path(sys.argv[2]) / f"{number:04}.dcm", what)
        return
    listing = json.loads(Path(sys.argv[2]).read_text())
    if sys.argv[1] == "show":
        answer = [shown(pydicom.dcmread(path)) for path in listing]
    else:
        answer = [what for one, other in listing for what in changed(one, other)]
    json.dump(answer, sys.stdout)


def write(path, what):
    data = FileDataset(None, {}, preamble=bytes(128), file_meta=FileMetaDataset())
    fill(data, what["elements"])
    for group, creator, value in what.get("private", []):
        data.private_block(group, creator, create=True).add_new(1, "LO", value)
    if what.get("pixels"):
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.Rows, data.Columns, data.BitsAllocated, data.BitsStored, data.HighBit = what["pixels"], 16, 8, 8, 7
        data.PixelRepresentation = 0
        data.add_new(0x7FE00010, "OB", bytes((n * 7 + len(data.SOPInstanceUID)) % 251 for n in range(what["pixels"] * 16)))
    data.file_meta.TransferSyntaxUID = what.get("syntax") or "1.2.840.10008.1.2.1"
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(path, enforce_file_format=True)


def fill(data, elements):
    for keyword, value in elements.items():
        if isinstance(value, dict):
            value = [value]
        if isinstance(value, list) and (not value or isinstance(value[0], dict)):
            value = [fill(Dataset(), item) for item in value]
        setattr(data, keyword, value)
    return data


def shown(data):
    """Elements by keyword (or tag): texts, and sequences as lists."""
    found = {}
    for element in data:
        name = element.keyword or f"{element.tag.group:04X}{element.tag.element:04X}"
        if element.VR == "SQ":
            found[name] = [shown(item) for item in element.value]
        elif isinstance(element.value, bytes):
            found[name] = f"{len(element.value)} bytes"
        elif element.VM > 1:
            found[name] = [str(value) for value in element.value]
        else:
            found[name] = "" if element.value is None else str(element.value)
    return found


def changed(one, other):
    before, after = pydicom.dcmread(one), pydicom.dcmread(other)
    for tag in sorted(set(before.keys()) | set(after.keys())):
        keyword = keyword_for_tag(tag)
        if keyword in MOVES or tag.element == 0:
            continue
        first, second = flat(before, tag), flat(after, tag)
        if first != second:
            yield f"{one}: {keyword or tag}: {str(first)[:80]} is now {str(second)[:80]}"


def flat(data, tag):
    """The value of an element, whatever its encoding."""
    if tag not in data:
        return None
    element = data[tag]
    if element.VR == "SQ":
        return [{int(t): flat(item, t) for t in item.keys() if t.element != 0} for item in element.value]
    if isinstance(element.value, bytes):
        return element.value.rstrip(b"\0")
    return str(element.value).rstrip(" \0") if element.value is not None else ""


main()
